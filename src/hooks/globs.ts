// Globs over names: what a pattern such as `blocks.{0,3}.attn.hook_*` means. Names have no folders, so `*` crosses everything.
// Not for paths.

/** One piece of a glob: alternatives, a set of characters, or a character. */
const PIECE = /\{([^{}]*)\}|\[([!^]?)([^[\]]+)\]|./gs;

/** Whether this is a glob; any other text is a name. */
export function isGlob(text: string): boolean {
  return /[*?]|\{[^{}]*\}|\[[^[\]]+\]/.test(text);
}

/**
 * Whether a name is meant: `*` is any text, `?` any character, `[0-3]` one of these, `[!0-3]` one but these, `{a,b}` either.
 * @example
 * globMatcher('blocks.[0-3].attn.hook_{q,k}')('blocks.2.attn.hook_k'); // true
 */
export function globMatcher(glob: string): (name: string) => boolean {
  const pattern = new RegExp(`^${regularExpression(glob)}$`, 's');
  return (name) => pattern.test(name);
}

function regularExpression(glob: string): string {
  return glob.replace(PIECE, (piece, alternatives?: string, not?: string, members?: string) => {
    if (alternatives !== undefined) return `(?:${alternatives.split(',').map(regularExpression).join('|')})`;
    if (members !== undefined) return oneOf(members, not !== '');
    if (piece === '*') return '.*';
    if (piece === '?') return '.';
    return piece.replace(/[\\^$.|+()[\]{}]/, '\\$&');
  });
}

/** One of the members, which may be ranges; a range that runs backwards has none. */
function oneOf(members: string, isNegated: boolean): string {
  const literally = (character: string) => character.replace(/[\\^-]/, '\\$&');
  const set = members.replace(/(.)-(.)|./gs, (member, from?: string, to?: string) => {
    if (from === undefined || to === undefined) return literally(member);
    return from > to ? '' : `${literally(from)}-${literally(to)}`;
  });
  return `[${isNegated ? '^' : ''}${set}]`;
}
