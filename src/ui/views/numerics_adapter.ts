// What the adapter does to float32, as a table of plain statements: its fingerprint, measured in a worker.
import { html, nothing, type TemplateResult } from 'lit';
import type { BuiltinErrors, Fingerprint, FingerprintProperties } from '../../index.ts';
import { JobView } from '../job_view.ts';
import { NumericsClient } from '../numerics_client.ts';

const KEY = 'fingerprint';

type Asked = Exclude<keyof FingerprintProperties, 'version' | 'zeroSigns' | 'builtinErrors'>;

/** What was asked about what; the answers are in the fingerprint's own words. */
const STATEMENTS: Readonly<Record<Asked, string>> = {
  rounding: 'sums, differences and products are rounded to',
  multiplyAdd: 'a·b + c as it is written has',
  fma: 'the built-in fma(a, b, c) has',
  barrierFromUniform: 'the rounding barrier holds, with a zero from a uniform buffer',
  barrierFromStorage: 'the rounding barrier holds, with a zero from a storage buffer',
  barrierOfBrackets: 'brackets that pass the barrier are kept',
  sums: 'long sums are added',
  sumsOfProducts: 'sums of products that pass the barrier are added',
  sumsWithConstant: '0.7 + (a + b) is added',
  productsWithConstant: '0.7·(a·b) is multiplied',
  twoConstants: 'two constants in one expression are taken',
  divisionByConstant: 'a / 0.7 is',
  commonFactor: 'a·b + a·c is',
  commonFactorOfFma: 'the same with fma is',
  cancellation: '(a + b) − a is',
  constantCancellation: '(a + 2^24) − 2^24 is',
  twoSum: 'two-sum gives the exact error of an addition',
  split: 'splitting a number by its bits is exact',
  subnormalCopies: 'copies of subnormal numbers are',
  subnormalInputs: 'subnormal factors and terms are',
  subnormalSums: 'subnormal sums are',
  subnormalProducts: 'subnormal products are',
  productsJustBelowNormal: 'products just below 2^-126 are',
  selfDifference: '∞ − ∞ of one variable is',
  timesZero: '∞ · 0 with a constant 0 is',
  overflow: 'an overflow gives',
  nanByComparison: 'x != x tells NaN',
  nanByBits: 'its bits tell NaN',
  nanMade: '∞ − ∞ and 0·∞ make NaN',
  nanPassed: 'sums and products pass NaN on',
  minMaxOfNan: 'min and max of NaN and a number give',
  tanhOfLarge: 'tanh of ±100 is',
  subgroupSize: 'invocations in a subgroup',
  subgroupAdd: 'subgroupAdd adds',
};

class NumericsAdapter extends JobView {
  override render() {
    const { device } = this.session;
    if (!device) return nothing;
    const job = this.jobs.get<Fingerprint>(device, KEY);
    return html`<section aria-label="Adapter's fingerprint"><h2>The adapter's fingerprint
        <small>What ${this.session.adapterText} does to float32 numbers, found by computing with numbers that no compiler knows.</small></h2>
      ${this.controls({
        of: device,
        key: KEY,
        label: 'Take the fingerprint',
        work: NumericsClient.of(this.session).work({ kind: 'fingerprint' }),
      })}
      <div aria-live="polite">${job?.state === 'done' ? statements(job.value) : nothing}</div></section>`;
  }
}

function statements(fingerprint: Fingerprint): TemplateResult {
  const { id, summary, zeroSigns, builtinErrors } = fingerprint;
  const signs = Object.entries(zeroSigns).filter(([, isKept]) => !isKept);
  const rows: (readonly [string, string])[] = [
    ...(Object.keys(STATEMENTS) as Asked[]).map((key) => [STATEMENTS[key], answer(fingerprint[key])] as const),
    ['the sign of zero is lost in', signs.length === 0 ? 'nothing' : signs.map(([name]) => words(name)).join(', ')],
    ...(Object.entries(builtinErrors) as [string, BuiltinErrors[keyof BuiltinErrors]][]).map(
      ([name, error]) =>
        [`largest error of the built-in ${words(name)}`, error === 'not finite' ? error : `${error} ULP`] as const,
    ),
  ];
  return html`<p>Fingerprint <code class="digest" id="fingerprint">${id}</code>: ${summary}.</p>
    <p class="muted">Two machines with the same eight digits gave the same answers to all of this.</p>
    <ul class="statements">${rows.map(([what, how]) => html`<li><span class="muted">${what}</span> <span>${how}</span></li>`)}</ul>`;
}

function answer(given: string | number | boolean | null): string {
  if (typeof given === 'boolean') return given ? 'yes' : 'no';
  return given === null ? 'there are none' : String(given);
}

/** `tanhNearZero`: tanh near zero. */
const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

customElements.define('numerics-adapter', NumericsAdapter);
