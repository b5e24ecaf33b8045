// The name that somebody may have meant, for messages. Not a search: every name is looked at.

/**
 * The first of the names with the smallest edit distance (Levenshtein 1966): characters to insert, delete or replace.
 * @example
 * closest('hook_patern', ['hook_z', 'hook_pattern']); // 'hook_pattern'
 */
export function closest(name: string, names: readonly string[]): string {
  const distances = names.map((other) => editDistance(name, other));
  return names[distances.indexOf(Math.min(...distances))];
}

/** Row by row: `row[j]` is the distance from the first characters of `a` to the first j of `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
