/** Thresholds as scenarios write them, and what is said of those that are none. */
import { describe, expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { leastSamples } from '../../src/gate/aggregation.ts';
import { thresholdsOf } from '../../src/gate/threshold.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { thresholds } from './runs.ts';

const scenario = (gate: string) =>
  resolveScenario(
    scenarioFromText(
      `name: a
models: llama-3-8b@1/8
prompt: {tokens: 32}
output: {tokens: 16}
load: {concurrency: 2}
gate:
  thresholds:
${gate}`,
      'gate.yaml',
    ),
    { withoutGpu: false, endpoint: false, set: [] },
  );

function faultsIn(gate: string): string {
  try {
    thresholdsOf(scenario(gate));
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    expect(error).toMatchObject({ code: 'SCENARIO_INVALID', exitCode: 2 });
    return error.message;
  }
  throw new Error(`${gate} was taken`);
}

test.each<[string | object, object]>([
  ['ttft.p99 < 400ms', { metric: 'ttft', aggregation: 'p99', rule: { kind: 'absolute', operator: '<', limit: 400 } }],
  ['e2e.mean<=2s', { metric: 'e2e', aggregation: 'mean', rule: { kind: 'absolute', operator: '<=', limit: 2000 } }],
  ['error_rate <= 0.1%', { aggregation: null, rule: { kind: 'absolute', operator: '<=', limit: 0.001 } }],
  ['goodput > 180/m', { metric: 'goodput', rule: { kind: 'absolute', operator: '>', limit: 3 } }],
  ['ttft_worst_adapter < 1.5x', { rule: { kind: 'absolute', operator: '<', limit: 1.5 } }],
  ['active_adapters >= 3', { rule: { kind: 'absolute', operator: '>=', limit: 3 } }],
  [
    { metric: 'tpot.p50', max_increase: '5%', at: { adapters: 32 } },
    {
      metric: 'tpot',
      aggregation: 'p50',
      rule: { kind: 'relative', direction: 'increase', tolerance: 0.05 },
      at: { adapters: [32] },
    },
  ],
  [
    { metric: 'output_tokens_per_second', max_decrease: '3%', severity: 'report' },
    { aggregation: null, rule: { kind: 'relative', direction: 'decrease', tolerance: 0.03 }, severity: 'report' },
  ],
  [
    { metric: 'dispatches_per_step', exact: true },
    { metric: 'dispatches_per_step', rule: { kind: 'exact' } },
  ],
  [
    { metric: 'ttft.p95', below: '250ms', at: { concurrency: [4, 8], prompt_tokens: 200, rate: '120/m' } },
    {
      rule: { kind: 'absolute', operator: '<', limit: 250 },
      at: { concurrency: [4, 8], promptTokens: [200], rate: [2] },
    },
  ],
  [{ metric: 'goodput_fraction', above: '0.95' }, { rule: { kind: 'absolute', operator: '>', limit: 0.95 } }],
])('%j', (written, parsed) => {
  expect(thresholds(written)[0]).toMatchObject(parsed);
});

test('a threshold knows the line it is written on, and a mapping those of its values', () => {
  const [first, second] = thresholdsOf(
    scenario('    - ttft.p99 < 400ms\n    - metric: tpot.p50\n      max_increase: 5%\n      at: {adapters: 0}\n'),
  );
  expect(first!.place!.label).toBe('gate.yaml:8:7');
  expect(second!.place!.label).toBe('gate.yaml:9:7');
  expect(second!.parts['max_increase']!.label).toBe('gate.yaml:10:21');
  expect(second!.parts['at.adapters']!.label).toBe('gate.yaml:11:22');
});

describe('what is no threshold is refused where it is written, with what was meant', () => {
  test.each([
    [
      '    - tfft.p99 < 4ms',
      'gate.yaml:8:7: gate.thresholds[0]: there is no metric "tfft"; did you mean "ttft"? Accepted: ttft, ',
    ],
    ['    - ttft.p98 < 4ms', 'there is no ttft.p98; did you mean "ttft.p90"? accepted: ttft.mean, ttft.p50'],
    ['    - ttft < 4ms', 'ttft has many values a run; accepted: ttft.mean'],
    ['    - goodput.p99 > 3/s', 'goodput is one number a run, without ".p99"; expected goodput'],
    [
      '    - ttft.p99 < 5/s',
      'expected a duration with its unit (ms, s, m or h), such as 500ms, 2s or 10m for ttft.p99, found "5/s"',
    ],
    ['    - ttft.p99 < 400', 'expected a duration with its unit'],
    ['    - goodput > 400ms', 'expected a rate with its unit'],
    [
      '    - dispatches_per_step < 4',
      'dispatches_per_step is an exact counter; expected {metric: dispatches_per_step, exact: true}',
    ],
    [
      '    - {metric: ttft.p99, max_decrease: 5%}',
      'gate.thresholds[0].max_decrease: ttft is better lower; did you mean "max_increase"?',
    ],
    ['    - {metric: goodput, max_increase: 5%}', 'goodput is better higher; did you mean "max_decrease"?'],
    ['    - {metric: error_rate, max_increase: 5%}', 'error_rate is mostly 0'],
    [
      '    - {metric: ttft.p99, exact: true}',
      'gate.yaml:8:16: gate.thresholds[0].metric: ttft.p99 varies from run to run',
    ],
    ['    - {metric: dispatches_per_stop, exact: true}', 'did you mean "dispatches_per_step"?'],
  ])('%s', (gate, text) => {
    expect(faultsIn(gate)).toContain(text);
  });

  test('all of them at once, in the order of the file', () => {
    const lines = faultsIn('    - tfft.p99 < 4ms\n    - ttft.p99 < 1\n    - {metric: goodput, above: 3ms}').split('\n');
    expect(lines[0]).toBe('gate.yaml has 3 problems:');
    expect(lines.slice(1).map((line) => line.split(': ')[0])).toEqual([
      'gate.yaml:8:7',
      'gate.yaml:9:7',
      'gate.yaml:10:32',
    ]);
  });
});

test('a percentile takes so many samples that the largest lies above it with 95%', () => {
  expect((['p50', 'p90', 'p95', 'p99', 'p999'] as const).map((p) => leastSamples(p))).toEqual([5, 29, 59, 299, 2995]);
  expect((['p50', 'p90', 'p95', 'p99', 'p999'] as const).map((p) => leastSamples(p, 0.005))).toEqual([
    8, 51, 104, 528, 5296,
  ]);
});
