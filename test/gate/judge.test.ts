/** Verdicts of pairs of runs: tolerances, Holm, looks, censored percentiles, and whose fault it is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judge } from '../../src/gate/judge.ts';
import { meanBounds } from '../../src/stats/one-sided.ts';
import { checked, distribution, FACTS, failing, input, judged, run, scalar, ttftPairs, withA, withB } from './runs.ts';

const TTFT = { metric: 'ttft.p50', max_increase: '5%' };
const LOOKS = { looks: [6, 12, 20] };

/** Pairs whose ratios are exactly these. */
const ratios = (values: readonly number[]) =>
  values.map((ratio, pair) => ({
    cell: 'c1',
    pair,
    a: run({ ttft: distribution(20) }),
    b: run({ ttft: distribution(20 * ratio) }),
  }));

describe('a relative threshold', () => {
  const thresholds = checked([TTFT]);

  test('fails where the lower bound is beyond the tolerance, passes where the upper is within, and else is neither', () => {
    const spread = [1.001, 0.999, 1.002, 0.998, 1.0, 1.003];
    const at = (change: number) => judged({ thresholds, pairs: ratios(spread.map((one) => one * change)) });
    expect(at(1)).toMatchObject({ exitCode: 0, decided: true, first: { outcome: 'pass', decidedAtLook: 6, pairs: 6 } });
    expect(at(1.08)).toMatchObject({ exitCode: 1, decided: true, first: { outcome: 'fail' } });
    expect(at(1.05)).toMatchObject({
      exitCode: 3,
      decided: false,
      first: { outcome: 'inconclusive', decidedAtLook: null },
    });
    expect(at(1.08).first.change).toBeCloseTo(0.0805, 3);
  });

  test('its bounds are those of Student on logarithms, at alpha over the looks', () => {
    const values = [1.02, 0.97, 1.05, 1.0, 1.01, 0.99];
    const { first } = judged({ thresholds, pairs: ratios(values), ...LOOKS });
    const { mean, lower, upper } = meanBounds(values.map(Math.log), 0.05 / 3);
    expect(first.change).toBeCloseTo(Math.expm1(mean), 12);
    expect(first.interval![0]).toBeCloseTo(Math.expm1(lower), 12);
    expect(first.interval![1]).toBeCloseTo(Math.expm1(upper), 12);
    expect(first.a).toBeCloseTo(20, 9);
    expect(first.b).toBeCloseTo(20 * Math.exp(mean), 9);
  });

  test('where less is worse, a decrease within the tolerance is of the ratio itself', () => {
    const less = checked([{ metric: 'output_tokens_per_second', max_decrease: '10%' }]);
    const at = (ratio: number) =>
      judged({
        thresholds: less,
        pairs: ratios([0.9999, 1.0001, 1, 1, 1, 1]).map(({ a, b, ...rest }) => ({
          ...rest,
          a: { ...a, metrics: { output_tokens_per_second: scalar(100) } },
          b: { ...b, metrics: { output_tokens_per_second: scalar(100 * ratio * (1 + rest.pair * 1e-6)) } },
        })),
      });
    expect(at(0.901).first.outcome).toBe('pass');
    expect(at(0.899).first).toMatchObject({ outcome: 'fail', change: expect.closeTo(-0.101, 3) });
    expect(at(0.899).first.interval![1]).toBeLessThan(-0.1);
    // A rate that fell to nothing is as bad as can be, and no division by zero.
    expect(at(0).first).toMatchObject({ outcome: 'fail' });
  });

  test('words say what was measured, how sure it is, and what is allowed', () => {
    const { first, reasons } = judged({ thresholds, pairs: ratios([1.08, 1.081, 1.079, 1.08, 1.082, 1.078]) });
    expect(first.reason).toMatch(
      /^21\.6 ms against 20 ms: \+8\.0% \(\+7\.9% to \+8\.1%\) over 6 pairs of runs, \+5% allowed: worse/,
    );
    expect(reasons[0]).toContain('FAIL: ttft.p50 max_increase 5% in c1: 21.6 ms');
  });

  test('any figures: never pass and fail at once, and a lower tolerance never fails less', () => {
    const some = fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), { minLength: 6, maxLength: 20 });
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 50 }), (values, percent) => {
        const outcome = (tolerance: number) =>
          judged({
            thresholds: checked([{ metric: 'ttft.p50', max_increase: `${tolerance}%` }]),
            pairs: ratios(values),
          }).first;
        const [strict, lax] = [outcome(percent), outcome(percent + 10)];
        expect(['pass', 'fail', 'inconclusive']).toContain(strict.outcome);
        if (lax.outcome === 'fail') expect(strict.outcome).toBe('fail');
        if (strict.outcome === 'pass') {
          expect(lax.outcome).toBe('pass');
          expect(strict.interval![1]).toBeLessThan(percent / 100);
        }
        if (strict.outcome === 'fail') expect(strict.interval![0]).toBeGreaterThanOrEqual(percent / 100);
      }),
      { numRuns: 60 },
    );
  });

  test('the order of pairs, and the unit of the figures, change nothing', () => {
    const pairs = ttftPairs(8, { sd: 0.05, seed: 3 });
    const scaled = pairs.map(({ a, b, ...rest }) => ({
      ...rest,
      a: { ...a!, metrics: { ttft: distribution(7 * (a!.metrics['ttft'] as { p50: number }).p50) } },
      b: { ...b!, metrics: { ttft: distribution(7 * (b!.metrics['ttft'] as { p50: number }).p50) } },
    }));
    const [one, two, three] = [pairs, [...pairs].reverse(), scaled].map((p) => judged({ thresholds, pairs: p }).first);
    expect(two).toEqual(one);
    expect(three!.p).toBeCloseTo(one!.p!, 10);
  });
});

describe('Holm', () => {
  /** p of 0.014: enough alone at 5% in one look, too little as the least of six. */
  const worse = [1.2, 1.02, 1.15, 1.04, 1.18, 1.09];
  const many = (count: number) =>
    checked(
      Array.from({ length: count }, (_, i) => ({
        ...TTFT,
        metric: `ttft.${['p50', 'p90', 'p95', 'mean', 'p99', 'p999'][i]}`,
      })),
    );
  const oneWorse = ratios(worse).map(({ a, b, ...rest }) => ({
    ...rest,
    a,
    b: { ...b, metrics: { ttft: distribution(20, { count: 5000, p50: (b.metrics['ttft'] as { p50: number }).p50 }) } },
  }));
  const a5000 = withA(oneWorse, (a) => ({ ...a, metrics: { ttft: distribution(20, { count: 5000 }) } }));

  test('corrects failures for the other thresholds that gate, not for those that are only shown', () => {
    const alone = judged({ thresholds: many(1), pairs: a5000 });
    const six = judged({ thresholds: many(6), pairs: a5000 });
    expect(alone.first.p).toBeLessThan(0.05);
    expect(alone.first.p).toBeGreaterThan(0.05 / 6);
    expect(alone.first).toMatchObject({ outcome: 'fail', pAdjusted: alone.first.p });
    expect(six.first).toMatchObject({ outcome: 'inconclusive', pAdjusted: 6 * alone.first.p! });
    const shown = many(6).map((one, i) => (i === 0 || one.id.startsWith('faults') ? one : { ...one, gating: false }));
    expect(judged({ thresholds: shown, pairs: a5000 }).first.outcome).toBe('fail');
  });

  test('leaves passing alone: so many more thresholds take nothing from it', () => {
    const pairs = withA(
      withB(ttftPairs(6, { sd: 0.03, seed: 5 }), (b) => ({
        ...b,
        metrics: { ttft: { ...b.metrics['ttft']!, count: 5000 } as never },
      })),
      (a) => ({ ...a, metrics: { ttft: { ...a.metrics['ttft']!, count: 5000 } as never } }),
    );
    const [one, six] = [judged({ thresholds: many(1), pairs }), judged({ thresholds: many(6), pairs })];
    expect(one.first.outcome).toBe('pass');
    expect(six.verdicts.map(({ outcome }) => outcome)).toEqual(new Array(7).fill('pass'));
    expect(six.first.interval).toEqual(one.first.interval);
  });
});

describe('looks', () => {
  test('a decision once made stands, whatever comes after it', () => {
    const thresholds = checked([TTFT]);
    const first = judge(input({ thresholds, pairs: ttftPairs(6), ...LOOKS, final: false }));
    expect(first.verdicts[0]).toMatchObject({ outcome: 'pass', decidedAtLook: 6 });
    const later = judged({
      thresholds,
      pairs: ttftPairs(12, { change: 0.5 }),
      ...LOOKS,
      look: 1,
      earlier: first.verdicts,
    });
    expect(later.first).toEqual(first.verdicts[0]);
  });

  test('but faults that come later are seen: that there were none so far decides nothing', () => {
    const thresholds = checked([TTFT]);
    const first = judge(input({ thresholds, pairs: ttftPairs(6), ...LOOKS, final: false }));
    const later = withB(ttftPairs(12), (b, pair) => (pair < 6 ? b : { ...b, ...failing(250) }));
    expect(judged({ thresholds, pairs: later, ...LOOKS, look: 1, earlier: first.verdicts })).toMatchObject({
      exitCode: 1,
      faults: { outcome: 'fail' },
    });
  });

  test('undecided thresholds keep a gate going; one on the way out needs no more', () => {
    const thresholds = checked([TTFT]);
    const early = judged({ thresholds, pairs: ttftPairs(6, { sd: 0.2 }), ...LOOKS, final: false });
    expect(early).toMatchObject({ decided: false, first: { outcome: 'inconclusive' } });
    expect(early.first.reason).toContain('more pairs will tell');
    expect(judged({ thresholds, pairs: [], down: { A: 'it exited', B: null }, final: false }).decided).toBe(true);
  });
});

describe('a percentile among requests that never ended', () => {
  const thresholds = checked([{ metric: 'ttft.p99', max_increase: '5%' }]);
  const bounded = (gt: number) => run({ ttft: distribution(20, { p99: { gt }, censored: 20 }) });

  test('can fail by what it is at least, and never passes', () => {
    const at = (gt: number) =>
      judged({ thresholds, pairs: withB(ttftPairs(6, { sd: 0.001 }), () => bounded(gt)) }).first;
    expect(at(25)).toMatchObject({ outcome: 'fail', interval: [expect.closeTo(0.25, 2), null] });
    expect(at(15)).toMatchObject({ outcome: 'inconclusive', interval: [expect.any(Number), null] });
  });

  test('of the reference is nothing to compare with', () => {
    expect(judged({ thresholds, pairs: withA(ttftPairs(6), () => bounded(25)) }).first.outcome).toBe('no-data');
  });
});

describe('whose fault it is', () => {
  const thresholds = checked([TTFT]);
  const pairs = ttftPairs(12);
  const validity = (more: object) => (one: ReturnType<typeof run>) => ({
    ...one,
    validity: { ...one.validity, ...more },
  });
  const trending = {
    steady: 'trending',
    steadyDetail: { cutRequests: 0, metric: 'ttft', pTrend: 1e-6, drift: 0.3, why: null },
  };
  const limited = { clientError: { ttft: null, tpot: null, limited: ['ttft.p50'] } };

  test.each<[string, object]>([
    ['late sends', { sendLagP99: 3 }],
    ['late stamps', limited],
    ['latencies of no one state', trending],
    [
      'latencies that had not settled',
      {
        steadyDetail: {
          cutRequests: 9,
          metric: null,
          pTrend: null,
          drift: null,
          why: 'latencies had not settled by the middle of the run',
        },
      },
    ],
  ])('the harness: %s make it invalid, exit 4, on either side', (_, more) => {
    expect(judged({ thresholds, pairs: withB(pairs, validity(more)) })).toMatchObject({
      exitCode: 4,
      first: { outcome: 'invalid' },
    });
    expect(judged({ thresholds, pairs: withA(pairs, validity(more)) })).toMatchObject({
      exitCode: 4,
      first: { outcome: 'invalid' },
    });
  });

  test('up to a fifth of the pairs may be spoilt, and are left out', () => {
    const spoilt = (count: number) => withB(pairs, (b, pair) => (pair < count ? validity(limited)(b) : b));
    expect(judged({ thresholds, pairs: spoilt(2) })).toMatchObject({ exitCode: 0, first: { pairs: 10, leftOut: 2 } });
    expect(judged({ thresholds, pairs: spoilt(3) })).toMatchObject({ exitCode: 4, first: { outcome: 'invalid' } });
  });

  test('what is spoilt at one look does not end it: more pairs make up for it', () => {
    const one = (b: ReturnType<typeof run>, pair: number) => (pair === 0 ? validity(limited)(b) : b);
    const looks = [6, 12];
    const first = judged({ thresholds, pairs: withB(ttftPairs(6), one), looks, final: false });
    expect(first).toMatchObject({ decided: false, first: { outcome: 'invalid', pairs: 5, leftOut: 1 } });
    const second = { thresholds, pairs: withB(ttftPairs(12), one), looks, look: 1, earlier: first.verdicts };
    expect(judged(second)).toMatchObject({ decided: true, exitCode: 0 });
    // Another plan stays another plan.
    const arms = { A: { ...FACTS, planHash: 'other' }, B: FACTS };
    expect(judged({ thresholds, pairs: ttftPairs(6), looks, final: false, arms }).decided).toBe(true);
  });

  test('late stamps that are known to be less than half the tolerance do not matter; those of a limit always do', () => {
    const late = (p50: number) => ({ clientError: { ttft: { p50, p99: null }, tpot: null, limited: ['ttft.p50'] } });
    // Of 20 ms, and of a tolerance of 5%.
    expect(judged({ thresholds, pairs: withA(withB(pairs, validity(late(0.4))), validity(late(0.4))) }).exitCode).toBe(
      0,
    );
    expect(judged({ thresholds, pairs: withB(pairs, validity(late(0.6))) }).first.outcome).toBe('invalid');
    const limit = { thresholds: checked(['ttft.p50 < 1s']), pairs: withB(pairs, validity(late(0.4))) };
    expect(judged(limit).first.outcome).toBe('invalid');
  });

  test('one trend among many runs is chance, and a drift far within the tolerance does not matter', () => {
    const drifting = (pTrend: number, drift: number) => ({ steadyDetail: { ...trending.steadyDetail, pTrend, drift } });
    const all = (b: ReturnType<typeof run>) => validity(drifting(0.3, 0))(b);
    const one = withB(withA(pairs, all), (b, pair) => (pair === 0 ? validity(drifting(0.01, 0.3))(b) : all(b)));
    expect(judged({ thresholds, pairs: one }).first.leftOut).toBe(0);
    expect(judged({ thresholds, pairs: withB(pairs, validity(drifting(1e-6, 0.02))) }).exitCode).toBe(0);
    const why = 'latencies had not settled by the middle of the run';
    const unsettled = (drift: number) => ({ steadyDetail: { ...trending.steadyDetail, pTrend: 0.5, drift, why } });
    expect(judged({ thresholds, pairs: withB(pairs, validity(unsettled(0.02))) }).exitCode).toBe(0);
    expect(judged({ thresholds, pairs: withB(pairs, validity(unsettled(0.04))) }).exitCode).toBe(4);
  });

  test('the candidate: more of its requests fail, exit 1, also where the harness is at fault for latencies', () => {
    const worse = withB(pairs, (b) => ({ ...b, ...failing(25) }));
    expect(judged({ thresholds, pairs: worse })).toMatchObject({ exitCode: 1, faults: { outcome: 'fail' } });
    const both = judged({ thresholds, pairs: withB(worse, validity(limited)) });
    expect(both).toMatchObject({ exitCode: 1, first: { outcome: 'invalid' }, faults: { outcome: 'fail' } });
    expect(both.reasons[0]).toContain(
      "300 of 6000 (5%) of the candidate's requests did not succeed, of the reference's 0 of 6000",
    );
  });

  test('failures on both sides alike are nobody’s regression', () => {
    const alike = withB(
      withA(pairs, (a) => ({ ...a, ...failing(5) })),
      (b) => ({ ...b, ...failing(5) }),
    );
    expect(judged({ thresholds, pairs: alike })).toMatchObject({ exitCode: 0, faults: { outcome: 'pass' } });
  });

  test('a failure or two that chance explains are undecided, and with enough requests within what is allowed', () => {
    const few = (failed: number) => withB(pairs, (b, pair) => (pair === 0 ? { ...b, ...failing(failed) } : b));
    expect(judged({ thresholds, pairs: few(5) }).faults).toMatchObject({ outcome: 'pass' });
    expect(judged({ thresholds, pairs: few(12) })).toMatchObject({ exitCode: 3, faults: { outcome: 'inconclusive' } });
  });

  test('the candidate falls behind an open loop that the reference keeps up with', () => {
    const open = { inFlight: { mean: 9, asked: null } };
    const behind = withB(withA(pairs, validity(open)), validity({ ...open, ...trending }));
    expect(judged({ thresholds, pairs: behind })).toMatchObject({ exitCode: 1, faults: { outcome: 'fail' } });
    const both = withA(behind, validity({ ...open, ...trending }));
    expect(judged({ thresholds, pairs: both })).toMatchObject({ exitCode: 4, faults: { outcome: 'pass' } });
  });

  test('answers of another length are other work', () => {
    const e2e = checked([{ metric: 'e2e.p50', max_increase: '5%' }]);
    const answers = pairs.map(({ a, b, ...rest }) => ({
      ...rest,
      a: { ...a!, metrics: { e2e: a!.metrics['ttft']! } },
      b: { ...b!, metrics: { e2e: b!.metrics['ttft']! }, counts: { ...b!.counts, outputTokens: 4000 } },
    }));
    expect(judged({ thresholds: e2e, pairs: answers })).toMatchObject({
      exitCode: 4,
      first: { reason: expect.stringContaining('20.0% shorter') },
    });
  });
});

test('what is only reported never fails, and says what it would have been', () => {
  const shown = checked([{ ...TTFT, severity: 'report' }]);
  const { exitCode, first } = judged({ thresholds: shown, pairs: ttftPairs(6, { change: 0.5 }) });
  expect(exitCode).toBe(0);
  expect(first).toMatchObject({
    outcome: 'report-only',
    decidedAtLook: null,
    reason: expect.stringContaining('worse than allowed'),
  });
});

test('undecided is exit 3, or 0 with on_inconclusive: warn; without data is 3 in any case', () => {
  const thresholds = checked([TTFT]);
  const pairs = ttftPairs(6, { sd: 0.3 });
  expect(judged({ thresholds, pairs }).exitCode).toBe(3);
  expect(judged({ thresholds, pairs, onInconclusive: 'warn' }).exitCode).toBe(0);
  expect(judged({ thresholds, pairs: pairs.slice(0, 3), onInconclusive: 'warn' }).exitCode).toBe(3);
});
