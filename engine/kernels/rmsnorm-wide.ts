/** y = x * weight / rms(x) where a step has few rows: see rmsnorm-wide.wgsl. Needs subgroups; grid and arguments are rmsnorm's. */
import { defineKernel } from './kernel.ts';
import { rmsnormConstants } from './rmsnorm.ts';

/** step, x, weight -> y */
export const rmsnormWide = defineKernel('rmsnorm-wide', ['read', 'read', 'read', 'write'], { enable: ['subgroups'] });

export const RMSNORM_THREADS = 256;

/** @param hidden a multiple of 4 */
export const rmsnormWideConstants = (hidden: number, eps: number, gather: boolean) => ({
  ...rmsnormConstants(hidden, eps, gather),
  THREADS: RMSNORM_THREADS,
});
