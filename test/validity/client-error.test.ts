/** By how much figures stand too high for the client's own delay: known answers, and that it is not called out without cause. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HdrHistogram } from '../../src/recorder/histogram.ts';
import type { ClientHealth, SelfCheck, StampError } from '../../src/result/schema.ts';
import { type ClientErrorInput, clientErrorOf, clientLimitedWords } from '../../src/validity/client-error.ts';

const MS = 1e6;

function errorOf(ms: readonly number[]): StampError {
  const histogram = HdrHistogram.empty(2);
  for (const one of ms) histogram.record(Math.round(one * MS));
  const ascending = [...ms].sort((a, b) => a - b);
  const at = (p: number) => ascending[Math.ceil(p * ascending.length) - 1]!;
  return { count: ms.length, p50: at(0.5), p99: at(0.99), max: at(1), hdr: histogram.encode() };
}

/** As many probes as a p99 takes, unless told otherwise. */
const healthOf = (ms: readonly number[], probes = 100): ClientHealth => ({
  workers: 1,
  stampError: ms.length === 0 ? null : errorOf(Array.from({ length: probes }, (_, i) => ms[i % ms.length]!)),
  gcPauseMaxMs: 0,
  gcPauseTotalMs: 0,
  eventLoopDelayP99Ms: 0,
  eventLoopDelayMaxMs: 0,
  busy: 0,
});

const checkOf = (streams: number, ttft: readonly number[], tpot: readonly number[] = [0]): SelfCheck => ({
  workers: 1,
  streams,
  gapMs: 20,
  ttft: errorOf(ttft),
  tpot: errorOf(tpot),
});

const spread = (count: number, from: number, to: number) =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

const input = (over: Partial<ClientErrorInput>): ClientErrorInput => ({
  ttft: spread(200, 100 * MS, 200 * MS),
  tpot: spread(200, 10 * MS, 20 * MS),
  tokens: 101,
  inFlight: 8,
  closed: true,
  health: null,
  selfCheck: null,
  ...over,
});

describe('clientErrorOf', () => {
  it('is a constant delay where the delay is constant', () => {
    const error = clientErrorOf(input({ health: healthOf([3, 3, 3, 3]) }))!;
    expect(error.ttft!.p50).toBeCloseTo(3, 1);
    expect(error.ttft!.p99).toBeCloseTo(3, 1);
    expect(error.tpot!.p50).toBeCloseTo(0, 9); // both ends of a span are late alike
    expect(error.tpot!.p99).toBeCloseTo(0, 9);
    expect(error.limited).toEqual(['ttft.p50', 'ttft.p99']);
  });

  it('is the mean delay of the few that a small run has, not the next value', () => {
    const ttft = spread(16, 100 * MS, 400 * MS); // 20 ms from one to the next
    const error = clientErrorOf(input({ ttft, health: healthOf(spread(100, 0, 1)) }))!;
    expect(error.ttft!.p50).toBeCloseTo(0.5, 1);
    expect(error.ttft!.p99).toBeCloseTo(0.5, 1);
    expect(error.limited).toEqual([]);
  });

  it('is no rare delay added to every percentile: values vary more', () => {
    // One stamp in fifty 20 ms late: 0.4 ms on average.
    const error = clientErrorOf(input({ health: healthOf([...new Array(49).fill(0.05), 20]) }))!;
    expect(error.ttft!.p50).toBeGreaterThan(0.05);
    expect(error.ttft!.p50).toBeLessThan(1);
    expect(error.ttft!.p99).toBeLessThan(4);
    // Where the server never varies, the slowest one in a hundred is the client's doing.
    const flat = clientErrorOf(
      input({ ttft: new Array(200).fill(100 * MS), health: healthOf([...new Array(49).fill(0.05), 20]) }),
    )!;
    expect(flat.ttft!.p99).toBeCloseTo(20, 0);
    expect(flat.limited).toEqual(['ttft.p99']);
  });

  it('is judged against 1 ms, or 1% of the value', () => {
    const limited = (ttftMs: number, errorMs: number) =>
      clientErrorOf(input({ ttft: new Array(50).fill(ttftMs * MS), health: healthOf([errorMs]) }))!.limited;
    expect(limited(10, 0.9)).toEqual([]);
    expect(limited(10, 1.1)).toEqual(['ttft.p50', 'ttft.p99']);
    expect(limited(1_000, 9)).toEqual([]);
    expect(limited(1_000, 11)).toEqual(['ttft.p50', 'ttft.p99']);
  });

  it('spreads an error over the tokens of an answer', () => {
    const alternating = healthOf(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 0 : 200)));
    const of = (tokens: number) =>
      clientErrorOf(input({ tokens, tpot: new Array(50).fill(10 * MS), health: alternating }))!;
    expect(of(2).tpot!.p99).toBeGreaterThan(100);
    expect(of(201).tpot!.p99).toBeLessThan(1.5);
    expect(of(2).limited).toContain('tpot.p99');
  });

  it('takes the self-check for runs at its load, and the worse of both sources', () => {
    const selfCheck = checkOf(100, [5], [2]);
    expect(clientErrorOf(input({ selfCheck, inFlight: 8 }))).toBe(null);
    expect(clientErrorOf(input({ selfCheck, inFlight: 50 }))!.ttft!.p50).toBeCloseTo(5, 0);
    expect(clientErrorOf(input({ selfCheck, inFlight: 50 }))!.tpot!.p50).toBeCloseTo(2, 1);
    expect(clientErrorOf(input({ selfCheck, inFlight: 99, health: healthOf([9]) }))!.ttft!.p50).toBeCloseTo(9, 0);
    expect(clientErrorOf(input({ selfCheck, inFlight: 99, health: healthOf([1]) }))!.ttft!.p50).toBeCloseTo(5, 0);
  });

  it('does not let a single late probe of a short run decide', () => {
    const oneLate = [...new Array(9).fill(0.1), 30];
    expect(clientErrorOf(input({ health: healthOf(oneLate, 10) }))).toBe(null);
    const some = clientErrorOf(input({ health: healthOf([...new Array(49).fill(0.1), 30], 50) }))!;
    expect(some.ttft!.p50).toBeGreaterThan(0);
    expect(some.ttft!.p99).toBe(null);
    expect(some.limited).toEqual([]);
  });

  it('takes no more from the self-check than the run itself varies, and nothing for an open loop', () => {
    const selfCheck = checkOf(100, [5]);
    const narrow = input({ ttft: spread(50, 10 * MS, 12 * MS), selfCheck, inFlight: 100 });
    expect(clientErrorOf(narrow)!.ttft!.p50).toBeCloseTo(1, 0);
    expect(clientErrorOf({ ...narrow, closed: false })).toBe(null);
  });

  it('knows nothing without a source or a value', () => {
    expect(clientErrorOf(input({ health: healthOf([]) }))).toBe(null);
    expect(clientErrorOf(input({ ttft: [], health: healthOf([1]) }))).toBe(null);
    expect(clientErrorOf(input({ tpot: [], health: healthOf([1]) }))!.tpot).toBe(null);
  });

  it('is never negative, nor more than the largest error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.double({ min: 0.01, max: 50, noNaN: true }), { minLength: 1, maxLength: 60 }),
        (values, errors) => {
          const most = Math.max(...errors) * 1.02; // a histogram of two digits
          const { ttft } = clientErrorOf(
            input({
              ttft: values.map((ms) => ms * MS),
              health: healthOf(errors, errors.length * Math.ceil(100 / errors.length)),
            }),
          )!;
          for (const error of [ttft!.p50!, ttft!.p99!]) {
            expect(error).toBeGreaterThanOrEqual(0);
            expect(error).toBeLessThanOrEqual(most + 1e-6);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

it('says which figures suffer, by how much, and what would help', () => {
  const words = clientLimitedWords(clientErrorOf(input({ health: healthOf([3]) })));
  expect(words).toMatch(/^CLIENT LIMITED: .*ttft p50 by 3\.\d\d ms, ttft p99 by 3\.\d\d ms; .*--workers/);
  expect(clientLimitedWords(clientErrorOf(input({ health: healthOf([0.1]) })))).toBe(null);
  expect(clientLimitedWords(null)).toBe(null);
});
