// Reactive cells, as in Observable's notebooks: a cell is a function of other cells, and is computed again when one of them changes.

/** In the order of their definition, in which they are computed: a cell can only name those before it. */
const cells = new Map();

/**
 * A cell, shown in the element of this id where the page has one.
 * @param inputs names of cells, whose values `compute` gets
 * @param compute gets as its last argument a promise that ends when the result is of no use any more
 */
export function cell(name, inputs, compute) {
  cells.set(name, { inputs, compute, place: document.getElementById(name), end: () => {}, value: undefined });
  refresh(name);
}

/** A cell that holds what the user types into the control of this id. */
export function inputCell(name) {
  const control = document.getElementById(name);
  cells.set(name, { inputs: [], compute: () => control.value, place: null, end: () => {}, value: control.value });
  control.addEventListener('change', () => {
    const stale = new Set([name]);
    for (const [later, { inputs }] of cells) if (inputs.some((input) => stale.has(input))) stale.add(later);
    for (const each of stale) refresh(each);
  });
}

async function refresh(name) {
  const shown = cells.get(name);
  shown.end();
  const ended = new Promise((end) => Object.assign(shown, { end }));
  const inputs = shown.inputs.map((input) => cells.get(input).value);
  const value = Promise.all(inputs).then((values) => shown.compute(...values, ended));
  shown.value = value;
  const result = await value.catch((error) => `${name}: ${error.message}`);
  if (shown.value === value) shown.place?.replaceChildren(result);
}
