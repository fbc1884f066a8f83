/**
 * A plan on one target: Plan in, measured cells out. The work is the conductor's; here it is told in which order, and
 * what of it an earlier invocation has done already.
 */
import type { CellResult, TargetInfo } from '../result/schema.ts';
import { type ConductOptions, conduct, type PlanOutcome } from './conductor.ts';
import type { Side } from './side.ts';

export type { PlanOutcome };

export interface RunPlanOptions extends Side, ConductOptions {
  /** What an earlier invocation measured of the same plan. */
  resume?: Resumed;
}

export interface Resumed {
  /** Runs that are done need not be measured again; others stand until they have been. */
  cells: CellResult[];
  targets: TargetInfo[];
  /** How often runs were begun before, by name ("c3.0"). */
  attempts: ReadonlyMap<string, number>;
}

/**
 * Runs the plan.
 * @throws BenchError when no server could be brought up at all, so that there is nothing to keep
 */
export function runPlan({ plan, source, tokenizerOf, resume, ...options }: RunPlanOptions): Promise<PlanOutcome> {
  const begun = resume?.cells.flatMap(({ runs }) => runs) ?? [];
  const done = new Set(begun.filter(({ state }) => state === 'done').map(({ order }) => order));
  const open = plan.runs.filter(({ order }) => !done.has(order));
  return conduct(options, [{ plan, source, tokenizerOf }], async (conductor) => {
    if (resume !== undefined) conductor.resume(resume.cells, resume.targets, resume.attempts);
    await conductor.begin(plan.runs, open);
    await conductor.measure(open.map((run) => [run]));
    return conductor.outcome(true);
  });
}
