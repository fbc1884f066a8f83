/** Absolute thresholds, kept sessions and exact counters. */
import { describe, expect, test } from 'vitest';
import { candidateAlone } from '../../src/gate/candidate-alone.ts';
import type { BaselineSession } from '../../src/gate/judgement.ts';
import { shareBounds } from '../../src/stats/proportion.ts';
import { normal, randomOf } from '../stats/series.ts';
import { checked, distribution, FACTS, failing, judged, run, scalar, ttftPairs, withA, withB } from './runs.ts';

const alone = (runs: ReturnType<typeof run>[]) => runs.map((b, pair) => ({ cell: 'c1', pair, a: null, b }));
const ABSOLUTE = { mode: 'absolute', arms: { A: null, B: FACTS } } as const;

describe('a limit', () => {
  const p99 = checked(['ttft.p99 < 400ms']);
  const runsOf = (...values: number[]) => alone(values.map((value) => run({ ttft: distribution(value) })));

  test('is judged on the bound of the mean of runs, not on the mean', () => {
    const at = (...values: number[]) => judged({ ...ABSOLUTE, thresholds: p99, pairs: runsOf(...values) });
    expect(at(350, 355, 352, 349)).toMatchObject({ exitCode: 0, first: { outcome: 'pass' } });
    expect(at(450, 455, 452, 449)).toMatchObject({ exitCode: 1, first: { outcome: 'fail' } });
    expect(at(350, 420, 352, 440)).toMatchObject({ exitCode: 3, first: { outcome: 'inconclusive' } });
  });

  test('of a single run is held against that run’s own interval', () => {
    const at = (ci99: [number, number] | null) =>
      judged({ ...ABSOLUTE, thresholds: p99, pairs: alone([run({ ttft: distribution(380, { ci99 }) })]) });
    expect(at([350, 395])).toMatchObject({ exitCode: 0, first: { interval: [350, 395], outcome: 'pass' } });
    expect(at([370, 410]).exitCode).toBe(3);
    expect(at([401, 450]).exitCode).toBe(1);
    expect(at(null)).toMatchObject({ exitCode: 3, first: { outcome: 'no-data' } });
    const rate = checked(['output_tokens_per_second > 10/s']);
    const one = alone([run({ output_tokens_per_second: scalar(100) })]);
    expect(judged({ ...ABSOLUTE, thresholds: rate, pairs: one }).first).toMatchObject({
      outcome: 'no-data',
      reason: expect.stringContaining('one run does not show how much runs differ'),
    });
  });

  test('from below is the same the other way round', () => {
    const rate = checked(['output_tokens_per_second > 100/s']);
    const at = (...values: number[]) =>
      judged({
        ...ABSOLUTE,
        thresholds: rate,
        pairs: alone(values.map((v) => run({ output_tokens_per_second: scalar(v) }))),
      });
    expect(at(110, 111, 112).first).toMatchObject({ outcome: 'pass', b: expect.closeTo(111, 6) });
    expect(at(90, 91, 92).first.outcome).toBe('fail');
    expect(at(90, 111, 112).first.outcome).toBe('inconclusive');
    const { interval } = at(110, 111, 112).first;
    expect(interval![0]!).toBeLessThan(111);
    expect(interval![1]!).toBeGreaterThan(111);
  });

  test('values at the limit itself: < is broken, <= is kept', () => {
    const at = (written: string) =>
      judged({ ...ABSOLUTE, thresholds: checked([written]), pairs: runsOf(400, 400) }).first.outcome;
    expect([at('ttft.p99 < 400ms'), at('ttft.p99 <= 400ms')]).toEqual(['fail', 'pass']);
  });

  test('a percentile that is at least so high can break a limit, not keep it', () => {
    const bounded = (gt: number) =>
      alone([1, 2, 3].map((i) => run({ ttft: distribution(20, { p99: { gt: gt + i }, censored: 20 }) })));
    expect(judged({ ...ABSOLUTE, thresholds: p99, pairs: bounded(500) }).first.outcome).toBe('fail');
    expect(judged({ ...ABSOLUTE, thresholds: p99, pairs: bounded(100) }).first).toMatchObject({
      outcome: 'inconclusive',
      interval: [expect.any(Number), null],
    });
  });

  test('of error_rate: what was seen must keep to it, chance must not explain a failure', () => {
    const thresholds = checked(['error_rate <= 1%']);
    const at = (failed: number) =>
      judged({ ...ABSOLUTE, thresholds, pairs: alone([run({}, failing(failed)), run({}, failing(0))]) });
    expect(at(0)).toMatchObject({
      exitCode: 0,
      first: { outcome: 'pass', interval: [0, shareBounds(0, 1000, 0.05).upper] },
    });
    expect(at(10).first.outcome).toBe('pass');
    expect(at(13).first.outcome).toBe('inconclusive');
    expect(at(40)).toMatchObject({ exitCode: 1, first: { outcome: 'fail' }, faults: { outcome: 'pass' } });
  });

  test('in a gate with pairs it is of the candidate’s runs, and takes six of them', () => {
    expect(judged({ thresholds: checked(['ttft.p50 < 30ms']), pairs: ttftPairs(6) }).first).toMatchObject({
      outcome: 'pass',
      pairs: 6,
    });
    expect(judged({ thresholds: checked(['ttft.p50 < 30ms']), pairs: ttftPairs(5) }).first.outcome).toBe('no-data');
  });

  test('runs of a plain result are taken by replicate, the last attempt of each', () => {
    const cell = { id: 'c1', target: 't', at: {} as never, servedRanks: null };
    const runs = [0, 1, 1].map((replicate, i) => run({}, { replicate, attempt: i }));
    expect(candidateAlone([{ ...cell, runs }]).map(({ pair, a, b }) => [pair, a, b!.attempt])).toEqual([
      [0, null, 0],
      [1, null, 2],
    ]);
  });
});

describe('kept sessions', () => {
  const thresholds = checked([{ metric: 'ttft.p50', max_increase: '30%' }]);
  const random = randomOf(11);
  const session = (value: number, more: Partial<BaselineSession> = {}): BaselineSession => ({
    ...FACTS,
    session: 's',
    runs: { c1: [run({ ttft: distribution(value) }), run({ ttft: distribution(value) })] },
    ...more,
  });
  const kept = (count: number) => Array.from({ length: count }, () => session(20 * Math.exp(0.05 * normal(random))));
  const at = (value: number, baseline: BaselineSession[]) =>
    judged({
      mode: 'baseline',
      arms: { A: null, B: FACTS },
      thresholds,
      baseline,
      pairs: alone([run({ ttft: distribution(value) }), run({ ttft: distribution(value) })]),
    });

  test('hold one more session against a prediction interval, wider than that of their mean', () => {
    const eight = kept(8);
    expect(at(20, eight)).toMatchObject({ exitCode: 0, first: { outcome: 'pass', pairs: 8 } });
    expect(at(24, eight).first.outcome).toBe('inconclusive');
    expect(at(35, eight)).toMatchObject({ exitCode: 1, first: { outcome: 'fail' } });
    const [low, high] = at(20, eight).first.interval as [number, number];
    // 1.9 x 0.05 x sqrt(9/8) is 10%, with the spread that eight of them happen to show.
    expect(high - low).toBeGreaterThan(0.1);
  });

  test('fewer than eight, of another machine or of another plan are none', () => {
    expect(at(20, kept(7))).toMatchObject({
      exitCode: 4,
      first: { reason: expect.stringContaining('7 sessions are kept, 8 are needed') },
    });
    expect(at(20, [...kept(8), session(20, { fingerprint: 'other' })])).toMatchObject({
      exitCode: 4,
      first: { reason: expect.stringContaining('another machine') },
    });
    expect(at(20, [...kept(8), session(20, { planHash: 'other' })])).toMatchObject({
      exitCode: 4,
      first: { reason: expect.stringContaining('another plan') },
    });
    expect(at(20, [...kept(4), ...kept(4).map((one) => ({ ...one, runs: {} }))])).toMatchObject({
      exitCode: 3,
      first: { outcome: 'no-data' },
    });
  });

  test('more failures than they had are the candidate’s', () => {
    const failed = judged({
      mode: 'baseline',
      arms: { A: null, B: FACTS },
      thresholds,
      baseline: kept(8),
      pairs: alone([run({ ttft: distribution(20) }, failing(30))]),
    });
    expect(failed).toMatchObject({ exitCode: 1, faults: { outcome: 'fail' } });
    expect(
      judged({
        mode: 'baseline',
        arms: { A: null, B: FACTS },
        thresholds,
        baseline: kept(8),
        pairs: [],
        down: { A: null, B: 'refused' },
      }).exitCode,
    ).toBe(5);
  });
});

describe('an exact counter', () => {
  const thresholds = checked([{ metric: 'dispatches_per_step', exact: true }]);
  const counted =
    (value: number, exactFor: string | null = 'gpu x, portable') =>
    (one: ReturnType<typeof run>) => ({
      ...one,
      exact: { dispatches_per_step: value },
      ...(exactFor === null ? {} : { exactFor }),
    });
  const pair = ttftPairs(1);
  const at = (a: ReturnType<typeof counted>, b: ReturnType<typeof counted>) =>
    judged({ thresholds, pairs: withA(withB(pair, b), a) });

  test('is the same or is not: one pair is enough, nothing is tolerated, less is not the same either', () => {
    expect(at(counted(61), counted(61))).toMatchObject({
      exitCode: 0,
      first: { outcome: 'pass', a: 61, b: 61, change: 0 },
    });
    expect(at(counted(61), counted(62))).toMatchObject({
      exitCode: 1,
      first: { outcome: 'fail', reason: 'dispatches_per_step is 62, and 61 on the reference: +1.6%, nothing allowed.' },
    });
    expect(at(counted(61), counted(60)).exitCode).toBe(1);
  });

  test('of another device or kernels, or of unknown ones, is compared with nothing', () => {
    expect(at(counted(61), counted(61, 'gpu y, portable'))).toMatchObject({
      exitCode: 4,
      first: { outcome: 'invalid' },
    });
    expect(at(counted(61, null), counted(61, null)).exitCode).toBe(4);
    expect(at(counted(Number.NaN), counted(Number.NaN)).exitCode).toBe(4);
  });

  test('that was not counted is no data, and one that varies on the reference is not exact', () => {
    expect(at((one) => one as never, counted(61)).exitCode).toBe(3);
    expect(at(counted(61), (one) => one as never).exitCode).toBe(3);
    const varying = withA(withB(ttftPairs(2), counted(61)), (a, i) => counted(61 + i)(a));
    expect(judged({ thresholds, pairs: varying })).toMatchObject({
      exitCode: 4,
      first: { reason: expect.stringContaining('differs within the reference') },
    });
  });

  test('is the same on either side of a counter of zero', () => {
    expect(at(counted(0), counted(0)).exitCode).toBe(0);
    expect(at(counted(0), counted(2))).toMatchObject({ exitCode: 1, first: { change: null } });
  });
});
