// What JSX knows of an element: its tag and the properties that are set here.
import type { HyalineLogitLens } from 'hyaline/elements';
import type { DetailedHTMLProps, HTMLAttributes } from 'react';

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'hyaline-logit-lens': DetailedHTMLProps<HTMLAttributes<HyalineLogitLens>, HyalineLogitLens> &
        Partial<Pick<HyalineLogitLens, 'model' | 'run'>>;
    }
  }
}
