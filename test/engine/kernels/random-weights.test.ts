/** Weights made on the device are the bits of lora/random-f16.ts, in the layouts the other kernels read. */
import { beforeAll, describe, expect, it } from 'vitest';
import { KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { type RandomJob, RandomWeights, randomColumns } from '../../../engine/kernels/random-weights.ts';
import { encodeColumns, type WeightLayout, wordsOf } from '../../../engine/kernels/weight-format.ts';
import { amplitudeOf, f16Bits, f16Value, tensorKey } from '../../../engine/lora/random-f16.ts';
import golden from '../../golden/random-f16.json' with { type: 'json' };
import { testDevice } from '../../support/device.ts';
import { pair } from './random.ts';
import { POISON } from './run-kernel.ts';

const MARGIN = 128;
let device: GPUDevice;
let random: RandomWeights;
beforeAll(async () => {
  ({ device } = await testDevice());
  random = await RandomWeights.create(new KernelCompiler(device));
});

/** Runs the jobs into one poisoned buffer of so many words, and some more behind that must stay as they are. */
async function make(words: number, jobs: readonly RandomJob[]): Promise<Uint32Array> {
  device.pushErrorScope('validation');
  const size = 4 * (words + MARGIN);
  const into = device.createBuffer({
    size,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  });
  device.queue.writeBuffer(into, 0, new Uint32Array(words + MARGIN).fill(POISON));
  random.make(jobs.map((job) => ({ ...job, into })));
  const copy = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(into, 0, copy, 0, size);
  device.queue.submit([encoder.finish()]);
  const problem = await device.popErrorScope();
  if (problem) throw new Error(problem.message);
  await copy.mapAsync(GPUMapMode.READ);
  const got = new Uint32Array(copy.getMappedRange().slice(0));
  copy.destroy();
  into.destroy();
  expect([...got.subarray(words)], 'words behind the end').toEqual(new Array(MARGIN).fill(POISON));
  return got.subarray(0, words);
}

describe('base', () => {
  it.each([
    { columns: 32, width: 2, at: 0 },
    { columns: 64, width: 62, at: 32 },
    { columns: 96, width: 130, at: 64 },
  ])('$columns rows of $width from column $at of a wider matrix', async ({ columns, width, at }) => {
    const key = tensorKey(3, 1, 2);
    const amplitude = amplitudeOf(width, 2);
    const words = ((at + columns) * width) / 2;
    const got = await make(words, [
      { entry: 'base', key, amplitude, words: (columns * width) / 2, first: (at * width) / 2, halfIn: width / 2 },
    ]);
    const want = new Uint32Array(words).fill(POISON);
    for (let row = 0; row < columns; row++) {
      for (let c = 0; c < width; c += 2) {
        const column = at + row;
        const to = (Math.floor(column / 32) * (width / 2) + c / 2) * 32 + (column % 32);
        want[to] = pair(f16Bits(row * width + c, key, amplitude), f16Bits(row * width + c + 1, key, amplitude));
      }
    }
    expect(got).toEqual(want);
  });

  it('passes 65,535 workgroups', async () => {
    const width = 4096;
    const columns = 2080; // 66,560 workgroups of 64 words
    const key = tensorKey(0, 0, 9);
    const amplitude = amplitudeOf(width, 1);
    const words = (columns * width) / 2;
    const got = await make(words, [{ entry: 'base', key, amplitude, words, first: 0, halfIn: width / 2 }]);
    for (const row of [0, 31, 32, 1023, 2047, 2048, 2079]) {
      for (const c of [0, 2, 2048, 4094]) {
        const at = (Math.floor(row / 32) * (width / 2) + c / 2) * 32 + (row % 32);
        expect(got[at], `row ${row}, column ${c}`).toBe(
          pair(f16Bits(row * width + c, key, amplitude), f16Bits(row * width + c + 1, key, amplitude)),
        );
      }
    }
    expect(got.indexOf(POISON)).toBe(-1);
  });

  it("gives numpy's bits where the golden table reaches", async () => {
    for (const { key, fanIn, gain, bits } of golden.cases) {
      const width = 128;
      const amplitude = amplitudeOf(fanIn, gain);
      const got = await make(16 * width, [
        { entry: 'base', key, amplitude, words: 16 * width, first: 0, halfIn: width / 2 },
      ]);
      golden.index.forEach((index, i) => {
        if (index >= 32 * width) return;
        const [row, c] = [Math.floor(index / width), index % width];
        const word = got[Math.floor(c / 2) * 32 + row] as number;
        expect((word >>> (16 * (c % 2))) & 0xffff, `key ${key}, element ${index}`).toBe(bits[i]);
      });
    }
  });
});

const LAYOUTS: WeightLayout[] = [
  { format: 'f16', pack: 1 },
  { format: 'f16', pack: 8 },
  { format: 'int8', pack: 1 },
  { format: 'int8', pack: 4 },
  { format: 'int4', pack: 1 },
  { format: 'int4', pack: 4 },
];

describe.each(LAYOUTS)('$format by $pack', (layout) => {
  // The last two are numbers so small that some groups' scales would be subnormal, or all of them.
  it.each([
    { columns: 32, k: 64, at: 0, fanIn: 64, gain: 1 },
    { columns: 64, k: 192, at: 32, fanIn: 192, gain: 2 },
    { columns: 96, k: 1024, at: 64, fanIn: 1024, gain: 1 },
    { columns: 32, k: 128, at: 0, fanIn: 28672, gain: 1 },
    { columns: 64, k: 512, at: 0, fanIn: 48_000, gain: 1 },
    { columns: 32, k: 256, at: 0, fanIn: 2 ** 24, gain: 1 },
  ])('$columns rows of $k of $fanIn in, from column $at, are the f16 ones, encoded', async (given) => {
    const { columns, k, at, fanIn, gain } = given;
    const key = tensorKey(3, 1, 2);
    const amplitude = amplitudeOf(fanIn, gain);
    const words = wordsOf(layout, at + columns, k);
    const got = await make(words, [{ ...randomColumns(layout, { at, columns, k }), key, amplitude }]);
    const values = Float32Array.from({ length: columns * k }, (_, i) => f16Value(f16Bits(i, key, amplitude)));
    const want = new Uint32Array(words).fill(POISON);
    want.set(encodeColumns(values, columns, k, layout), wordsOf(layout, at, k));
    const wrong = got.findIndex((word, i) => word !== want[i]);
    expect(wrong, `word ${wrong}: ${got[wrong]?.toString(16)} where ${want[wrong]?.toString(16)} is right`).toBe(-1);
  });
});

it('takes whole tiles of quantised columns only', () => {
  const int8: WeightLayout = { format: 'int8', pack: 1 };
  expect(() => randomColumns(int8, { at: 0, columns: 40, k: 64 })).toThrow('40 columns are no whole tiles of 32');
  expect(() => randomColumns(int8, { at: 16, columns: 32, k: 64 })).toThrow('multiples of 32');
});

const RANKS = [1, 4, 7, 8, 16, 64];

describe.each(RANKS)('an adapter of rank %i', (rank) => {
  const pages = Math.ceil(rank / 8);

  it.each([2, 62, 130])('has A of width %i in pages of 8 ranks, zero past its own', async (width) => {
    const key = tensorKey(2, 3, 17);
    const amplitude = amplitudeOf(width, 1);
    const pageWords = (8 * width) / 2;
    const got = await make(
      pages * pageWords + 5,
      Array.from({ length: pages }, (_, page) => ({
        entry: 'lora_a' as const,
        key,
        amplitude,
        words: pageWords,
        first: 5 + page * pageWords,
        halfIn: width / 2,
        rank,
        page,
      })),
    );
    const want = new Uint32Array(got.length).fill(POISON, 0, 5);
    for (let r = 0; r < rank; r++) {
      for (let c = 0; c < width; c += 2) {
        want[5 + (r * width + c) / 2] = pair(
          f16Bits(r * width + c, key, amplitude),
          f16Bits(r * width + c + 1, key, amplitude),
        );
      }
    }
    expect(got).toEqual(want);
  });

  it.each([
    { rows: 1, stride: 1 },
    { rows: 63, stride: 128 },
    { rows: 130, stride: 256 },
  ])('has B of $rows rows, $stride apart, in pairs of ranks', async ({ rows, stride }) => {
    const key = tensorKey(2, 3, 33);
    const amplitude = amplitudeOf(rank, 1);
    const got = await make(
      pages * 4 * stride,
      Array.from({ length: pages }, (_, page) => ({
        entry: 'lora_b' as const,
        key,
        amplitude,
        words: 4 * rows,
        first: page * 4 * stride,
        halfIn: stride,
        rank,
        page,
        rows,
      })),
    );
    const want = new Uint32Array(got.length).fill(POISON);
    const bits = (row: number, r: number) => (r < rank ? f16Bits(row * rank + r, key, amplitude) : 0);
    for (let r = 0; r < 8 * pages; r += 2) {
      for (let row = 0; row < rows; row++) want[(r / 2) * stride + row] = pair(bits(row, r), bits(row, r + 1));
    }
    expect(got).toEqual(want);
  });
});

it('queues more jobs than fit one batch', async () => {
  const amplitude = amplitudeOf(4, 1);
  const jobs = Array.from({ length: 1030 }, (_, i) => ({
    entry: 'base' as const,
    key: i,
    amplitude,
    words: 64,
    first: 64 * i,
    halfIn: 2,
  }));
  const got = await make(64 * jobs.length, jobs);
  for (const i of [0, 1, 1023, 1024, 1029])
    expect(got[64 * i]).toBe(pair(f16Bits(0, i, amplitude), f16Bits(1, i, amplitude)));
  expect(got.indexOf(POISON)).toBe(-1);
});
