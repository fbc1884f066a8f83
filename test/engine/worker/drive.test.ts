/** A set of requests that is held and then released: one schedule whenever they came, and counters that are true. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EngineCore, SequenceRequest, WorkCounters, WorkReading } from '../../../engine/core.ts';
import { startTestCore } from '../../support/core.ts';
import { follow, somePrompt } from './follow.ts';

let core: EngineCore;
beforeAll(async () => {
  core = await startTestCore({ validate: false });
  expect(await core.loadAdapter('a', 'synthetic:rank=8,seed=1')).toBeNull();
  expect(await core.loadAdapter('b', 'synthetic:rank=32,seed=2')).toBeNull();
});
afterAll(() => core.close());

type Wanted = Pick<SequenceRequest, 'adapter' | 'maxTokens'> & { promptTokens: number };

async function workWhen(is: (reading: WorkReading) => boolean): Promise<WorkReading> {
  for (;;) {
    const reading = await core.work();
    if (is(reading)) return reading;
    await sleep(5);
  }
}
const idle = () => workWhen(({ running, waiting }) => running + waiting === 0);

/** Holds, submits each after its delay, releases when all are there. @returns what the counters grew by */
async function drive(wanted: readonly Wanted[], delaysMs: readonly number[]): Promise<WorkCounters> {
  await idle();
  expect(await core.hold(30_000)).toBeNull();
  const { counters: before } = await core.work();
  const followed = wanted.map(async ({ promptTokens, ...request }, order) => {
    await sleep(delaysMs[order]);
    const prompt = somePrompt(core.info.geometry.vocab, order, promptTokens);
    return follow(core, { ...request, prompt, order });
  });
  const held = await workWhen(({ waiting }) => waiting === wanted.length);
  expect(held).toMatchObject({ running: 0, held: true });
  expect(held.counters).toEqual(before);
  expect(await core.release()).toBe(wanted.length);
  const ended = (await Promise.all(followed)).map((one) => one.ended);
  expect(await Promise.all(ended)).toEqual(wanted.map(() => 'length'));
  const { counters: after } = await idle();
  const grown = Object.entries(after).map(([name, value]) => [name, value - before[name as keyof WorkCounters]]);
  return Object.fromEntries(grown);
}

describe('a drive', () => {
  it('counts what can be reckoned by hand', async () => {
    // llama-3.2-1b@1/8: hidden 256, intermediate 1024, 2 layers, 4 heads, 1 KV head of 64, vocabulary 16,032.
    // Tiles of 4 rows. In order: B (2 + 2 tokens, the base model), A (5 + 3, rank 8). Steps: 7 rows, then 2, then 1.
    const counted = await drive(
      [
        { adapter: null, promptTokens: 2, maxTokens: 2 },
        { adapter: 'a', promptTokens: 5, maxTokens: 3 },
      ],
      [20, 0],
    );
    // Matrices of a layer [n, k] in f16: [384, 256], [256, 256], [2048, 256], [256, 1024].
    const layer = 2 * (384 * 256 + 256 * 256 + 2048 * 256 + 256 * 1024);
    const head = 2 * 16_128 * 256;
    // embed, norm · 2 x (qkv, rotation, attention, o, norm, gate and up, down, norm) less the last norm · 4 shrinks a layer
    // · norm, head, sampling
    const dispatches = 2 + (2 * 8 - 1) + 2 * 4 + 3;
    expect(counted).toMatchObject({
      steps: 3,
      dispatches: 3 * dispatches,
      rows: 7 + 2 + 1,
      loraRows: 5 + 1 + 1,
      stepAdapters: 3,
      promptTokens: 7,
      generatedTokens: 5,
      // 4 products in each of 2 layers, of 7, 2 and 1 rows; the head's of 2, 2 and 1.
      paddedRows: 8 * (1 + 2 + 3) + (2 + 2 + 3),
      weightBytes: 2 * layer * (2 + 1 + 1) + 3 * head,
      // Keys and values in 2 layers, of 64 f16 each: positions 2 + 5, 3 + 6, 7.
      kvBytes: 2 * 2 * 64 * 2 * (7 + 9 + 7),
      // A and B of rank 8, f16: q, k, v share an input of 256, gate and up too.
      adapterBytes: 3 * 2 * 8 * 2 * (3 * 256 + 384 + (256 + 256) + (2 * 256 + 2048) + (1024 + 256)),
      adapterLoads: 0,
      pipelinesCompiled: 0,
      buffersCreated: 0,
      bindGroupsCreated: 0,
    });
    expect(counted.uploadBytes).toBeGreaterThan(3 * 4 * 16);
  });

  it('counts the same whenever its requests come, and something else for another set', async () => {
    // More than run at once, and prompts of more than a step's rows together.
    const adapters = [null, 'a', 'b', 'a', null, 'b'];
    const wanted = Array.from({ length: 12 }, (_, i) => ({
      adapter: adapters[i % 6]!,
      promptTokens: 4 + ((11 * i) % 40),
      maxTokens: 1 + (i % 5),
    }));
    const inTurn = wanted.map((_, i) => 4 * i);
    const first = await drive(
      wanted,
      wanted.map(() => 0),
    );
    expect(first.loraRows).toBeGreaterThan(0);
    expect(await drive(wanted, inTurn)).toEqual(first);
    expect(await drive(wanted, inTurn.toReversed())).toEqual(first);
    expect(
      await drive(
        wanted,
        wanted.map((_, i) => (i * 37) % 60),
      ),
    ).toEqual(first);
    const other = wanted.map((request, i) => (i === 5 ? { ...request, maxTokens: 2 } : request));
    expect(await drive(other, inTurn)).not.toEqual(first);
  });
});

describe('a hold', () => {
  it('lets those that run go on, and keeps a request that is cancelled from ever running', async () => {
    const running = follow(core, { prompt: somePrompt(core.info.geometry.vocab, 1, 4), maxTokens: 12 });
    await running.reached(1);
    expect(await core.hold(30_000)).toBeNull();
    const kept = follow(core, { prompt: somePrompt(core.info.geometry.vocab, 2, 4), maxTokens: 2 });
    expect(await running.ended).toBe('length');
    await workWhen(({ running: left, waiting }) => left === 0 && waiting === 1);
    kept.handle.cancel();
    await idle();
    expect(await core.release()).toBe(0);
    expect(kept.ids).toEqual([]);
  });

  it('is one at a time, and ends by itself when nobody releases it', async () => {
    expect(await core.release()).toMatchObject({ code: 'not_held' });
    expect(await core.hold(150)).toBeNull();
    expect(await core.hold(150)).toMatchObject({ code: 'held' });
    const kept = follow(core, { prompt: somePrompt(core.info.geometry.vocab, 2, 4), maxTokens: 2 });
    expect(await kept.ended).toBe('length');
    expect(await core.work()).toMatchObject({ held: false, holdExpired: true });
    expect(await core.release()).toEqual({ code: 'not_held', message: expect.stringContaining('after the 0.15 s') });
    expect(await core.hold(30_000)).toBeNull();
    expect(await core.work()).toMatchObject({ held: true, holdExpired: false });
    expect(await core.release()).toBe(0);
  });
});
