import { describe, expect, it } from 'vitest';
import { parseFlags } from '../../engine/flags.ts';
import { argvOf, engineFlags } from '../../src/target/engine-flags.ts';

const needs = {
  model: 'llama-3-8b@1/8',
  weights: 'f16',
  cells: ['c1'],
  adapters: [],
  maxAdapters: 8,
  maxServedRank: 2,
  maxTokens: 48,
  maxConcurrency: 4,
};

/** What the engine makes of the flags: the two must agree on every name and unit. */
async function configOf(flags: string[]) {
  const parsed = await parseFlags(flags);
  if ('show' in parsed) throw new Error(parsed.show);
  return { ...parsed.settings.config, port: parsed.settings.port };
}

describe('engineFlags', () => {
  it('sizes the engine by the plan', async () => {
    const sized = { model: 'llama-3-8b@1/8', port: 0, maxGpuLoras: 8, maxLoraRank: 2, maxModelLen: 48, maxNumSeqs: 4 };
    expect(await configOf(engineFlags(needs, {}))).toMatchObject(sized);
  });

  it('lets the scenario decide instead', async () => {
    const given = {
      device: 'swiftshader',
      seed: 7,
      maxModelLen: 100,
      maxNumSeqs: 2,
      maxNumBatchedTokens: 64,
      maxGpuLoras: 16,
      maxLoraRank: 8,
      batchInvariant: true,
    } as const;
    expect(await configOf(engineFlags(needs, given))).toMatchObject(given);
  });

  it('states memory in a unit that the engine reads', async () => {
    expect((await configOf(engineFlags(needs, { gpuMemory: 24e9 }))).gpuMemory).toBe(24e9);
  });

  it('leaves the number of sequences to the engine in an open loop, and has room for a warm-up', async () => {
    const flags = engineFlags({ ...needs, maxConcurrency: null, maxTokens: 3, maxAdapters: 0, maxServedRank: 0 }, {});
    expect(await configOf(flags)).toMatchObject({ maxNumSeqs: null, maxModelLen: 10, maxGpuLoras: 1, maxLoraRank: 1 });
  });

  it('writes settings as argv', () => {
    expect(argvOf({ maxGpuLoras: 4, batchInvariant: true, seed: undefined, off: false })).toEqual([
      '--max-gpu-loras',
      '4',
      '--batch-invariant',
    ]);
  });
});
