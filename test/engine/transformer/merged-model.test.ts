/**
 * Merged mode as a model: what is folded in answers as the adapter beside the base does, and what cannot be folded ends the
 * start with the reason. Numbers against peft's own merging are in golden-adapters.test.ts.
 *
 * BOUND: f16 keys and values alone move this model's logits, which have a spread of 1, by up to 0.010 (test/golden); a slot
 * rounds A and B to f16, merging their product with the weights, which is of the same order. Measured: 0.008 between the two
 * ways, where the adapter itself moves logits by 3.8.
 */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EngineConfig } from '../../../engine/config.ts';
import { EngineError } from '../../../engine/errors.ts';
import { Model } from '../../../engine/transformer/model.ts';
import { testDevice } from '../../support/device.ts';
import { distance, generate, load, makeModel, someIds } from './generate.ts';

const BOUND = 0.03;
const SPEC = { rank: 13, seed: 7 };
const PATH = `synthetic:rank=${SPEC.rank},seed=${SPEC.seed}`;
const SLOTLESS = { maxGpuLoras: 0, maxNumSeqs: 4, maxNumBatchedTokens: 64 };

async function logitsOf(model: Model, adapter: string | null = null): Promise<Float32Array[]> {
  const prompt = someIds(model, 3, 21);
  const [generated] = await generate(model, [{ prompt, adapter, forced: someIds(model, 4, 3) }]);
  return generated?.logits ?? [];
}

describe('a synthetic adapter in a preset', () => {
  let merged: Model;
  const lines: string[] = [];
  beforeAll(async () => {
    const config: EngineConfig = {
      ...{ model: 'llama-3.2-1b@1/8', servedModelName: null, weights: 'f16', seed: 20, device: 'auto' },
      ...{
        maxModelLen: 256,
        maxCpuLoras: 1,
        maxLoraRank: 8,
        gpuMemory: null,
        batchInvariant: false,
        kernels: 'portable',
        profile: false,
        validate: true,
      },
      ...SLOTLESS,
      merge: { name: 'folded', path: PATH },
    };
    merged = await Model.create(await testDevice(), config, (told) => lines.push(...told));
  });

  test('answers as it does from a slot, and not as the base does', async () => {
    const dynamic = await makeModel({ maxGpuLoras: 1 });
    load(dynamic, { name: 'beside', ...SPEC });
    const [folded, beside, base] = [await logitsOf(merged), await logitsOf(dynamic, 'beside'), await logitsOf(dynamic)];
    expect(folded).toHaveLength(4);
    folded.forEach((logits, i) => {
      expect(distance(logits, beside[i] as Float32Array)).toBeLessThan(BOUND);
      expect(distance(logits, base[i] as Float32Array)).toBeGreaterThan(20 * BOUND);
    });
  });

  test('is told of, whatever the bound on ranks for slots', () => {
    expect(merged.merged).toEqual({ name: 'folded', path: PATH, kind: 'lora', rank: SPEC.rank });
    expect(merged.memory.loraBytes).toBe(0);
    expect(lines.slice(0, 5).join('\n')).toContain('no slots; folded is folded into the weights');
    expect(lines.at(-1)).toMatch(/^folding folded into the weights: 2 layers in [\d.]+ s$/);
  });
});

test('a model without one says so', async () => {
  expect((await makeModel(SLOTLESS)).merged).toBeNull();
});

test.each(['int8', 'int4'] as const)('into %s weights nothing is folded, and f16 is named', async (weights) => {
  const refused = makeModel({ ...SLOTLESS, weights, merge: { name: 'folded', path: PATH } });
  await expect(refused).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('--weights f16') });
  await expect(refused).rejects.toThrow(`folded into f16 weights, and these are ${weights}`);
});

describe('what cannot be folded is a usage error', () => {
  const golden = (name: string) => fileURLToPath(new URL(`../../golden/${name}`, import.meta.url));
  const cases: [string, string, string, RegExp][] = [
    ['a spec that is none', 'llama-3.2-1b@1/8', 'synthetic:rank=0', /needs a rank from 1 to 9999/],
    ['a path that is none', 'llama-3.2-1b@1/8', '/no/such/adapter', /no such file or folder/],
    ['an adapter for another model', 'llama-3.2-1b@1/8', golden('adapters/plain'), /expected .*found/],
    ['an adapter with biases', golden('tiny-llama'), golden('adapters/lora-bias'), /layer 0, q: it has a bias/],
  ];
  test.each(cases)('%s', async (_, model, path, message) => {
    const thrown = await makeModel({ ...SLOTLESS, model, merge: { name: 'x', path } }).then(
      () => null,
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(EngineError);
    expect(thrown).toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
  });
});
