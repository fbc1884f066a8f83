/** The judge as the gate asks it: what it knows of either side. */
import { expect, test } from 'vitest';
import { GateJudge } from '../../src/commands/gate-judge.ts';
import type { GatePlan } from '../../src/commands/gate-plan.ts';
import type { Prepared } from '../../src/commands/prepared.ts';
import type { TargetFacts } from '../../src/plan/facts.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { checkSameLoad } from '../../src/plan/same-load.ts';
import { checked, ttftPairs } from '../gate/runs.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

const ENGINE: TargetFacts = { kind: 'engine', software: false, deviceName: 'H100' };
const SERVED: TargetFacts = {
  kind: 'endpoint',
  models: [{ name: 'llama-3-8b@1/8', adapters: [] }],
  allowFewer: false,
  promptFiles: {},
};

const fine = { failures: [], deaths: 0, lost: null };

test('the engine and the same engine started by a command are one load, whose figures are compared', () => {
  const scenario = scenarioWith({ adapters: { rank: 16, count: [0] } });
  const own: Prepared = { scenario, plan: planOf(scenario, ENGINE), device: null } as unknown as Prepared;
  const other: Prepared = { ...own, plan: planOf(scenario, SERVED) };
  // An endpoint says nothing of its weights, so that the plans as such are two.
  expect(other.plan.hash).not.toBe(own.plan.hash);
  expect(checkSameLoad(own.plan, other.plan)).toEqual([]);
  const judging = new GateJudge({
    mode: 'interleaved',
    thresholds: checked([{ metric: 'ttft.p50', max_increase: '10%' }]),
    baseline: [],
    candidate: own,
    reference: other,
    looks: [6],
    gate: { alpha: 0.05, onInconclusive: 'fail' },
  } as unknown as GatePlan);
  const outcome = { pairs: ttftPairs(6), sides: { A: fine, B: fine } } as unknown as Parameters<
    GateJudge['conclude']
  >[0];
  expect(judging.conclude(outcome)).toMatchObject({ exitCode: 0 });
});
