// The lessons of the tour, in their order; a link names them by their number.
import { FACTS } from './facts.ts';
import { FOURIER } from './fourier.ts';
import { INDIRECT_OBJECT } from './indirect_object.ts';
import { INDUCTION } from './induction.ts';
import type { Lesson } from './lesson.ts';
import { PERSONA } from './persona.ts';

export const LESSONS: readonly Lesson[] = [INDUCTION, INDIRECT_OBJECT, FACTS, PERSONA, FOURIER];
