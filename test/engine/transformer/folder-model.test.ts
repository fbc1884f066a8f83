/**
 * Models from Hugging Face folders: logits against those that transformers gives in float64 for a small random Llama
 * (test/golden/peft-adapters.py), and what becomes of folders that cannot be served.
 *
 * The golden's weights are exact in f16, so what differs is the rounding of keys and values to f16, whose effect the script
 * measured (at most 0.0035, rms 0.0006, of logits that have a spread of about 1), and f32 arithmetic. Half as much again as
 * that rounding is allowed. Measured with SwiftShader: 1.0 times it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../engine/errors.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import { Model } from '../../../engine/transformer/model.ts';
import { testDevice } from '../../support/device.ts';
import { distance, generate, makeModel } from './generate.ts';
import { SMALL, smallLlama, type Values, writeFolder } from './small-llama.ts';

const GOLDEN = new URL('../../golden/', import.meta.url);
const ALLOWED = 1.5;

const golden = JSON.parse(readFileSync(new URL('peft-adapters.json', GOLDEN), 'utf8')) as {
  prompts: number[][];
  base: { rounding: { max: number; rms: number }; logits: string };
};

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lorabench-folder-model-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const small = (model: string): Promise<Model> =>
  makeModel({ model, maxGpuLoras: 0, maxNumSeqs: 4, maxNumBatchedTokens: 64 });

/** Logits after every position of every prompt, f32 [position][vocab], decoded one token a step. */
async function logitsOf(model: Model, prompts: readonly number[][]): Promise<Float32Array[]> {
  const asked = prompts.map(([first, ...forced]) => ({ prompt: [first as number], forced }));
  return (await generate(model, asked)).flatMap(({ logits }) => logits);
}

describe.each(['tiny-llama', 'tiny-llama-sharded'])('%s', (folder) => {
  test('gives the logits of transformers', async () => {
    const model = await small(fileURLToPath(new URL(folder, GOLDEN)));
    const bytes = Uint8Array.from(Buffer.from(golden.base.logits, 'base64'));
    const expected = new Float32Array(bytes.buffer);
    const got = await logitsOf(model, golden.prompts);
    expect(got).toHaveLength(golden.prompts.flat().length);
    const errors = got.flatMap((logits, position) =>
      Array.from(logits, (logit, id) => logit - (expected[position * model.geometry.vocab + id] as number)),
    );
    expect(errors).toHaveLength(expected.length);
    const { max, rms } = golden.base.rounding;
    expect(distance(errors, new Float32Array(errors.length))).toBeLessThan(ALLOWED * max);
    expect(Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length)).toBeLessThan(ALLOWED * rms);
  });
});

describe('the same numbers', () => {
  const PROMPTS = [
    [1, 90, 17, 44, 3],
    [119, 0, 64],
  ];
  const logitsIn = async (
    name: string,
    g: Geometry,
    tensors: Map<string, Values>,
    files: Parameters<typeof writeFolder>[3],
  ) => {
    const folder = join(root, name);
    await writeFolder(folder, g, tensors, files);
    return logitsOf(await small(folder), PROMPTS);
  };

  test('in f32, f16 and bf16, in one file or several, give the same bits', async () => {
    const tensors = smallLlama(SMALL);
    const first = await logitsIn('f32', SMALL, tensors, { dtype: 'f32' });
    expect(first).toHaveLength(8);
    expect(await logitsIn('f16', SMALL, tensors, { dtype: 'f16', shards: 3 })).toEqual(first);
    expect(await logitsIn('bf16', SMALL, tensors, { dtype: 'bf16', shards: 2 })).toEqual(first);
  });

  test('as a tied head, absent or saved, and as a head of its own give the same bits', async () => {
    const tied: Geometry = { ...SMALL, tied: true };
    const tensors = smallLlama(tied);
    const first = await logitsIn('tied', tied, tensors, { dtype: 'bf16' });
    const embedding = tensors.get('model.embed_tokens.weight') as Values;
    const saved = new Map(tensors).set('lm_head.weight', embedding);
    expect(await logitsIn('tied and saved', tied, saved, { dtype: 'bf16' })).toEqual(first);
    expect(await logitsIn('untied', SMALL, saved, { dtype: 'bf16' })).toEqual(first);
  });

  test('but other norms give others', async () => {
    const tensors = smallLlama(SMALL);
    const first = await logitsIn('its norms', SMALL, tensors, { dtype: 'bf16' });
    for (const name of [
      'model.layers.0.input_layernorm.weight',
      'model.layers.1.input_layernorm.weight',
      'model.layers.0.post_attention_layernorm.weight',
      'model.layers.1.post_attention_layernorm.weight',
      'model.norm.weight',
    ]) {
      const norm = tensors.get(name) as Values;
      const ones = new Map(tensors).set(name, { ...norm, values: new Float32Array(SMALL.hidden).fill(1) });
      const other = await logitsIn(name, SMALL, ones, { dtype: 'bf16' });
      expect(distance(other[0] as Float32Array, first[0] as Float32Array), name).toBeGreaterThan(0.01);
    }
  });
});

test('the folder gives the model its name, unless one is asked for; people are told of plan and progress', async () => {
  const folder = join(root, 'A small one');
  await writeFolder(folder, SMALL, smallLlama(SMALL), { dtype: 'bf16' });
  const lines: string[] = [];
  const open = await testDevice();
  const config = { servedModelName: null, weights: 'f16', seed: 0, device: 'auto', maxModelLen: 64 } as const;
  const sizes = { maxNumSeqs: 2, maxNumBatchedTokens: 16, maxGpuLoras: 0, maxCpuLoras: 1, maxLoraRank: 8 };
  const rest = {
    gpuMemory: null,
    batchInvariant: false,
    merge: null,
    kernels: 'portable' as const,
    profile: false,
    validate: true,
  };
  const all = { ...config, ...sizes, ...rest, model: folder };
  const model = await Model.create(open, all, (told) => lines.push(...told));
  expect(model.geometry.name).toBe('A small one');
  expect(lines.slice(0, 5)).toEqual(model.memory.lines);
  expect(lines.slice(5)).toEqual([expect.stringMatching(/^reading .*A small one.*: 0\.2 MiB in [\d.]+ s$/)]);
  const named = await Model.create(open, { ...all, servedModelName: 'small-1' });
  expect(named.geometry.name).toBe('small-1');
});

describe('a folder that cannot be served is a usage error that says why', () => {
  const refusal = async (folder: string): Promise<EngineError> => {
    const thrown = await small(folder).then(
      () => null,
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(EngineError);
    expect(thrown).toMatchObject({ code: 'usage', exitCode: 2 });
    return thrown as EngineError;
  };
  const folderWith = async (name: string, change: (tensors: Map<string, Values>) => void): Promise<string> => {
    const tensors = smallLlama(SMALL);
    change(tensors);
    await writeFolder(join(root, name), SMALL, tensors, { dtype: 'f32' });
    return join(root, name);
  };

  test('no such name', async () => {
    expect((await refusal('llama-9')).message).toMatch(/llama-9.*llama-3-8b/);
  });

  test('no weights', async () => {
    const folder = await folderWith('no weights', () => {});
    rmSync(join(folder, 'model.safetensors'));
    expect((await refusal(folder)).message).toMatch(/expected model\.safetensors or model\.safetensors\.index\.json/);
  });

  test('tensors that are missing and misshapen, together', async () => {
    const folder = await folderWith('wrong tensors', (tensors) => {
      tensors.delete('model.norm.weight');
      tensors.set('lm_head.weight', { shape: [2, 64], values: new Float32Array(128) });
    });
    const { message } = await refusal(folder);
    expect(message).toContain('tensor "model.norm.weight" is missing: expected [64]');
    expect(message).toContain('tensor "lm_head.weight" has the wrong shape: expected [120, 64], found [2, 64]');
  });

  test('a file that is cut short', async () => {
    const folder = await folderWith('cut short', () => {});
    const file = join(folder, 'model.safetensors');
    await writeFile(file, (await readFile(file)).subarray(0, -1));
    expect((await refusal(folder)).message).toMatch(/cut short/);
  });

  test('a value that f16 cannot hold', async () => {
    const folder = await folderWith('too large', (tensors) => {
      (tensors.get('model.layers.0.mlp.up_proj.weight') as Values).values[64 * 5 + 9] = 1e6;
    });
    expect((await refusal(folder)).message).toMatch(
      /tensor "model\.layers\.0\.mlp\.up_proj\.weight" at \[5, 9\]: .*found 1000000$/,
    );
  });
});
