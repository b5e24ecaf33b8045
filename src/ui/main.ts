// The page: opens what its link says. `hyaline` in the console holds what it shows.
import './app.ts';
import type { App } from './app.ts';
import { linkOf, readLink } from './link.ts';
import { createReport, type Report } from './report.ts';
import { Session } from './session.ts';

declare global {
  /** For the console, for tests and for `npm start`. */
  var hyaline: {
    readonly session: Session;
    readonly report: () => Promise<Report>;
    /** Goes to what a link says; resolves when it has been run. */
    readonly open: (link: string) => Promise<void>;
    /** The bytes of a recording of what is shown. */
    readonly record: () => Promise<Uint8Array>;
  };
}

const { state, problems } = readLink(location.hash);
const session = new Session(state);

/** Goes to a link of this page without loading the page again. */
async function open(link: string): Promise<void> {
  const { state: next, problems } = readLink(link);
  app.linkProblems = problems;
  if (linkOf(next) !== linkOf(session.state)) await session.update(next);
}

async function record(): Promise<Uint8Array> {
  return (await import('./recording.ts')).recordSession(session);
}

globalThis.hyaline = { session, report: () => createReport(session), open, record };

session.addEventListener('change', () => {
  document.documentElement.dataset.state = session.status.activity; // also for CSS and tests
  const link = linkOf(session.state);
  if (link !== (location.hash || '#')) history.replaceState(null, '', link);
});

/** A link that is opened in the same tab. */
addEventListener('hashchange', () => open(location.hash));

const app = document.createElement('hyaline-app') as App;
app.session = session;
app.linkProblems = problems;
document.querySelector('#page')?.replaceChildren(app);
session.start();
