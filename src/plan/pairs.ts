/**
 * Runs in pairs: which target comes first in each, and which pairs come before which. In: a plan, of which every run is a
 * pair (`repeats` pairs of each cell), and after how many pairs somebody looks. Out: runs with their arm, look by look.
 *
 * The order of the plan is kept (order.ts): every cell has its first pair before any has its second, so that what drifts
 * meets all cells alike; before a look all servers have their pairs. Who begins is drawn for two pairs of a cell together, one
 * AB and one BA: random, so that nothing periodic takes sides, and balanced, so that a second run on a warmer machine is
 * no advantage of either. Both runs of a pair have one seed.
 */
import type { Arm } from '../result/arms.ts';
import { sha256Of } from '../scenario/hash.ts';
import type { Plan, PlannedRun } from './plan.ts';

export interface PairedRun extends PlannedRun {
  arm: Arm;
}

/** A run on either target, the one that comes first first. */
export type RunPair = readonly [PairedRun, PairedRun];

/**
 * @param looks after how many pairs of each cell somebody looks, rising; what comes after the last is one more stage
 * @returns the pairs of each stage, in the order in which they are run
 */
export function pairStages({ hash, runs }: Pick<Plan, 'hash' | 'runs'>, looks: readonly number[] = []): RunPair[][] {
  const stageOf = ({ replicate }: PlannedRun) => looks.filter((pairs) => pairs <= replicate).length;
  let order = 0;
  return Array.from({ length: looks.length + 1 }, (_, stage) =>
    runs
      .filter((run) => stageOf(run) === stage)
      .map((run): RunPair => {
        const [first, second] = armsOf(hash, run);
        return [
          { ...run, arm: first, order: order++ },
          { ...run, arm: second, order: order++ },
        ];
      }),
  ).filter((pairs) => pairs.length > 0);
}

function armsOf(plan: string, { cell, replicate }: PlannedRun): readonly [Arm, Arm] {
  const block = Math.floor(replicate / 2);
  const coin = Number.parseInt(sha256Of({ armsOf: plan, cell, block }).slice(0, 8), 16);
  return (coin + replicate) % 2 === 0 ? ['A', 'B'] : ['B', 'A'];
}

/** The plan as it is run: every run twice. What is told of requests and time is told of these. */
export function pairedPlan(plan: Plan): Plan {
  const { estimate } = plan;
  return {
    ...plan,
    runs: pairStages(plan).flat(2),
    estimate: {
      ...estimate,
      runs: 2 * estimate.runs,
      requests: 2 * estimate.requests,
      seconds: estimate.seconds === null ? null : 2 * estimate.seconds,
    },
  };
}
