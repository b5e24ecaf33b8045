// The page in real Chrome, feature by feature: each file beside this one registers the tests of one part, and all share one tab, because
// loading and compiling take most of the time.
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { accessibilityTests } from './accessibility.ts';
import { attributionTests } from './attribution.ts';
import { changeTests } from './changes.ts';
import { contentPolicyTests } from './content_policy.ts';
import { frameTests } from './frame.ts';
import { generateTests } from './generate.ts';
import { countOnGpu } from './gpu_memory.ts';
import { keepTests } from './keep.ts';
import { lensAndAttentionTests } from './lens_attention.ts';
import { loadingTests } from './loading.ts';
import { mapTests } from './map.ts';
import { measureTests } from './measure.ts';
import { numericsTests } from './numerics.ts';
import { openPage, type PageDriver } from './page_driver.ts';
import { patchingTests } from './patching.ts';
import { predictionTests } from './predictions.ts';
import { recordingTests } from './recording.ts';
import { countShifts, responsivenessTests } from './responsiveness.ts';
import { tourTests } from './tour.ts';
import { valueTests } from './value.ts';

let page: PageDriver;
const driver = () => page;

beforeAll(async () => {
  page = await openPage({
    root: inject('repositoryRoot'),
    prepare: async (tab) => {
      await tab.evaluateOnNewDocument(countOnGpu);
      await tab.evaluateOnNewDocument(countShifts);
    },
  });
});

afterAll(async () => {
  await page?.close();
});

describe('next tokens', () => predictionTests(driver));
describe('content security policy', () => contentPolicyTests(driver));
describe('accessibility', () => accessibilityTests(driver));
describe('frame', () => frameTests(driver));
describe('changes', () => changeTests(driver));
describe('patching', () => patchingTests(driver));
describe('generate', () => generateTests(driver));
describe('map', () => mapTests(driver));
describe('value', () => valueTests(driver));
describe('lens and attention', () => lensAndAttentionTests(driver));
describe('attribution', () => attributionTests(driver));
describe('numbers', () => numericsTests(driver));
describe('measure', () => measureTests(driver));
describe('responsiveness', () => responsivenessTests(driver));
describe('tour', () => tourTests(driver));
describe('recording', () => recordingTests(driver));
describe('keep', () => keepTests(driver));
describe('opening models', () => loadingTests(driver));

test('the console stays empty, and nothing is asked of another origin', () => {
  expect(page.problems.join('\n')).toBe('');
});
