/** y = x * weight / rms(x), of every row or of the sampled rows: see rmsnorm.wgsl. */
import { HEADER, SAMPLE_WORDS } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';

/** step, x, weight -> y */
export const rmsnorm = defineKernel('rmsnorm', ['read', 'read', 'read', 'write']);
export const rmsnormConstants = (hidden: number, eps: number, gather: boolean) => ({
  HIDDEN: hidden,
  EPS: eps,
  GATHER: gather ? 1 : 0,
  SAMPLES_AT: HEADER.SAMPLES_AT,
  SAMPLE_WORDS,
});
export const rmsnormGrid = (rows: number): Grid => [rows, 1, 1];
