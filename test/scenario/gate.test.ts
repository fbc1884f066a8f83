/** The `gate` block: defaults, places, and what is refused of it. */
import { describe, expect, test } from 'vitest';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';

const resolved = (gate: string, set: string[] = []) =>
  resolveScenario(
    scenarioFromText(
      `name: a\nmodels: llama-3-8b\nprompt: {tokens: 9}\noutput: {tokens: 5}\nload: {concurrency: 2}\n${gate}`,
      's.yaml',
    ),
    { withoutGpu: false, endpoint: false, set },
  );

test('none, or one with the documented defaults, which the stored scenario says', () => {
  expect(resolved('').gate).toBe(null);
  const { gate, resolved: stored } = resolved('gate: {thresholds: [ttft.p99 < 400ms]}');
  expect(gate).toMatchObject({ onInconclusive: 'fail', alpha: 0.05, looks: [6, 12, 20] });
  expect(stored['gate']).toEqual({
    thresholds: ['ttft.p99 < 400ms'],
    on_inconclusive: 'fail',
    alpha: 0.05,
    looks: [6, 12, 20],
  });
});

test('every key arrives, with the place of each threshold', () => {
  const text =
    'gate:\n  alpha: 0.01\n  looks: [8, 16]\n  on_inconclusive: warn\n  thresholds:\n    - ttft.p99 < 4s\n    - {metric: tpot.p50, max_increase: 5%, at: {adapters: 3}}';
  const { gate } = resolved(text);
  expect(gate).toMatchObject({ onInconclusive: 'warn', alpha: 0.01, looks: [8, 16] });
  expect(gate!.thresholds.map(({ place }) => place.label)).toEqual(['s.yaml:11:7', 's.yaml:12:7']);
  expect(gate!.thresholds[1]!.parts['at.adapters']!.label).toBe('s.yaml:12:59');
  const fromSet = resolved('', ['gate.thresholds=["ttft.p99 < 4s"]']).gate!;
  expect(fromSet.thresholds[0]!.place.label).toContain('--set');
});

describe('refused', () => {
  test.each([
    ['{thresholds: []}', 's.yaml:6:20: gate.thresholds: expected a list with at least one threshold'],
    ['{alpha: 0.05}', 'gate.thresholds: is missing; expected a list of thresholds'],
    ['{thresholds: [ttft.p99]}', 'gate.thresholds[0]: expected text such as "ttft.p99 < 400ms"'],
    ['{thresholds: [a < 1], looks: [3]}', 'gate.looks[0]: expected a whole number of at least 6, found 3'],
    ['{thresholds: [a < 1], looks: [12, 6]}', 's.yaml:6:41: gate.looks[1]: 6 does not come after 12'],
    ['{thresholds: [a < 1], alpha: 1}', 'gate.alpha: expected a number above 0, at most 0.2, found 1'],
    ['{thresholds: [a < 1], on_inconclusive: pass}', 'expected one of fail, warn, found "pass"'],
    [
      '{thresholds: [{metric: ttft.p99, max_increase: 5}]}',
      'gate.thresholds[0].max_increase: expected a percentage, such as 5%, found 5',
    ],
    ['{thresholds: [{metric: ttft.p99, max_increase: 0%}]}', 'expected a percentage above 0'],
    ['{thresholds: [{metric: goodput, max_decrease: 100%}]}', 'expected less than 100%'],
    ['{thresholds: [{metric: ttft.p99, max_incraese: 5%}]}', 'max_incraese: unknown key; did you mean "max_increase"?'],
    [
      '{thresholds: [{metric: ttft.p99, max_increase: 5%, at: {adaptors: 3}}]}',
      'adaptors: unknown key; did you mean "adapters"?',
    ],
    [
      '{thresholds: [{metric: ttft.p99, max_increase: 5%, exact: true}]}',
      'does not go together with the other keys here',
    ],
    ['{thresholds: [{metric: ttft.p99}]}', 'gate.thresholds[0]'],
  ])('%s', (gate, text) => {
    expect(() => resolved(`gate: ${gate}`)).toThrow(text);
  });
});
