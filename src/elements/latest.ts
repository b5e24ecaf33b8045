// Computations that overtake each other: only the result of the last one begun is shown.

/**
 * @example
 * const isLatest = this.latest.begin();
 * const rows = await logitLens(model, cache);
 * if (isLatest()) this.shown = rows;
 */
export class Latest {
  private turn = 0;

  /** Ends what was under way. The function that comes back says whether this is still the last one begun. */
  begin(): () => boolean {
    const turn = ++this.turn;
    return () => turn === this.turn;
  }
}
