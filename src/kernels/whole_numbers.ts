// Whole numbers of 64 bits in WGSL, which has those of 32: vec2u(low, high). Not a kernel.

/** `plus_whole`, `is_more`, `multiply` of two u32, and `share_of`: floor(fraction·number / 2⁶⁴), and in z what is 0 if that is exact. */
export const WHOLE_NUMBERS = /* wgsl */ `
fn plus_whole(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn is_more(a: vec2u, b: vec2u) -> bool { return a.y > b.y || (a.y == b.y && a.x > b.x); }

fn multiply(a: u32, b: u32) -> vec2u {
  let a_high = a >> 16u;
  let b_high = b >> 16u;
  let first = a_high * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
  let second = (a & 0xffffu) * b_high + (first & 0xffffu);
  return vec2u(a * b, a_high * b_high + (first >> 16u) + (second >> 16u));
}

fn share_of(fraction: vec2u, number: vec2u) -> vec3u {
  let low = multiply(fraction.x, number.x);
  let first = multiply(fraction.x, number.y);
  let second = multiply(fraction.y, number.x);
  let middle = plus_whole(plus_whole(vec2u(low.y, 0u), vec2u(first.x, 0u)), vec2u(second.x, 0u));
  let high = plus_whole(multiply(fraction.y, number.y), plus_whole(vec2u(first.y, 0u), vec2u(second.y, 0u)));
  return vec3u(plus_whole(high, vec2u(middle.y, 0u)), low.x | middle.x);
}
`;
