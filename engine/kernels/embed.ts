/** x = table[tokens]: see embed.wgsl. */
import { HEADER } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';
import { layoutConstants, type WeightLayout } from './weight-format.ts';

/** step, previous ids, table -> x */
export const embed = defineKernel('embed', ['read', 'read', 'read', 'write'], { parts: ['weight-words'] });
/** @param layout of the table: f16 */
export const embedConstants = (hidden: number, layout: WeightLayout) => ({
  HIDDEN: hidden,
  ROWS_AT: HEADER.ROWS_AT,
  ...layoutConstants(layout),
});
export const embedGrid = (hidden: number, rows: number): Grid => [Math.ceil(hidden / 128), rows, 1];
