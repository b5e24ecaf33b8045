// The views that the page has, one after the other, for tests that look at all of them.
import type { PageState, ViewName } from '../../src/ui/state.ts';
import { VIEW_ENTRIES } from '../../src/ui/views/index.ts';
import type { PageDriver } from './page_driver.ts';

/** Names of the views that have a tab. */
export const SHOWN_VIEWS = Object.keys(VIEW_ENTRIES) as ViewName[];

/** Goes to a view and waits until its element stands there. */
export async function showView(
  { page, show }: PageDriver,
  view: ViewName,
  state: Partial<PageState> = {},
): Promise<void> {
  await show({ ...state, view });
  await page.waitForSelector(`#view > ${VIEW_ENTRIES[view]?.tag}`);
}
