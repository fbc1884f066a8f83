/** Where a sequence's keys and values lie, and in how many steps its prompt is read, do not show in its output. */
import { beforeAll, describe, expect, test } from 'vitest';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { KV_BLOCK } from '../../../engine/transformer/memory-plan.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import { type Asked, distance, type Generated, generate, load, makeModel, someIds } from './generate.ts';

let model: Model;
let asked: Asked[];
let expected: Generated[];

beforeAll(async () => {
  model = await makeModel({ batchInvariant: true });
  load(model, { name: 'a', rank: 16, seed: 1 });
  // 9, 4 and 2 blocks; the first passes the 64 positions that attention takes at a time twice.
  asked = [
    { prompt: someIds(model, 1, 130), adapter: null, maxTokens: 4 },
    { prompt: someIds(model, 2, 60), adapter: 'a', maxTokens: 4 },
    { prompt: someIds(model, 3, 14), adapter: 'a', maxTokens: 4 },
  ];
  expected = await generate(model, asked);
});

function expectExpected(got: Generated[]): void {
  got.forEach(({ ids, logits }, i) => {
    expect(ids).toEqual(expected[i]?.ids);
    expect(logits.map((values, token) => distance(values, expected[i]?.logits[token] as Float32Array))).toEqual([
      0, 0, 0, 0,
    ]);
  });
}

/** A manager that hands out blocks in the order given. */
function inOrder(order: number[]): BlockManager {
  const blocks = new BlockManager(model.memory.kvBlocks, KV_BLOCK);
  blocks.take(blocks.total * KV_BLOCK);
  blocks.give(order);
  return blocks;
}

test('the fresh manager gives neighbouring blocks: what the others are compared with', () => {
  const blocks = new BlockManager(8, KV_BLOCK).take(3 * KV_BLOCK) as number[];
  const steps = blocks.slice(1).map((block, i) => block - (blocks[i] as number));
  expect(new Set(steps.map(Math.abs))).toEqual(new Set([1]));
});

describe('blocks that do not lie together', () => {
  test('far apart, and those of the sequences between each other', async () => {
    const total = model.memory.kvBlocks;
    // Multiples of a number that shares no factor with the total: every block once, neighbours far apart.
    let stride = Math.floor(total * 0.4);
    while (gcd(stride, total) !== 1) stride++;
    expectExpected(
      await generate(model, asked, { blocks: inOrder(Array.from({ length: total }, (_, i) => (i * stride) % total)) }),
    );
  });

  test('blocks that other sequences have written full of their own', async () => {
    const few = Array.from({ length: 16 }, (_, i) => i);
    await generate(model, [{ prompt: someIds(model, 9, 255), adapter: 'a' }], { blocks: inOrder(few), logits: false });
    expectExpected(await generate(model, asked, { blocks: inOrder(few) }));
  });

  test('too few blocks for all at once: the last waits, and has the same output', async () => {
    const blocks = inOrder(Array.from({ length: 14 }, (_, i) => 2 * i));
    expectExpected(await generate(model, asked, { blocks }));
    expect(blocks.free).toBe(14);
  });
});

test.each([1, 10, 100])('prompts longer than a step of %i rows', async (rows) => {
  const short = rows === 1 ? asked.slice(2) : asked;
  const got = await generate(model, short, { maxNumBatchedTokens: rows });
  expectExpected(rows === 1 ? [...expected.slice(0, 2), ...got] : got);
});

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
