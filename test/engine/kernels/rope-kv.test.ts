/** q, k turned by their position, and k, v written to the sequence's own blocks and nowhere else. */
import { describe, expect, it } from 'vitest';
import { type AttentionShape, attentionConstants, ropeKv, ropeKvGrid } from '../../../engine/kernels/attention.ts';
import { f16Value } from '../../../engine/lora/random-f16.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { angleTable, frequencies } from '../../../engine/transformer/rope.ts';
import { type Batch, makeBatch } from './batches.ts';
import { type Expected, expectClose, expected } from './close-to.ts';
import { ropeOracle } from './oracles.ts';
import { floats, randomFrom } from './random.ts';
import { asFloats, POISON, runKernel } from './run-kernel.ts';

const SHAPES: Omit<AttentionShape, 'blockSize'>[] = [
  { heads: 1, kvHeads: 1, headDim: 64 },
  { heads: 3, kvHeads: 1, headDim: 64 },
  { heads: 9, kvHeads: 3, headDim: 64 },
  { heads: 4, kvHeads: 2, headDim: 128 },
];

const batches: Record<string, () => Batch> = {
  'one decode': () => makeBatch({ decodes: [{ context: 200 }], blocks: 15 }),
  'one prompt token': () => makeBatch({ prefills: [{ rows: 1 }], blocks: 3 }),
  'prompts and decodes': () =>
    makeBatch({
      decodes: [{ context: 15 }, { context: 16 }, { context: 63 }, { context: 64 }],
      prefills: [{ rows: 17 }, { rows: 3 }],
      seed: 3,
      blocks: 24,
    }),
  'a prompt going on': () =>
    makeBatch({ decodes: [{ context: 33 }], chunk: { context: 30, rows: 9 }, seed: 4, blocks: 8 }),
};

/** What the cache must hold, [block][kv head][position in block][headDim], NaN where nothing is written. */
function cacheOf(batch: Batch, { kvHeads, headDim }: { kvHeads: number; headDim: number }, want: Expected): Expected {
  const cache = expected(batch.totalBlocks * kvHeads * batch.blockSize * headDim);
  cache.values.fill(Number.NaN);
  batch.rows.forEach(({ sequence, position }, row) => {
    const block = sequence.blocks[Math.floor(position / batch.blockSize)] as number;
    for (let head = 0; head < kvHeads; head++) {
      const to = ((block * kvHeads + head) * batch.blockSize + (position % batch.blockSize)) * headDim;
      for (let i = 0; i < headDim; i++) {
        const value = want.values[(row * kvHeads + head) * headDim + i] as number;
        cache.values[to + i] = value;
        // One rounding to f16, to either neighbour as WGSL allows; what is below the normal numbers may become zero.
        cache.bounds[to + i] =
          (want.bounds[(row * kvHeads + head) * headDim + i] as number) + 2 ** -10 * Math.abs(value) + 2 ** -14;
      }
    }
  });
  return cache;
}

function expectCache(words: Uint32Array, want: Expected, what: string): void {
  let written = 0;
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const got = Float64Array.from(halves, (bits) => ((bits & 0x7c00) === 0 ? 0 : f16Value(bits)));
  for (let i = 0; i < words.length; i++) {
    if (!Number.isNaN(want.values[2 * i])) {
      written++;
      continue;
    }
    if (words[i] !== POISON) throw new Error(`${what}: word ${i} is written, though no row is there`);
    got.fill(0, 2 * i, 2 * i + 2);
    want.values.fill(0, 2 * i, 2 * i + 2);
  }
  expect(written).toBeGreaterThan(0);
  expectClose(got, want, what);
}

describe.each(SHAPES)('$heads heads, $kvHeads of KV, of $headDim', (shape) => {
  it.each(Object.keys(batches))('%s', async (name) => {
    const batch = batches[name]!();
    const { rows } = batch;
    const { heads, kvHeads, headDim } = shape;
    const geometry: Geometry = { ...(geometryOf('llama-3.2-1b') as Geometry), ...shape };
    const qkv = floats(randomFrom(7), rows.length * (heads + 2 * kvHeads) * headDim);
    const positions = 1 + Math.max(...rows.map(({ position }) => position));
    const cacheWords = (batch.totalBlocks * kvHeads * batch.blockSize * headDim) / 2;
    const whole = { ...shape, blockSize: batch.blockSize };
    const [q, k, v] = await runKernel(
      ropeKv,
      attentionConstants(whole),
      [
        batch.data,
        qkv,
        angleTable(geometry, positions),
        { words: rows.length * heads * headDim },
        { words: cacheWords },
        { words: cacheWords },
      ],
      ropeKvGrid(whole, rows.length),
    );
    const want = ropeOracle(rows, shape, qkv, frequencies(geometry));
    expectClose(asFloats(q!), want.q, 'q');
    expectCache(k!, cacheOf(batch, shape, want.k), 'k cache');
    expectCache(v!, cacheOf(batch, shape, want.v), 'v cache');
  });
});
