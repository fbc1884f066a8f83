/** Steady, trending or unknown; and runs judged together. */
import { describe, expect, it } from 'vitest';
import { NOT_SETTLED } from '../../src/metrics/steady-state.ts';
import type { SteadyDetail, Validity } from '../../src/result/schema.ts';
import { judgeTrends, steadinessOf, steadyWarning } from '../../src/validity/steadiness.ts';

const detail = (pTrend: number | null, drift: number | null, why: string | null = null): SteadyDetail => ({
  cutRequests: 0,
  metric: 'ttft',
  pTrend,
  drift,
  why,
});

function run(given: SteadyDetail): Validity {
  const steady = steadinessOf(given);
  const warning = steadyWarning(steady, given);
  const warnings = ['another doubt', ...(warning === null ? [] : [warning])];
  const inFlight = { mean: 1, asked: 1 };
  return {
    valid: true,
    reasons: [],
    warnings,
    sendLagP99: null,
    clientError: null,
    inFlight,
    steady,
    steadyDetail: given,
  };
}

describe('steadinessOf', () => {
  it.each([
    [0.05, 0.11, 'trending'],
    [0.051, 0.5, 'steady'],
    [0.001, 0.099, 'steady'],
    [0.001, -0.08, 'steady'],
    [0.001, -0.2, 'trending'],
    [null, null, 'steady'],
  ] as const)('p %d and a change of %d are %s', (p, drift, steady) => {
    expect(steadinessOf(detail(p, drift))).toBe(steady);
  });

  it('is unknown where there is a reason, unless a trend is plain', () => {
    expect(steadinessOf(detail(0.2, 0.3, 'too few'))).toBe('unknown');
    expect(steadinessOf(detail(null, null, 'too few'))).toBe('unknown');
    expect(steadinessOf(detail(0.01, 0.3, 'too few'))).toBe('trending');
  });
});

describe('runs judged together', () => {
  it('are not trending by chance because they are many, and no longer warned of', () => {
    const forty = [run(detail(0.01, 0.2)), ...Array.from({ length: 39 }, () => run(detail(0.5, 0.02)))];
    expect(forty[0]).toMatchObject({ steady: 'trending' });
    expect(forty[0]?.warnings).toHaveLength(2);
    const [first, ...rest] = judgeTrends(forty);
    expect(first).toMatchObject({ steady: 'steady', warnings: ['another doubt'], steadyDetail: { pTrend: 0.01 } });
    expect(rest).toEqual(forty.slice(1));
  });

  it('are told of for what is left to doubt', () => {
    const other = run(detail(0.9, 0));
    const [unsettled] = judgeTrends([run(detail(0.04, 0.3, NOT_SETTLED)), other]);
    expect(unsettled).toMatchObject({
      steady: 'unknown',
      warnings: ['another doubt', expect.stringContaining(NOT_SETTLED)],
    });
  });

  it('stay trending where it is plain, and unknown where it was', () => {
    const runs = [run(detail(1e-5, 0.3)), run(detail(0.4, 0.01)), run(detail(null, null, 'too few'))];
    expect(judgeTrends(runs)).toEqual(runs);
  });

  it('count only those that could be tested', () => {
    const runs = [run(detail(0.03, 0.3)), ...Array.from({ length: 9 }, () => run(detail(null, null, 'too few')))];
    expect(judgeTrends(runs)[0]?.steady).toBe('trending');
  });

  it('leave runs of earlier versions as they are', () => {
    const { steadyDetail: _, ...old } = run(detail(0.01, 0.3));
    expect(judgeTrends([old])).toEqual([old]);
  });
});
