/** What a model takes on the device, worked out by hand for known ones, and refused with the arithmetic when it does not fit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EngineConfig } from '../../../engine/config.ts';
import { EngineError } from '../../../engine/errors.ts';
import { pagesFor } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf, PRESETS } from '../../../engine/models/geometry.ts';
import { loraLayout } from '../../../engine/transformer/dimensions.ts';
import { type DeviceLimits, KV_BLOCK, planMemory } from '../../../engine/transformer/memory-plan.ts';

const GIB = 2 ** 30;
const config: EngineConfig = {
  model: 'llama-3-8b',
  servedModelName: null,
  weights: 'f16',
  seed: 0,
  device: 'auto',
  maxModelLen: null,
  maxNumSeqs: null,
  maxNumBatchedTokens: null,
  maxGpuLoras: 32,
  maxCpuLoras: 64,
  maxLoraRank: 16,
  gpuMemory: null,
  batchInvariant: false,
  merge: null,
  kernels: 'portable',
  profile: false,
  validate: false,
};
const gpu: DeviceLimits = { software: false, maxBufferSize: 16 * GIB, maxStorageBufferBindingSize: 2 ** 31 - 4 };
const known = (name: string): Geometry => geometryOf(name) as Geometry;

/** Bytes of A and B of an adapter in the pools of all layers. */
const adapterBytes = (g: Geometry, rank: number): number => {
  const { aWords, bWords, columnWords } = loraLayout(g, pagesFor(1, rank), rank, 1);
  return 4 * (aWords + bWords - columnWords) * g.layers;
};

function refusal(g: Geometry, given: Partial<EngineConfig>, limits: DeviceLimits): EngineError {
  try {
    planMemory(g, { ...config, ...given }, limits);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('llama-3-8b in f16', () => {
  const g = known('llama-3-8b');
  const plan = planMemory(g, config, gpu);

  it('has 16.06 GB of weights: two bytes for each, and one vector of ones in place of 65 norms', () => {
    expect(plan.weightBytes).toBe(2 * (8_030_261_248 - 65 * 4096) + 4 * 4096);
    expect((plan.weightBytes / 1e9).toFixed(2)).toBe('16.06');
  });

  it("has four bytes for each of a checkpoint's norms", () => {
    const own = planMemory(g, config, gpu, { norms: 'own' });
    expect(own.weightBytes).toBe(2 * (8_030_261_248 - 65 * 4096) + 65 * 4 * 4096);
  });

  it('takes 83.9 MB for an adapter of rank 16 on all seven projections', () => {
    // Inputs and outputs of q, k, v, o, gate, up and down: 81,920 in all; 16 ranks, 2 bytes, 32 layers.
    expect(adapterBytes(g, 16)).toBe(81_920 * 16 * 2 * 32);
    // Outputs alone: 43,008; of each of the 32 slots a word for each, for DoRA's g and biases.
    expect(plan.loraBytes).toBe(32 * 81_920 * 16 * 2 * 32 + 32 * 43_008 * 4 * 32);
    expect(plan.lines.join()).toContain("32 slots up to rank 16, 168.0 MiB of it for DoRA's columns and biases");
  });

  it('takes nothing for adapters without slots, and says what is folded into the weights', () => {
    const merge = { name: 'sql', path: './sql' };
    const merged = planMemory(g, { ...config, maxGpuLoras: 0, merge }, gpu);
    expect(merged.loraBytes).toBe(0);
    expect(merged.lines.join()).toContain('no slots; sql is folded into the weights');
  });

  it('takes 131,072 bytes of KV cache a token', () => {
    expect(plan.kvBytes).toBe(plan.kvBlocks * KV_BLOCK * 131_072);
  });

  it('gives the cache what is left of the memory stated', () => {
    const { kvBlocks, kvBytes, weightBytes, loraBytes, scratchBytes } = planMemory(
      g,
      { ...config, gpuMemory: 24 * GIB },
      gpu,
    );
    const left = 24 * GIB - weightBytes - loraBytes - scratchBytes;
    expect(kvBlocks).toBe(Math.floor(left / (KV_BLOCK * 131_072)));
    expect(kvBytes).toBeLessThanOrEqual(left);
  });
});

it('takes 13.3 GB for 32 adapters of rank 16 on llama-3-70b', () => {
  expect(((32 * adapterBytes(known('llama-3-70b'), 16)) / 1e9).toFixed(1)).toBe('13.3');
});

describe('llama-3-70b in int4, for 32 sequences of 2,048 tokens and 32 adapters of rank 16', () => {
  const g = known('llama-3-70b');
  const asked = { ...config, weights: 'int4', maxNumSeqs: 32, maxModelLen: 2048, gpuMemory: 80e9 } as const;
  const plan = planMemory(g, asked, gpu);
  const table = 128_256 * 8192;

  it('has 41.2 GB of weights: 9/16 of a byte for each, and two for those of the embeddings', () => {
    const norms = (2 * 80 + 1) * 8192;
    expect(plan.weightBytes).toBe(((70_553_706_496 - norms - table) * 9) / 16 + 2 * table + 4 * 8192);
    expect((plan.weightBytes / 1e9).toFixed(1)).toBe('41.2');
    expect(plan.lines[0]).toMatch(
      /80 layers of 459\.0 MiB, embedding of 2004\.0 MiB, head of 563\.6 MiB; int4, and f16 emb/,
    );
  });

  it('takes 77 GB, which just fits 80', () => {
    expect(plan.kvBlocks).toBe((32 * 2048) / KV_BLOCK);
    const { weightBytes, loraBytes, kvBytes, scratchBytes } = plan;
    expect((kvBytes / 1e9).toFixed(1)).toBe('21.5');
    // 13.3 GB, and 0.8 GB of DoRA's columns and biases.
    expect((loraBytes / 1e9).toFixed(1)).toBe('14.1');
    expect(Math.round((weightBytes + loraBytes + kvBytes) / 1e9)).toBe(77);
    expect((weightBytes + loraBytes + kvBytes + scratchBytes) / 1e9).toBeLessThan(80);
  });

  it('does not fit in int8 or f16', () => {
    for (const weights of ['int8', 'f16'] as const) expect(refusal(g, { ...asked, weights }, gpu).code).toBe('too_big');
  });
});

it('gives a tied head no bytes of its own in any format', () => {
  const g = known('llama-3.2-1b');
  const table = 128_256 * 2048 * 2;
  const bytes = (weights: EngineConfig['weights']) => planMemory(g, { ...config, weights }, gpu).weightBytes;
  const rest = bytes('f16') - table - 4 * 2048;
  expect(bytes('int8') - table - 4 * 2048).toBe((rest * 17) / 32);
  expect(bytes('int4') - table - 4 * 2048).toBe((rest * 9) / 32);
});

describe('too big', () => {
  const g = known('llama-3-8b');

  it('for the memory stated, with every part of the sum and what would fit', () => {
    const error = refusal(g, { gpuMemory: 16 * GIB }, gpu);
    expect([error.code, error.exitCode]).toEqual(['too_big', 2]);
    expect(error.message).toMatch(
      /llama-3-8b does not fit the device: the KV cache needs at least 512 blocks \(one sequence of 8192 tokens, 1024\.0 MiB\)/,
    );
    for (const line of [
      /weights +15316\.0 MiB/,
      /adapters +2728\.0 MiB +32 slots up to rank 16/,
      /scratch/,
      /of 16384\.0 MiB/,
    ]) {
      expect(error.message).toMatch(line);
    }
    expect(error.hint).toContain('llama-3-8b@1/8');
  });

  it('for one buffer, naming its size and the most the device allows', () => {
    const error = refusal(g, {}, { software: true, maxBufferSize: 2 * GIB, maxStorageBufferBindingSize: GIB / 2 });
    expect(error.code).toBe('too_big');
    // The largest: embedding and head, 128,256 rows of 4,096.
    expect(error.message).toContain('its embedding table takes 1002.0 MiB, a buffer of this device at most 512.0 MiB');
  });

  it('for the logits of the sequences asked for', () => {
    const limits = { software: true, maxBufferSize: 2 * GIB, maxStorageBufferBindingSize: GIB / 8 };
    const error = refusal(known('smollm2-135m'), { maxNumSeqs: 1024 }, limits);
    expect(error.message).toContain('its buffer "logits" takes 192.0 MiB, a buffer of this device at most 128.0 MiB');
  });

  it('for the adapters asked for', () => {
    const error = refusal(g, { maxGpuLoras: 2000, maxLoraRank: 64 }, gpu);
    expect(error.message).toMatch(/its adapter pool of a layer takes .* a buffer of this device at most 2048\.0 MiB/);
  });
});

describe('rows and sequences', () => {
  const g = known('llama-3-8b');

  it('refuses fewer rows a step than sequences, since each running one needs a row', () => {
    const error = refusal(g, { maxNumBatchedTokens: 64, maxNumSeqs: 65 }, gpu);
    expect([error.code, error.exitCode]).toEqual(['usage', 2]);
    expect(error.message).toContain('--max-num-batched-tokens 64 is below --max-num-seqs 65');
  });

  it('takes the rows asked for, with fewer sequences than usual where nobody said how many', () => {
    const plan = planMemory(g, { ...config, maxNumBatchedTokens: 64 }, gpu);
    expect([plan.maxNumBatchedTokens, plan.maxNumSeqs]).toEqual([64, 64]);
  });

  it('refuses more rows than a dispatch can hold', () => {
    const small = known('llama-3-8b@1/8');
    const rows = { maxModelLen: 8192, maxNumSeqs: 16 };
    expect(planMemory(small, { ...config, ...rows, maxNumBatchedTokens: 65_535 }, gpu).maxNumBatchedTokens).toBe(
      65_535,
    );
    expect(refusal(small, { ...rows, maxNumBatchedTokens: 65_536 }, gpu).code).toBe('usage');
  });

  it('asks a GPU for a cache that holds all the sequences asked for, and halves that when told to', () => {
    const asked = { ...config, maxNumSeqs: 250, maxModelLen: 400 };
    expect(planMemory(g, asked, gpu).kvBlocks).toBe(250 * 25);
    const half = planMemory(g, asked, gpu, { shrinkKv: 0.5 });
    expect(half.kvBlocks).toBe(125 * 25);
    expect(half.lines.join()).toContain('125 of 250 sequences at full length');
  });
});

it('keeps its promises for any preset, limits and memory', () => {
  const models = fc.constantFrom(...Object.values(PRESETS));
  const asked = fc.record({
    maxModelLen: fc.option(fc.integer({ min: 1, max: 8192 })),
    maxNumSeqs: fc.option(fc.integer({ min: 1, max: 512 })),
    maxNumBatchedTokens: fc.option(fc.integer({ min: 1, max: 4096 })),
    maxGpuLoras: fc.nat(64),
    maxLoraRank: fc.integer({ min: 1, max: 128 }),
    gpuMemory: fc.option(fc.integer({ min: 1, max: 200 }).map((gib) => gib * GIB)),
  });
  fc.assert(
    fc.property(models, asked, fc.boolean(), (g, given, software) => {
      const limits = { ...gpu, software };
      let plan: ReturnType<typeof planMemory>;
      try {
        plan = planMemory(g, { ...config, ...given }, limits);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        if (error.code === 'too_big') return;
        // The only other refusal: fewer rows a step than sequences, both asked for.
        expect(error.code).toBe('usage');
        expect(given.maxNumBatchedTokens).toBeLessThan(given.maxNumSeqs ?? 0);
        return;
      }
      const total = plan.weightBytes + plan.loraBytes + plan.kvBytes + plan.scratchBytes;
      if (given.gpuMemory !== null) expect(total).toBeLessThanOrEqual(given.gpuMemory);
      expect(plan.kvBlocks).toBeGreaterThanOrEqual(Math.ceil(plan.maxModelLen / KV_BLOCK));
      expect(plan.kvBlocks).toBeLessThanOrEqual(plan.maxNumSeqs * Math.ceil(plan.maxModelLen / KV_BLOCK));
      expect(plan.maxNumBatchedTokens).toBeGreaterThanOrEqual(plan.maxNumSeqs);
      expect(plan.maxModelLen).toBeLessThanOrEqual(g.maxPosition);
      const words = [plan.weightBytes, plan.loraBytes, plan.kvBytes, plan.scratchBytes, plan.stepWords];
      for (const word of words) expect(Number.isSafeInteger(word)).toBe(true);
    }),
  );
});
