// Addresses of models on the Hugging Face hub: `hf:owner/name@revision`. What is kept of their files is `hub.ts`'s business.
import { isNode } from './node.ts';
import type { Source } from './source.ts';
import { urlSource } from './url_source.ts';

/** A model's place on the hub. */
export interface HubName {
  /** `owner/name`, or the name alone of some old models. */
  readonly repository: string;
  /** A branch, a tag, a commit, or `refs/pr/…`. */
  readonly revision: string;
}

/**
 * @throws Error where this is no name of the hub's
 * @example
 * parseHubName('hf:openai-community/gpt2'); // { repository: 'openai-community/gpt2', revision: 'main' }
 */
export function parseHubName(location: string): HubName {
  const match = /^hf:((?:\w[\w.-]*\/)?\w[\w.-]*)(?:@(.+))?$/.exec(location);
  if (!match) {
    throw new Error(`source: expected hf:owner/name or hf:owner/name@revision, got ${JSON.stringify(location)}`);
  }
  const [, repository, revision = 'main'] = match;
  return { repository, revision };
}

/** The hub, or in Node what HF_ENDPOINT names in its place. */
export function hubEndpoint(): string {
  const other = isNode() ? process.env.HF_ENDPOINT : undefined;
  return (other || 'https://huggingface.co').replace(/\/+$/, '');
}

/** The files of a model as the hub gives them. */
export function hubFiles({ repository, revision }: HubName): Source {
  return urlSource(new URL(`${hubEndpoint()}/${repository}/resolve/${encodeURIComponent(revision)}/`));
}
