import { describe, expect, it } from 'vitest';
import { parseFlags } from '../../engine/flags.ts';
import { MODULES } from '../../engine/models/projections.ts';
import type { EngineNeeds } from '../../src/plan/engine-plan.ts';
import { argvOf, engineFlags } from '../../src/target/engine-flags.ts';

const nowhere = { folder: null, mergedPath: null };
const needs: EngineNeeds = {
  model: 'llama-3-8b@1/8',
  weights: 'f16',
  cells: ['c1'],
  adapters: [],
  merged: null,
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
    expect(await configOf(engineFlags(needs, {}, nowhere))).toMatchObject(sized);
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
    expect(await configOf(engineFlags(needs, given, nowhere))).toMatchObject(given);
  });

  it('states memory in a unit that the engine reads', async () => {
    expect((await configOf(engineFlags(needs, { gpuMemory: 24e9 }, nowhere))).gpuMemory).toBe(24e9);
  });

  it('leaves the number of sequences to the engine in an open loop, and has room for a warm-up', async () => {
    const few = { ...needs, maxConcurrency: null, maxTokens: 3, maxAdapters: 0, maxServedRank: 0 };
    const flags = engineFlags(few, {}, nowhere);
    expect(await configOf(flags)).toMatchObject({ maxNumSeqs: null, maxModelLen: 10, maxGpuLoras: 1, maxLoraRank: 1 });
  });

  const adapter = { name: 'r16-dora-a1', rank: 16, servedRank: 2, kind: 'dora', seed: 1, modules: MODULES } as const;

  it('keeps every adapter that is a file in host memory, and at least those on the device', async () => {
    const files = { ...needs, adapters: [{ ...adapter, inFile: true }] };
    expect(await configOf(engineFlags(files, {}, nowhere))).toMatchObject({ maxGpuLoras: 8, maxCpuLoras: 8 });
    const given = engineFlags(files, { maxGpuLoras: 16 }, nowhere);
    expect(await configOf(given)).toMatchObject({ maxGpuLoras: 16, maxCpuLoras: 16 });
    const few = engineFlags(files, { maxGpuLoras: 2, maxCpuLoras: 4 }, nowhere);
    expect(await configOf(few)).toMatchObject({ maxGpuLoras: 2, maxCpuLoras: 4 });
  });

  it('names the adapter that is folded into the weights', async () => {
    const merged = { ...needs, merged: adapter.name, maxAdapters: 1, adapters: [{ ...adapter, inFile: true }] };
    const flags = engineFlags(merged, { maxGpuLoras: 4 }, { folder: null, mergedPath: '/tmp/x/r16-dora-a1' });
    expect(await configOf(flags)).toMatchObject({ merge: { name: adapter.name, path: '/tmp/x/r16-dora-a1' } });
  });

  it("gives a folder's path for its model", () => {
    const flags = engineFlags({ ...needs, model: 'mine' }, {}, { folder: '/models/mine', mergedPath: null });
    expect(flags.slice(0, 2)).toEqual(['--model', '/models/mine']);
  });

  it('writes settings as argv', () => {
    expect(argvOf({ maxGpuLoras: 4, batchInvariant: true, seed: undefined, off: false })).toEqual([
      '--max-gpu-loras',
      '4',
      '--batch-invariant',
    ]);
  });
});
