/** The device thread from the outside: requests in, tokens in order out, and nothing held when they end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { now } from '../../../engine/clock.ts';
import type { EngineCore, EngineStats, SequenceRequest, SequenceTimings } from '../../../engine/core.ts';
import { EngineError } from '../../../engine/errors.ts';
import { startTestCore } from '../../support/core.ts';
import { type Followed, follow as followOn } from './follow.ts';

let core: EngineCore;
beforeAll(async () => {
  core = await startTestCore();
});
afterAll(() => core.close());

const follow = (request: Partial<SequenceRequest> & { prompt: Uint32Array }, on: EngineCore = core): Followed =>
  followOn(on, request);

const prompt = (key: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => (Math.imul(key * 500 + i + 1, 0x9e3779b1) >>> 8) % core.info.geometry.vocab);

/** Stats once they say what is waited for; those of the last look when that takes too long, for the test to show. */
async function statsWhen(is: (stats: EngineStats) => boolean): Promise<EngineStats> {
  for (let look = 0; look < 500 && !is(core.stats()); look++) await new Promise((resolve) => setTimeout(resolve, 20));
  return core.stats();
}

const idle = () => statsWhen(({ running, waiting }) => running + waiting === 0);

describe('requests at the same time', () => {
  test('each has the tokens it has alone, one by one, and every row is counted', async () => {
    expect(await core.loadAdapter('a', 'synthetic:rank=8,seed=1')).toBeNull();
    expect(await core.loadAdapter('b', 'synthetic:rank=32,seed=2')).toBeNull();
    const requests = [null, 'a', 'b', null, 'a', 'b'].map((adapter, i) => ({
      adapter,
      prompt: prompt(i, 3 + 7 * i),
      maxTokens: 3 + i,
    }));
    const alone: number[][] = [];
    for (const request of requests) {
      const followed = follow(request);
      await followed.ended;
      alone.push(followed.ids);
    }
    const before = await idle();
    const together = requests.map((request) => follow(request));
    expect(await Promise.all(together.map(({ ended }) => ended))).toEqual(requests.map(() => 'length'));
    expect(together.map(({ ids }) => ids)).toEqual(alone);
    expect(new Set(alone.map((ids) => ids.join())).size).toBe(6);
    together.forEach(({ calls }, i) => {
      expect(calls.map(({ ids }) => ids.length)).toEqual(Array.from({ length: 3 + i }, () => 1));
    });

    const after = await idle();
    const rowsOf = (some: typeof requests) => some.reduce((sum, r) => sum + r.prompt.length + r.maxTokens - 1, 0);
    expect(after.promptTokens - before.promptTokens).toBe(requests.reduce((sum, r) => sum + r.prompt.length, 0));
    expect(after.generatedTokens - before.generatedTokens).toBe(requests.reduce((sum, r) => sum + r.maxTokens, 0));
    expect(after.rows - before.rows).toBe(rowsOf(requests));
    expect(after.loraRows - before.loraRows).toBe(rowsOf(requests.filter(({ adapter }) => adapter !== null)));
    expect(after).toMatchObject({ running: 0, waiting: 0, kvBlocksFree: core.info.kvBlocks });
    // Batched: fewer steps than the requests' own tokens added up.
    expect(after.steps - before.steps).toBeLessThan(requests.reduce((sum, r) => sum + r.maxTokens, 0));
  });

  test('more than run at once wait, and all are served', async () => {
    const followed = Array.from({ length: 2 * core.info.maxNumSeqs }, (_, i) =>
      follow({ prompt: prompt(i, 4), maxTokens: 2 }),
    );
    expect(await Promise.all(followed.map(({ ended }) => ended))).toEqual(followed.map(() => 'length'));
    expect(await idle()).toMatchObject({ waiting: 0, kvBlocksFree: core.info.kvBlocks });
  });

  test("a request's stamps follow each other, and its last token's moves with each token", async () => {
    const from = now();
    const followed = [3, 40, 9].map((length, i) => follow({ prompt: prompt(i, length), maxTokens: 4 }));
    await Promise.all(followed.map(({ ended }) => ended));
    const to = now();
    for (const { calls } of followed) {
      const timings = calls.at(-1)?.timings as SequenceTimings;
      const { received, admitted, prefillStart, firstToken, lastToken, adapterWait } = timings;
      const stamps = [from, received, admitted, prefillStart, firstToken, lastToken, to];
      expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
      expect(stamps.every(Number.isSafeInteger)).toBe(true);
      expect(firstToken).toBeLessThan(lastToken);
      expect(adapterWait).toBe(0);
      const lasts = calls.map((call) => call.timings.lastToken);
      expect(new Set(lasts).size).toBe(4);
      expect(lasts).toEqual(lasts.toSorted((a, b) => a - b));
      expect(new Set(calls.map((call) => call.timings.firstToken)).size).toBe(1);
    }
  });
});

describe('cancel', () => {
  test('midway frees the blocks, and the listener hears no more', async () => {
    const cancelled = follow({ prompt: prompt(1, 20), maxTokens: 200 });
    const other = follow({ prompt: prompt(2, 20), maxTokens: 12 });
    await cancelled.reached(3);
    expect(core.stats().kvBlocksFree).toBeLessThan(core.info.kvBlocks);
    cancelled.handle.cancel();
    cancelled.handle.cancel();
    const heard = cancelled.ids.length;
    expect(await other.ended).toBe('length');
    expect(await idle()).toMatchObject({ running: 0, kvBlocksFree: core.info.kvBlocks });
    expect(cancelled.ids).toHaveLength(heard);
  });

  test('while it waits for its turn', async () => {
    const running = Array.from({ length: core.info.maxNumSeqs }, (_, i) =>
      follow({ prompt: prompt(i, 5), maxTokens: 16 }),
    );
    const waiting = follow({ prompt: prompt(99, 5) });
    expect(await statsWhen((stats) => stats.waiting === 1)).toMatchObject({
      waiting: 1,
      running: core.info.maxNumSeqs,
    });
    waiting.handle.cancel();
    await Promise.all(running.map(({ ended }) => ended));
    expect(await idle()).toMatchObject({ waiting: 0, running: 0, kvBlocksFree: core.info.kvBlocks });
    expect(waiting.calls).toEqual([]);
  });
});

describe('adapters', () => {
  test('unload waits for those who use it, and refuses newcomers meanwhile', async () => {
    expect(await core.loadAdapter('leaving', 'synthetic:rank=4,seed=3')).toBeNull();
    const user = follow({ prompt: prompt(1, 10), maxTokens: 30, adapter: 'leaving' });
    await user.reached(1);
    let unloaded = false;
    const unloading = core.unloadAdapter('leaving').then((found) => {
      unloaded = true;
      return found;
    });
    const late = follow({ prompt: prompt(1, 10), adapter: 'leaving' });
    expect(await late.ended).toMatchObject({ code: 'adapter_gone', message: expect.stringContaining('"leaving"') });
    expect(unloaded).toBe(false);
    expect(await user.ended).toBe('length');
    expect(user.ids).toHaveLength(30);
    expect(await unloading).toBe(true);
    expect(core.adapters().map(({ name }) => name)).not.toContain('leaving');
    expect(await core.unloadAdapter('leaving')).toBe(false);
  });

  test('a cancelled user does not hold it', async () => {
    expect(await core.loadAdapter('held', 'synthetic:rank=4,seed=4')).toBeNull();
    const user = follow({ prompt: prompt(1, 10), maxTokens: 200, adapter: 'held' });
    await user.reached(1);
    const unloading = core.unloadAdapter('held');
    user.handle.cancel();
    expect(await unloading).toBe(true);
  });

  test('what cannot be loaded says why, and changes nothing', async () => {
    const before = core.adapters();
    expect(await core.loadAdapter('x', '/nowhere')).toMatchObject({
      code: 'bad_path',
      message: expect.stringContaining('/nowhere'),
    });
    expect(await core.loadAdapter('x', 'synthetic:rank=16,sed=1')).toMatchObject({ code: 'bad_path' });
    expect(await core.loadAdapter('x', 'synthetic:rank=64,seed=1')).toMatchObject({
      code: 'rank_too_big',
      message: expect.stringContaining('32'),
    });
    expect(await core.loadAdapter('a', 'synthetic:rank=8,seed=1')).toMatchObject({ code: 'exists' });
    expect(core.adapters()).toEqual(before);
    const bytes = new Map(before.map((adapter) => [adapter.name, adapter.bytes]));
    expect(bytes.get('b')).toBe(4 * (bytes.get('a') as number)); // rank 32 and rank 8: memory follows the rank
  });
});

describe('what does not start', () => {
  test('a model too big for the memory given: the arithmetic and what would fit', async () => {
    const error = await startTestCore({ gpuMemory: 8 * 2 ** 20 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ code: 'too_big', exitCode: 2 });
    const { message, hint } = error as EngineError;
    for (const part of [/weights +\d+\.\d MiB/, /adapters +\d+\.\d MiB/, /kv cache/, /total .* of 8\.0 MiB/])
      expect(message).toMatch(part);
    expect(hint).toContain('--max-model-len');
  });

  test('a model nobody knows: the ones there are', async () => {
    const error = await startTestCore({ model: 'llama-9-1t' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining('llama-3-8b') });
  });
});

test('close ends what is in progress with its reason, and is not taken for a death', async () => {
  const closing = await startTestCore({ maxGpuLoras: 0 });
  let died: string | null = null;
  void closing.died.then((why) => {
    died = why;
  });
  const running = follow({ prompt: prompt(1, 10), maxTokens: 200 }, closing);
  await running.reached(2);
  await Promise.all([closing.close(), closing.close()]);
  expect(await running.ended).toMatchObject({ code: 'closing' });
  const heard = running.ids.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(running.ids).toHaveLength(heard);
  expect(died).toBeNull();
});
