// The page's Content-Security-Policy: no view violates it, and what an attacker would try is refused.
import { expect, test } from 'vitest';
import { SHOWN_VIEWS, showView } from './each_view.ts';
import type { PageDriver } from './page_driver.ts';

declare global {
  /** Directives that were violated, in the page under test. */
  var violations: string[];
}

export function contentPolicyTests(driver: () => PageDriver): void {
  test('every view keeps to the policy, and no request leaves the origin', async () => {
    const { page, problems } = driver();
    const before = problems.length;
    await page.evaluate(() => {
      globalThis.violations = [];
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => {
        violations.push([violatedDirective, blockedURI, sample].join(' '));
      });
    });
    for (const view of SHOWN_VIEWS) await showView(driver(), view);
    await page.waitForNetworkIdle({ idleTime: 100 });
    expect(await page.evaluate(() => violations)).toEqual([]);
    expect(problems.slice(before)).toEqual([]);
  });

  test('scripts and workers are files of the page, for browsers too that know no trusted types', async () => {
    const policy = await driver().page.$eval('meta[http-equiv="Content-Security-Policy"]', (meta) => meta.content);
    const directives = policy.split(';').map((directive) => directive.trim());
    expect(directives).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "worker-src 'self'"]),
    );
  });

  /** What is tried, and the directive that must refuse it. */
  const attempts: readonly (readonly [what: string, directive: string, code: string])[] = [
    ['eval', 'require-trusted-types-for', "eval('1')"],
    ['text as HTML', 'require-trusted-types-for', "document.createElement('p').innerHTML = '<b>'"],
    ['a worker out of a blob', 'require-trusted-types-for', "new Worker(URL.createObjectURL(new Blob(['1'])))"],
    ['an inline handler', 'require-trusted-types-for', "document.body.setAttribute('onclick', 'close()')"],
    ['a script that is no file of the page', 'script-src-elem', "await import('data:text/javascript,1')"],
    ['a request to another origin', 'connect-src', "await fetch('https://example.invalid/')"],
  ];

  test.each(attempts)('%s is refused', async (_, directive, code) => {
    const { page, problems } = driver();
    const before = problems.length;
    // In a timer: scripts that DevTools evaluates are allowed more than the page's own.
    const outcome = await page.evaluate(`new Promise((resolve) => {
      addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective), { once: true });
      setTimeout(async () => {
        try {
          ${code};
          setTimeout(() => resolve('was done'), 100); // violations are told a little later
        } catch {}
      });
    })`);
    problems.splice(before);
    expect(outcome).toBe(directive);
  });
}
