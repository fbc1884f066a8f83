/**
 * A Result from what was planned and what was measured: the runner's answer in the form of the bench-result contract.
 * In: scenario, plan, outcome, and what identifies this invocation. Out: plain data, ready for result.json.
 */
import type { Plan } from '../plan/plan.ts';
import { machineOf } from '../result/fingerprint.ts';
import { type CellResult, FORMAT, type Machine, type Result } from '../result/schema.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { judgeTrends } from '../validity/steadiness.ts';
import type { PlanOutcome } from './run-plan.ts';

export interface Invocation {
  tool: Result['tool'];
  session: string;
  createdAt: Date;
  /** The device an engine ran on; null for an endpoint. */
  gpu: Machine['gpu'];
  /** Beside those of the plan and the runs. */
  warnings: readonly string[];
}

export function resultOf(scenario: Scenario, plan: Plan, outcome: PlanOutcome, invocation: Invocation): Result {
  return {
    format: FORMAT,
    tool: invocation.tool,
    scenario: {
      name: scenario.name,
      description: scenario.description,
      file: scenario.file,
      hash: scenario.hash,
      resolved: withoutTargetValues(scenario.resolved),
    },
    planHash: plan.hash,
    createdAt: invocation.createdAt.toISOString(),
    session: invocation.session,
    machine: machineOf(invocation.gpu),
    client: outcome.client,
    standIn: plan.standIn,
    targets: outcome.targets,
    warnings: [...invocation.warnings, ...outcome.warnings],
    cells: judgedTogether(outcome.cells),
  };
}

/** Of many runs some seem to trend by chance: whether one does is judged with all of them. */
function judgedTogether(cells: readonly CellResult[]): CellResult[] {
  const together = judgeTrends(cells.flatMap(({ runs }) => runs.map(({ validity }) => validity)));
  let next = 0;
  return cells.map((cell) => ({ ...cell, runs: cell.runs.map((run) => ({ ...run, validity: together[next++]! })) }));
}

/** Secrets do not belong into a scenario's headers, nor a command's environment, but may be there; a report that is passed on must not hold them. */
function withoutTargetValues(resolved: Record<string, unknown>): Record<string, unknown> {
  const { target } = resolved;
  if (typeof target !== 'object' || target === null) return resolved;
  const hidden = Object.entries(target).map(([key, value]) =>
    key === 'headers' || key === 'env' ? [key, namesOnly(value as Record<string, string>)] : [key, value],
  );
  return { ...resolved, target: Object.fromEntries(hidden) };
}

const namesOnly = (group: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.keys(group).map((name) => [name, '***']));
