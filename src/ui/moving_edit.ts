// A change whose slider is moving: shown at once, run when the slider rests. No DOM here.
import type { Edit } from './state.ts';

/** A slider that moves on within this time has not arrived. */
const SETTLE_MS = 150;

export class MovingEdit {
  private from: Edit | null = null;
  private to: Edit | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** The list with the moving change as it will be. */
  in(edits: readonly Edit[]): readonly Edit[] {
    const { from, to } = this;
    return to ? edits.map((edit) => (edit === from ? to : edit)) : edits;
  }

  /** What a change of the list becomes: itself, unless it is the one that moves. */
  follow(edit: Edit | null): Edit | null {
    return edit !== null && edit === this.from ? this.to : edit;
  }

  /** Whether another change than this one is on its way. */
  isOther(edit: Edit): boolean {
    return this.from !== null && this.from !== edit;
  }

  /** @param arrive called once, when nothing has moved for a moment; must call `end` */
  move(from: Edit, to: Edit, arrive: () => void): void {
    clearTimeout(this.timer);
    [this.from, this.to] = [from, to];
    this.timer = setTimeout(arrive, SETTLE_MS);
  }

  end(): void {
    clearTimeout(this.timer);
    this.from = this.to = null;
  }
}
