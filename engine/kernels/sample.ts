/** ids = next tokens: see sample.wgsl. */
import { HEADER, SAMPLE_WORDS } from '../scheduler/step-data.ts';
import { defineKernel, type Grid } from './kernel.ts';

/** step, logits -> ids */
export const sample = defineKernel('sample', ['read', 'read', 'write'], { parts: ['lowbias32'] });
export const sampleConstants = (vocab: number) => ({
  VOCAB: vocab,
  SAMPLES_AT: HEADER.SAMPLES_AT,
  SAMPLE_WORDS,
  END_IDS: HEADER.END_IDS,
});
export const sampleGrid = (samples: number): Grid => [samples, 1, 1];
