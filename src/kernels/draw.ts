// The part of the kernel `sample` that draws: what it searches for, and how. Not a kernel.
//
// A search finds the first token, in the order of falling scores and then of ids, up to which there is more than `sought`: of tokens for
// top_k, of their weights otherwise. It looks at how far the order of a score (`order_of`) is below the largest one: tokens are put
// into 64 bins of that, and what the bins have is added up until there is more than `sought`. That bin is searched in the same
// way, and so on until it holds one token, or one score: then the ids of the tokens that have it.

/** Bits of what is searched that one pass decides. */
const PASS_BITS = 6;
const BINS = 2 ** PASS_BITS;

/** WGSL beside `main`; needs `in_units`. */
export const DRAW_FUNCTIONS = /* wgsl */ `
var<workgroup> bins_low: array<atomic<u32>, ${BINS}>;
var<workgroup> bins_high: array<atomic<u32>, ${BINS}>;
var<workgroup> bins_id: array<atomic<u32>, ${BINS}>; // of one token in the bin, all bits turned around
var<workgroup> farthest_below: atomic<u32>; // of the orders of tokens that have a weight
var<workgroup> order_bits: u32;
var<workgroup> picked: vec4u; // a bin, what lies before it (low, high), and the token that is alone in it, or nobody

// What a search adds up: tokens, or their weights.
fn amount(search: u32, row: u32, id: u32) -> vec2u {
  if (search == 0u) { return vec2u(1u, 0u); }
  return in_units(weights[row * d_vocab_out + id]);
}

fn add_to_bin(bin: u32, part: vec2u) {
  let before = atomicAdd(&bins_low[bin], part.x);
  atomicAdd(&bins_high[bin], part.y + select(0u, 1u, before + part.x < before));
}

fn pick(search: u32, row: u32, before_all: vec2u, sought: vec2u) {
  var before = before_all;
  picked = vec4u(0u, before, nobody);
  for (var bin = 0u; bin < ${BINS}u; bin++) {
    let part = vec2u(atomicLoad(&bins_low[bin]), atomicLoad(&bins_high[bin]));
    let after = plus_whole(before, part);
    if (is_more(after, sought)) {
      let id = ~atomicLoad(&bins_id[bin]);
      let is_alone = all(part == amount(search, row, id));
      picked = vec4u(bin, before, select(nobody, id, is_alone));
      break;
    }
    before = after;
  }
}
`;

/** WGSL in `main`, where `chosen` is the most probable token. */
export const DRAW = /* wgsl */ `
  let largest_score = number_of(largest_order);
  let inverse = bitcast<f32>(parameters[given + inverse_temperature]);
  part = vec2u(0u);
  var tokens = 0u;
  var below = 0u;
  for (var id = local; id < d_vocab_out; id += invocations) {
    let score = score_of(row, id, logits[first + id]);
    let distance = plus(score, -largest_score);
    var term = 0.0;
    if (is_near(distance, parameters[given + farthest])) {
      term = stored(exponential(product(distance, inverse)));
      part = plus_whole(part, in_units(term));
      tokens += 1u;
      below = max(below, largest_order - order_of(score));
    }
    weights[row * d_vocab_out + id] = term;
  }
  add_to(weight_total, part);
  add_to(token_total, vec2u(tokens, 0u));
  atomicMax(&farthest_below, below);
  storageBarrier();
  workgroupBarrier();
  if (local == 0u) { order_bits = 32u - countLeadingZeros(atomicLoad(&farthest_below)); }

  let top_tokens = parameters[given + top_k];
  let top_share = parameters[given + top_p];
  var last = vec2u(0xffffffffu, d_vocab_out); // of the kept tokens: how far its order is below the largest, and its id
  for (var search = 0u; search < 3u; search++) {
    if ((search == 0u && top_tokens == 0u) || (search == 1u && top_share == 0u)) { continue; }
    var sought = vec2u(min(top_tokens, sum_of(token_total).x) - 1u, 0u);
    if (search == 1u) {
      // The first token up to which there is at least this share: more than what is just below it.
      let share = share_of(vec2u(0u, top_share), sum_of(weight_total));
      sought = select(share.xy, plus_whole(share.xy, vec2u(0xffffffffu)), share.z == 0u);
    }
    if (search == 2u) {
      part = vec2u(0u);
      for (var id = local; id < d_vocab_out; id += invocations) {
        let score = score_of(row, id, logits[first + id]);
        let down = largest_order - order_of(score);
        let is_kept = down < last.x || (down == last.x && id <= last.y);
        if (is_kept && is_near(plus(score, -largest_score), parameters[given + allowed])) {
          part = plus_whole(part, in_units(weights[row * d_vocab_out + id]));
        }
      }
      add_to(weight_kept, part);
      workgroupBarrier();
      let seed = vec2u(parameters[given + seed_low], parameters[given + seed_high]);
      let u = uniform_at(seed, parameters[given + draw_step], parameters[given + draw_row]);
      sought = share_of(u, sum_of(weight_kept)).xy;
    }

    // First among orders, then among ids: where the bins begin, and how many bits wide they are together.
    var before = vec2u(0u);
    var begin = 0u;
    var order = 0u;
    var is_among_ids = 0u;
    var bits = workgroupUniformLoad(&order_bits);
    var token_found = nobody;
    while (token_found == nobody) {
      if (bits == 0u) {
        if (is_among_ids == 1u) { break; }
        is_among_ids = 1u;
        order = begin;
        begin = 0u;
        bits = 32u - countLeadingZeros(d_vocab_out);
      }
      let shift = max(bits, ${PASS_BITS}u) - ${PASS_BITS}u;
      for (var bin = local; bin < ${BINS}u; bin += invocations) {
        atomicStore(&bins_low[bin], 0u);
        atomicStore(&bins_high[bin], 0u);
        atomicStore(&bins_id[bin], 0u);
      }
      workgroupBarrier();
      for (var id = local; id < d_vocab_out; id += invocations) {
        let down = largest_order - order_of(score_of(row, id, logits[first + id]));
        let place = select(down, id, is_among_ids == 1u) - begin;
        if (place > 0xffffffffu >> (32u - bits) || (is_among_ids == 1u && down != order)) { continue; }
        add_to_bin(place >> shift, amount(search, row, id));
        atomicMax(&bins_id[place >> shift], ~id);
      }
      workgroupBarrier();
      if (local == 0u) { pick(search, row, before, sought); }
      let found = workgroupUniformLoad(&picked);
      begin += found.x << shift;
      before = found.yz;
      token_found = found.w;
      bits = shift;
    }
    if (token_found == nobody) { token_found = begin; }
    order = largest_order - order_of(score_of(row, token_found, logits[first + token_found]));
    if (search == 2u) {
      chosen = token_found;
    } else if (order < last.x || (order == last.x && token_found < last.y)) {
      last = vec2u(order, token_found);
    }
  }
`;
