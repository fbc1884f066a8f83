/** A checkpoint's values, read back from the device element by element, and how little of the host they take. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  decodeColumns,
  encodeColumns,
  type WeightFormat,
  type WeightLayout,
  wordsOf,
} from '../../../engine/kernels/weight-format.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import type { DType } from '../../../engine/tensor-files/tensor.ts';
import { mapCheckpoint } from '../../../engine/transformer/checkpoint.ts';
import { GROUPS, groupShapes } from '../../../engine/transformer/dimensions.ts';
import { uploadCheckpoint } from '../../../engine/transformer/upload-checkpoint.ts';
import { type WeightLayouts, weightLayouts } from '../../../engine/transformer/weight-layouts.ts';
import { allocateWeights, type Weights } from '../../../engine/transformer/weights.ts';
import { testDevice } from '../../support/device.ts';
import { inMemory, SMALL, smallLlama, type Values } from './small-llama.ts';

const GROUP_TENSORS = {
  qkv: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  o: ['self_attn.o_proj'],
  gateUp: ['mlp.gate_proj', 'mlp.up_proj'],
  down: ['mlp.down_proj'],
} as const;

/** Widths that are blocks of 64 values, an odd number of them. */
const BLOCKS: Geometry = { ...SMALL, intermediate: 192 };

let device: GPUDevice;
beforeAll(async () => {
  ({ device } = await testDevice());
});

/** Weights that hold something else before: nothing may be left of it. */
function poisoned(g: Geometry, layouts = weightLayouts(g, 'f16', true)): Weights {
  const weights = allocateWeights(device, g, layouts, 'own');
  const { layers, embedding, head, inputNorms, postAttentionNorms, finalNorm } = weights;
  for (const buffer of [
    ...layers.flatMap(Object.values),
    embedding,
    head,
    ...inputNorms,
    ...postAttentionNorms,
    finalNorm,
  ]) {
    device.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(0x7fff7fff));
  }
  return weights;
}

async function upload(
  g: Geometry,
  tensors: ReadonlyMap<string, Values>,
  dtypeOf: (name: string) => DType,
  { layouts, ...options }: Parameters<typeof uploadCheckpoint>[4] & { layouts?: WeightLayouts } = {},
): Promise<Weights> {
  const weights = poisoned(g, layouts);
  await uploadCheckpoint(device, weights, mapCheckpoint(inMemory(tensors, dtypeOf), g), g, options);
  return weights;
}

async function readBack(buffer: GPUBuffer): Promise<Uint32Array> {
  const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(GPUMapMode.READ);
  const words = new Uint32Array(copy.getMappedRange().slice(0));
  copy.destroy();
  return words;
}

/** [columns][k] of a matrix. */
async function matrixOf(buffer: GPUBuffer, k: number, layout: WeightLayout): Promise<number[][]> {
  const words = await readBack(buffer);
  const tiles = words.length / wordsOf(layout, 32, k);
  return rowsOf({ shape: [32 * tiles, k], values: decodeColumns(words, 32 * tiles, k, layout) });
}

/** What a format makes of rows: themselves, unless it has fewer bits. */
function inFormat(rows: number[][], k: number, layout: WeightLayout): number[][] {
  if (layout.format === 'f16') return rows;
  const words = encodeColumns(Float32Array.from(rows.flat()), rows.length, k, layout);
  return rowsOf({ shape: [rows.length, k], values: decodeColumns(words, rows.length, k, layout) });
}

const rowsOf = ({ shape, values }: Values): number[][] =>
  Array.from({ length: shape[0] as number }, (_, row) => [
    ...values.subarray(row * (shape[1] as number), (row + 1) * (shape[1] as number)),
  ]);

async function expectOnDevice(g: Geometry, weights: Weights, tensors: ReadonlyMap<string, Values>): Promise<void> {
  const given = (name: string) => tensors.get(name) as Values;
  const shapes = groupShapes(g);
  const padded = (rows: number[][], k: number, n: number) => [
    ...rows,
    ...Array.from({ length: n - rows.length }, () => new Array<number>(k).fill(0)),
  ];
  const table = (name: string) => padded(rowsOf(given(name)), g.hidden, Math.ceil(g.vocab / 128) * 128);
  const { embedding, head, projections } = weights.layouts;
  expect(await matrixOf(weights.embedding, g.hidden, embedding)).toEqual(table('model.embed_tokens.weight'));
  expect(await matrixOf(weights.head, g.hidden, head)).toEqual(
    inFormat(table(g.tied ? 'model.embed_tokens.weight' : 'lm_head.weight'), g.hidden, head),
  );
  for (const [layer, buffers] of weights.layers.entries()) {
    for (const group of GROUPS) {
      const { k, n, slices } = shapes[group];
      let rows: number[][] = [];
      slices.forEach(({ at }, i) => {
        rows = padded(rows, k, at).concat(rowsOf(given(`model.layers.${layer}.${GROUP_TENSORS[group][i]}.weight`)));
      });
      expect(await matrixOf(buffers[group], k, projections), `layer ${layer} ${group}`).toEqual(
        inFormat(padded(rows, k, n), k, projections),
      );
    }
    const norms = [weights.inputNorms[layer], weights.postAttentionNorms[layer]] as GPUBuffer[];
    for (const [i, name] of ['input_layernorm', 'post_attention_layernorm'].entries()) {
      const values = new Float32Array((await readBack(norms[i] as GPUBuffer)).buffer);
      expect(values, `layer ${layer} ${name}`).toEqual(given(`model.layers.${layer}.${name}.weight`).values);
    }
  }
  expect(new Float32Array((await readBack(weights.finalNorm)).buffer)).toEqual(given('model.norm.weight').values);
}

describe('every element of every tensor is where the kernels read it', () => {
  const kinds: [string, (name: string) => DType][] = [
    ['f32', () => 'f32'],
    ['f16', () => 'f16'],
    ['bf16', () => 'bf16'],
    ['all three', (name) => (['f32', 'f16', 'bf16'] as const)[name.length % 3] as DType],
  ];
  test.each(kinds)('%s', async (_, dtypeOf) => {
    const tensors = smallLlama(SMALL);
    await expectOnDevice(SMALL, await upload(SMALL, tensors, dtypeOf), tensors);
  });

  test('in slices of 32 rows, which end within q, k, v, gate and up', async () => {
    const tensors = smallLlama(SMALL);
    await expectOnDevice(SMALL, await upload(SMALL, tensors, () => 'bf16', { hostBytes: 1 }), tensors);
  });

  test('heads that end within a tile: 3 of 20', async () => {
    const odd: Geometry = { ...SMALL, heads: 3, kvHeads: 3, headDim: 20, hidden: 36, intermediate: 50, vocab: 131 };
    const tensors = smallLlama(odd);
    await expectOnDevice(odd, await upload(odd, tensors, () => 'f32', { hostBytes: 1 }), tensors);
  });

  test.each<[WeightFormat, boolean, number]>([
    ['f16', false, 1],
    ['int8', true, 1],
    ['int8', false, 2 ** 26],
    ['int4', true, 2 ** 26],
    ['int4', false, 1],
  ])('%s, on a processor %s, in slices of %i bytes', async (format, software, hostBytes) => {
    for (const g of [BLOCKS, { ...BLOCKS, tied: true }]) {
      const tensors = smallLlama(g);
      const layouts = weightLayouts(g, format, software);
      await expectOnDevice(g, await upload(g, tensors, () => 'bf16', { layouts, hostBytes }), tensors);
    }
  });

  test('a head that is the embedding', async () => {
    const tied = { ...SMALL, tied: true };
    const tensors = smallLlama(tied);
    const weights = await upload(tied, tensors, () => 'bf16');
    expect(weights.head).toBe(weights.embedding);
    await expectOnDevice(tied, weights, tensors);
  });
});

test('f32 is rounded to the nearest f16, to even in the middle', async () => {
  const tensors = smallLlama(SMALL);
  const head = tensors.get('lm_head.weight') as Values;
  const given = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20, 65519, -(2 ** -24), 2 ** -26];
  const expected = [1, 1 + 2 ** -9, 1 + 2 ** -10, 65504, -(2 ** -24), 0];
  head.values.set(given);
  const weights = await upload(SMALL, tensors, () => 'f32');
  expect((await matrixOf(weights.head, SMALL.hidden, weights.layouts.head))[0]?.slice(0, 6)).toEqual(expected);
});

describe('values that cannot be served are refused with tensor and index', () => {
  const DOWN = 'model.layers.1.mlp.down_proj.weight';
  const cases: [string, DType, string, number, number, RegExp][] = [
    ['beyond f16', 'f32', DOWN, 17 * 96 + 5, 70000, /down_proj\.weight" at \[17, 5\]: .*up to 65504.*found 70000$/],
    ['beyond f16 in bf16', 'bf16', DOWN, 63 * 96 + 95, -(2 ** 20), /at \[63, 95\]: .*found -1048576$/],
    [
      'infinite',
      'f16',
      'lm_head.weight',
      3 * 64,
      Number.POSITIVE_INFINITY,
      /lm_head\.weight" at \[3, 0\]: .*found Infinity$/,
    ],
    ['not a number', 'f32', 'model.embed_tokens.weight', 119 * 64 + 63, Number.NaN, /at \[119, 63\]: .*found NaN$/],
    [
      'a norm that is infinite',
      'f32',
      'model.norm.weight',
      7,
      Number.NEGATIVE_INFINITY,
      /norm\.weight" at \[7\]: expected a finite number, found -Infinity$/,
    ],
  ];
  test.each(cases)('%s', async (_, dtype, name, at, value, message) => {
    const tensors = smallLlama(SMALL);
    (tensors.get(name) as Values).values[at] = value;
    for (const hostBytes of [1, 2 ** 26]) {
      const refused = upload(SMALL, tensors, () => dtype, { hostBytes });
      await expect(refused).rejects.toThrow(message);
      await expect(refused).rejects.toBeInstanceOf(FileError);
    }
  });

  test('a read that fails fails the whole, and is not an unhandled rejection', async () => {
    const file = inMemory(smallLlama(SMALL), () => 'bf16');
    const broken = new Map(file.tensors);
    const gate = broken.get('model.layers.1.mlp.gate_proj.weight');
    if (!gate) throw new Error('there is no such tensor');
    broken.set(gate.name, {
      ...gate,
      readBytes: async () => {
        throw new FileError('memory', `tensor ${gate.name}: cut short`);
      },
    });
    const checkpoint = mapCheckpoint({ ...file, tensors: broken }, SMALL);
    await expect(uploadCheckpoint(device, poisoned(SMALL), checkpoint, SMALL)).rejects.toThrow(
      /gate_proj\.weight: cut short/,
    );
  });
});

test('host memory follows from the slice: what is read ahead, and what the queue has not taken', async () => {
  const g: Geometry = { ...SMALL, hidden: 256, intermediate: 1024, headDim: 64, vocab: 2000 };
  const hostBytes = 2 ** 19;
  const tensors = smallLlama(g);
  let reads = 0;
  let largest = 0;
  let staged = 0;
  let mostStaged = 0;
  // The real device, with its queue's writes counted until it says that it is done with them.
  const queue = {
    writeBuffer: (...[buffer, at, data, first, count]: Parameters<GPUQueue['writeBuffer']>) => {
      device.queue.writeBuffer(buffer, at, data, first, count);
      staged += 4 * (count ?? 0);
      mostStaged = Math.max(mostStaged, staged);
    },
    onSubmittedWorkDone: async () => {
      const before = staged;
      await device.queue.onSubmittedWorkDone();
      staged -= before;
    },
  };
  const file = inMemory(
    tensors,
    () => 'f32',
    (bytes) => {
      reads++;
      largest = Math.max(largest, bytes);
    },
  );
  const weights = poisoned(g);
  const counted = { queue } as unknown as GPUDevice;
  await uploadCheckpoint(counted, weights, mapCheckpoint(file, g), g, { hostBytes });
  // Two reads of f32, their f16, its tiles and what is staged: all of it together stays within the bound.
  expect(2 * largest + largest / 2 + largest / 2 + mostStaged).toBeLessThanOrEqual(hostBytes);
  expect(mostStaged).toBeGreaterThan(0);
  expect(reads).toBeGreaterThan(50);
  await expectOnDevice(g, weights, tensors);
});

test('people are told what was read, and how much', async () => {
  const lines: string[] = [];
  await upload(SMALL, smallLlama(SMALL), () => 'bf16', { report: (line) => lines.push(line) });
  const elements = [...smallLlama(SMALL).values()].reduce(
    (sum, { values, shape }) => sum + (shape.length === 2 ? values.length : 0),
    0,
  );
  expect(lines).toEqual([expect.stringMatching(/^reading memory: [\d.]+ MiB in [\d.]+ s$/)]);
  expect(lines[0]).toContain(` ${((2 * elements) / 2 ** 20).toFixed(1)} MiB`);
});
