/** --inject-delay on a server whose true times are known: by how much each token is late, and that nothing else changes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { now } from '../../../engine/clock.ts';
import type { SequenceTimings } from '../../../engine/core.ts';
import { DelayLine } from '../../../engine/http/delay-line.ts';
import { DueTimes, parseInjectDelay, told } from '../../../engine/inject-delay.ts';
import { chunksOf, post, serving, until } from './serving.ts';

const delays = (...values: string[]) => {
  const parsed = parseInjectDelay(values);
  if (parsed === null || typeof parsed === 'string') throw new Error(String(parsed));
  return parsed;
};

const TIMINGS = {} as SequenceTimings;

const MS = 1e6;
const STEADY = Array.from({ length: 6 }, (_, i) => 1000 + 60 + 12 * i);

/** When each of the tokens is due that came at `came`, all in ms, for a request that was read at 1000. */
function dueMs(values: string[], came: readonly number[], tokens = 1): number[] {
  const times = new DueTimes(delays(...values), 1000 * MS);
  return came.map((at) => times.next(at * MS, tokens) / MS);
}

describe('a token is due', () => {
  it('later by a share of the time from the request to the first, gaps as they were', () => {
    expect(dueMs(['ttft=50%'], STEADY)).toEqual(STEADY.map((at) => at + 30));
  });

  it('later by a share of every gap so far', () => {
    expect(dueMs(['itl=25%'], STEADY)).toEqual(STEADY.map((at, i) => at + 3 * i));
    // Gaps that differ grow each by its own share.
    expect(dueMs(['itl=50%'], [1060, 1080, 1084, 1184])).toEqual([1060, 1090, 1096, 1246]);
  });

  it('later by times, of both kinds, counted by tokens where several come at once', () => {
    expect(dueMs(['itl=1.5ms', 'ttft=30ms'], STEADY)).toEqual(STEADY.map((at, i) => at + 30 + 1.5 * i));
    expect(dueMs(['itl=1.5ms'], STEADY, 2)).toEqual(STEADY.map((at, i) => at + 3 * i));
  });
});

describe('a stream', () => {
  it('has each token at its time, never before it, and no later at its end than at its start', async () => {
    const line = new DelayLine(delays('ttft=50%', 'itl=25%'));
    const read = now();
    const reckoned = new DueTimes(delays('ttft=50%', 'itl=25%'), read);
    const [due, went]: [number[], number[]] = [[], []];
    const listener = line.listener({ onTokens: () => went.push(now()), onError: () => {} }, read);
    for (let i = 0; i < 24; i++) {
      await sleep(i === 0 ? 40 : 12);
      due.push(reckoned.next(now(), 1));
      listener.onTokens([i], null, TIMINGS);
    }
    await until(() => went.length === 24);
    // The line looks at its own clock, a moment after this one.
    const late = went.map((at, i) => (at - due[i]!) / MS);
    expect(Math.min(...late)).toBeGreaterThan(0);
    // A busy machine is late now and then; what added up would be late ever after.
    expect(Math.min(...late.slice(0, 12))).toBeLessThan(4);
    expect(Math.min(...late.slice(12))).toBeLessThan(4);
  });

  it('keeps the order of what is due at one time', async () => {
    const line = new DelayLine(delays('ttft=0%'));
    const at = now() + 3 * MS;
    const seen: number[] = [];
    for (const id of [1, 2, 3]) line.put({ at, hand: () => seen.push(id) });
    line.put({ at: at - MS, hand: () => seen.push(0) });
    await until(() => seen.length === 4);
    expect(seen).toEqual([0, 1, 2, 3]);
  });

  it('keeps its order when tokens come at once', async () => {
    const line = new DelayLine(delays('ttft=5ms', 'itl=0%'));
    const seen: (number | string)[] = [];
    const to = { onTokens: (ids: number[]) => seen.push(...ids), onError: () => seen.push('error') };
    const one = line.listener(to, now());
    const other = line.listener(to, now());
    for (let id = 0; id < 20; id++) (id % 2 === 0 ? one : other).onTokens([id], null, TIMINGS);
    expect(seen).toEqual([]);
    await until(() => seen.length === 20);
    expect(seen.filter((id) => (id as number) % 2 === 0)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    expect(seen.filter((id) => (id as number) % 2 === 1)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
  });

  it('tells an error at once, behind the tokens that had come', async () => {
    const line = new DelayLine(delays('ttft=10s'));
    const seen: (number | string)[] = [];
    const to = { onTokens: (ids: number[]) => seen.push(...ids), onError: () => seen.push('error') };
    const listener = line.listener(to, now());
    listener.onTokens([1], null, TIMINGS);
    listener.onTokens([2], null, TIMINGS);
    listener.onError({ code: 'closing', message: '' });
    expect(seen).toEqual([1, 2, 'error']);
  });

  it('says nothing more once nobody wants it', async () => {
    const line = new DelayLine(delays('ttft=5ms'));
    let told = 0;
    const listener = line.listener({ onTokens: () => told++, onError: () => told++ }, now());
    listener.onTokens([1], null, TIMINGS);
    listener.drop();
    await sleep(20);
    expect(told).toBe(0);
  });
});

describe('a server', () => {
  const stream = { model: 'llama-3-8b', prompt: 'one two three', max_tokens: 8, stream: true };
  const usage = { stream_options: { include_usage: true } };

  it('slows streams that run beside each other and whole answers alike, and counts it in its own times', async () => {
    const injectDelay = delays('ttft=100%', 'itl=5ms');
    const { url } = await serving({ prefillMs: 40, stepMs: 10, injectDelay });
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const chunks = await chunksOf(await post(`${url}/v1/completions`, { ...stream, ...usage }));
        expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe('one two threeone two threeone two');
        return chunks.at(-1)!.timings as Record<string, number>;
      }),
    );
    const whole = await post(`${url}/v1/completions`, { ...stream, stream: false });
    answers.push(((await whole.json()) as { timings: Record<string, number> }).timings);
    const grown = answers.map(({ ttft_ms, prefill_ms, stream_ms, decode_ms }) => {
      expect(ttft_ms! / prefill_ms!).toBeGreaterThan(1.99);
      return ttft_ms! + stream_ms! - (2 * prefill_ms! + decode_ms!);
    });
    expect(Math.min(...grown)).toBeGreaterThan(7 * 5 - 0.1);
    expect(Math.min(...grown)).toBeLessThan(7 * 5 + 30);
  });

  it('says so where it is asked for its version, and only then', async () => {
    const slowed = await serving({ injectDelay: delays('itl=8%') });
    const version = expect.any(String);
    expect(await (await fetch(`${slowed.url}/version`)).json()).toEqual({
      version,
      inject_delay: { ttft: null, itl: '8%' },
    });
    const plain = await serving();
    expect(await (await fetch(`${plain.url}/version`)).json()).toEqual({ version });
  });

  it('ends what a client leaves while its tokens wait', async () => {
    const { url, core } = await serving({ stepMs: 5, injectDelay: delays('ttft=10s') });
    const body = JSON.stringify({ ...stream, max_tokens: 1000 });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => core.stats().generatedTokens > 3);
    socket.destroy();
    await once(socket, 'close');
    await until(() => core.cancelled === 1 && core.live === 0);
  });
});

describe('what is given', () => {
  it('is read, and told as it was given', () => {
    expect(parseInjectDelay([])).toBeNull();
    expect(delays('ttft=8%', 'itl=2.5ms')).toEqual({
      ttft: { text: '8%', share: 0.08, nanoseconds: 0 },
      itl: { text: '2.5ms', share: 0, nanoseconds: 2.5e6 },
    });
    expect(told(delays('itl=2.5ms'))).toEqual({ ttft: null, itl: '2.5ms' });
    expect(told(null)).toBeNull();
  });

  it.each(['8%', 'tpot=8%', 'ttft=8', 'ttft=-8%', 'ttft=8 %', 'itl=2min', 'ttft='])('refuses %s', (value) => {
    expect(parseInjectDelay([value])).toContain('expected ttft=8%');
  });

  it('refuses one metric twice', () => {
    expect(parseInjectDelay(['ttft=8%', 'ttft=20ms'])).toBe('ttft is given twice');
  });
});
