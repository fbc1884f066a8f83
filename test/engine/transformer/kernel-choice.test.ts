/** Kernels that were asked for and cannot be had are refused before anything is served, in words that say why. */
import { expect, it } from 'vitest';
import { makeModel } from './generate.ts';

const SMALL = { model: 'llama-3.2-1b@1/8', seed: 1, maxNumBatchedTokens: 64 } as const;

it('beside batch invariance, whose sums have one order', async () => {
  for (const kernels of ['fast', ['flash']] as const) {
    await expect(makeModel({ ...SMALL, batchInvariant: true, kernels })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('--batch-invariant keeps to the portable kernels'),
    });
  }
});

it('on a device that lacks what they need', async () => {
  const { facts } = await (await import('../../support/device.ts')).testDevice();
  if (facts.matrix) return;
  await expect(makeModel({ ...SMALL, kernels: ['tiles'] })).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/^--kernels: tiles needs /),
  });
});
