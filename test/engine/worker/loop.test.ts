/** The order of the step loop: one step ahead where the device works beside it, one at a time where submitting blocks. */
import { expect, test } from 'vitest';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { Scheduler } from '../../../engine/scheduler/scheduler.ts';
import { Sequence } from '../../../engine/scheduler/sequence.ts';
import { StepLoop } from '../../../engine/worker/loop.ts';

/** What happens, in order, while one sequence of three tokens runs; the device answers each step with id 7. */
async function events(submitBlocks: boolean): Promise<string[]> {
  const seen: string[] = [];
  const scheduler = new Scheduler({
    maxNumSeqs: 1,
    maxNumBatchedTokens: 8,
    blocks: new BlockManager(4, 16),
    endIds: [],
  });
  const request = {
    prompt: new Uint32Array([1, 2]),
    adapter: null,
    maxTokens: 3,
    minTokens: 0,
    ignoreEos: true,
    temperature: 0,
    topP: 1,
    topK: 0,
    seed: 0,
  };
  const sequence = new Sequence(1, request, null, 0);
  scheduler.add(sequence);
  let steps = 0;
  const device = {
    submit: () => {
      const step = ++steps;
      seen.push(`submit ${step}`);
      const queries = { decodes: 1, longest: 1, queryTiles: 0 };
      const shape = { rows: 1, samples: 1, tiles: 0, maxRank: 0, loraRows: 0, ...queries };
      const bytes = { weightBytes: 0, kvBytes: 0, adapterBytes: 0, uploadBytes: 0 };
      const work = { dispatches: 1, paddedRows: 0, adapters: 0, ...bytes };
      return { shape, work, profile: null, ids: async () => new Uint32Array([7]) };
    },
  };
  const loop = new StepLoop(device, scheduler, {
    submitBlocks,
    deliver: (deliveries) => seen.push(...deliveries.map(({ finish }) => `deliver ${finish ?? ''}`.trim())),
  });
  await loop.wake();
  expect(loop.counters.steps).toBe(3);
  expect(sequence.prefillStart).toBeGreaterThan(0);
  expect(sequence.firstToken).toBeGreaterThanOrEqual(sequence.prefillStart);
  return seen;
}

test('plans and submits a step before it delivers the one before', async () => {
  expect(await events(false)).toEqual(['submit 1', 'submit 2', 'deliver', 'submit 3', 'deliver', 'deliver length']);
});

test('delivers a step before it submits the next where submitting blocks until the work is done', async () => {
  expect(await events(true)).toEqual(['submit 1', 'deliver', 'submit 2', 'deliver', 'submit 3', 'deliver length']);
});
