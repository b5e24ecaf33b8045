// Before the tests of a file in Chrome: models whose caller says nothing have the tiling that compiles fastest, as they have in Node.
import { inject } from 'vitest';

localStorage.setItem('HYALINE_TILINGS', inject('tilings'));
