/** x = table[tokens]: see embed.wgsl. */
import { HEADER } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';

/** step, previous ids, table -> x */
export const embed = defineKernel('embed', ['read', 'read', 'read', 'write']);
export const embedConstants = (hidden: number) => ({ HIDDEN: hidden, ROWS_AT: HEADER.ROWS_AT });
export const embedGrid = (hidden: number, rows: number): Grid => [Math.ceil(hidden / 128), rows, 1];
