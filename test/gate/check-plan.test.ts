/** Thresholds against a plan, before anything runs. */
import { describe, expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { checkPlan } from '../../src/gate/check-plan.ts';
import type { GateMode } from '../../src/gate/judgement.ts';
import { familySize } from '../../src/gate/power.ts';
import { thresholdsOf } from '../../src/gate/threshold.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { readScenario, resolveScenario } from '../../src/scenario/load.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

const GPU = { kind: 'engine', software: false, deviceName: 'H100' } as const;
const ADAPTERS = { rank: 16, count: [0, 8, 32] };
const ENOUGH = { requests: 500 };

function check(written: (string | object)[], changes: Record<string, unknown> = {}, mode: GateMode = 'interleaved') {
  const scenario = scenarioWith({ measure: ENOUGH, adapters: ADAPTERS, ...changes, gate: { thresholds: written } });
  const plan = planOf(scenario, GPU);
  return checkPlan(thresholdsOf(scenario), plan, { mode, file: 'gate.yaml' });
}

function refusal(...of: Parameters<typeof check>): string {
  try {
    check(...of);
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    expect(error).toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
    return error.message;
  }
  throw new Error(`${JSON.stringify(of)} was taken`);
}

test('each threshold is of the cells it selects, and every cell has one on faults', () => {
  const { thresholds, warnings } = check([
    'ttft.p99 < 400ms',
    { metric: 'tpot.p50', max_increase: '5%', at: { adapters: [8, 32] }, severity: 'report' },
    { metric: 'e2e.p50', max_increase: '5%', at: { model: 'llama-3-8b', adapters: 0 } },
  ]);
  expect(thresholds.map(({ id, gating }) => `${id} ${gating}`)).toEqual([
    't1@c1 true',
    't1@c2 true',
    't1@c3 true',
    't2@c2 false',
    't2@c3 false',
    't3@c1 true',
    'faults@c1 true',
    'faults@c2 true',
    'faults@c3 true',
  ]);
  expect(warnings).toEqual([]);
});

describe('refused before it runs', () => {
  test.each<[string, Parameters<typeof check>]>([
    [
      'gate.thresholds[0].at.adapters: no cell has adapters 64; in this plan: 0, 8, 32',
      [[{ metric: 'tpot.p50', max_increase: '5%', at: { adapters: 64 } }]],
    ],
    [
      'no cell has popularity unifrm; did you mean "uniform"? in this plan: null, uniform',
      [[{ metric: 'tpot.p50', max_increase: '5%', at: { popularity: 'unifrm' } }]],
    ],
    [
      'no cell has rank 16, adapters 0 together',
      [[{ metric: 'tpot.p50', max_increase: '5%', at: { adapters: 0, rank: 16 } }]],
    ],
    [
      '250 requests a run are too few in c1, c2, c3: a p99 that is more than the largest value takes 300; set measure.requests',
      [['ttft.p99 < 400ms'], { measure: { requests: 250 } }],
    ],
    [
      '100 requests a run are too few in c1, c2, c3: telling whether latencies were steady takes 102',
      [['ttft.p50 < 400ms'], { measure: { requests: 100 } }],
    ],
    [
      'takes 114',
      [
        [{ metric: 'output_tokens_per_second', max_decrease: '5%' }],
        { measure: { requests: 113 }, load: { concurrency: 8 } },
      ],
    ],
    ['an interval of the p99 of a single run takes 529', [['ttft.p99 < 400ms'], {}, 'absolute']],
    ['one run does not show how much runs differ; set measure.repeats', [['ttft.mean < 400ms'], {}, 'absolute']],
    ['it compares with a reference, and there is none', [[{ metric: 'ttft.p50', max_increase: '5%' }], {}, 'absolute']],
    ['there is no goodput in c1, c2, c3: the scenario has no slo', [['goodput > 3/s']]],
    ['there is no send_lag in c1, c2, c3: a closed loop is never late', [['send_lag.p50 < 3ms']]],
    ['there is no ttft_cold in c1, c2, c3', [['ttft_cold.p50 < 3ms']]],
  ])('%s', (text, of) => {
    expect(refusal(...of)).toContain(text);
  });

  test('all of it at once, each at its place', () => {
    const message = refusal(['goodput > 3/s', { metric: 'tpot.p50', max_increase: '5%', at: { adapters: 64 } }]);
    expect(message.split('\n')[0]).toBe('gate.yaml has 2 problems:');
    expect(message).toMatch(/scenario:1:\d+: gate\.thresholds\[0\]/);
    expect(message).toMatch(/scenario:1:\d+: gate\.thresholds\[1\]\.at\.adapters/);
  });

  test('a plan or a gate without anything in it', () => {
    const scenario = scenarioWith({ measure: ENOUGH, gate: { thresholds: ['ttft.p50 < 4ms'] } });
    const plan = planOf(scenario, GPU);
    const options = { mode: 'interleaved', file: null } as const;
    expect(() => checkPlan(thresholdsOf(scenario), { ...plan, cells: [] }, options)).toThrow(/no cell/);
    expect(() => checkPlan([], plan, options)).toThrow(/no threshold/);
  });
});

describe('taken', () => {
  test.each<[string, Parameters<typeof check>]>([
    [
      'counts and counters, however few requests there are',
      [['error_rate <= 1%', { metric: 'dispatches_per_step', exact: true }], { measure: { requests: 4 } }],
    ],
    [
      'a percentile of tokens, of which each request has many',
      [[{ metric: 'itl.p99', max_increase: '5%' }], { measure: { requests: 120 } }],
    ],
    [
      'runs that end by time, whose requests nobody knows yet',
      [['ttft.p99 < 400ms'], { measure: { requests: '30s' } }],
    ],
    ['limits of several runs', [['ttft.mean < 400ms'], { measure: { requests: 200, repeats: 3 } }, 'absolute']],
    [
      'cold adapters, where no run is steady',
      [['ttft_cold.p50 < 1s'], { measure: { requests: 20 }, adapters: { rank: 8, count: 4, residency: 'cold_host' } }],
    ],
  ])('%s', (_, of) => {
    expect(check(...of).thresholds.length).toBeGreaterThan(1);
  });

  test('where only some cells can have a metric, in those, and that is said', () => {
    const { thresholds, warnings } = check(['adapter_fairness > 0.9']);
    expect(thresholds.map(({ id }) => id).filter((id) => id.startsWith('t1'))).toEqual(['t1@c2', 't1@c3']);
    expect(warnings).toEqual(['adapter_fairness > 0.9: not judged in c1: 0 adapters are too few: it takes 2']);
  });

  test('a relative threshold over more than six cells is warned of', () => {
    const many = { load: { concurrency: [1, 2, 4] } };
    expect(check([{ metric: 'ttft.p50', max_increase: '5%' }], many).warnings[0]).toContain('is of 9 cells');
    expect(check([{ metric: 'ttft.p50', max_increase: '5%', at: { adapters: 8 } }], many).warnings).toEqual([]);
    expect(check([{ metric: 'ttft.p50', max_increase: '5%', severity: 'report' }], many).warnings).toEqual([]);
  });
});

test.each([false, true])(
  'scenarios/gate.yaml can be judged, by counters and by times (without a GPU: %s)',
  (software) => {
    const source = readScenario('scenarios/gate.yaml');
    const scenario = resolveScenario(source, { withoutGpu: software, endpoint: false, set: ['measure.repeats=12'] });
    const plan = planOf(scenario, { ...GPU, software, deviceName: 'device' });
    const { thresholds, warnings } = checkPlan(thresholdsOf(scenario), plan, { mode: 'interleaved', file: null });
    expect(warnings).toEqual([]);
    expect(thresholds.filter(({ threshold }) => threshold.rule.kind === 'exact')).toHaveLength(10);
    expect(familySize(thresholds)).toBe(6);
  },
);
