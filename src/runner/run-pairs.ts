/**
 * A plan on two targets, run against run: Plan in, pairs of measured runs out.
 *
 * Every planned run is a pair: once on A and once on B, with one seed and two nonces, who comes first drawn for each pair,
 * pairs of all cells interleaved over time (plan/pairs.ts). Whoever judges may end it early: it is asked after so many pairs of
 * every cell, at moments that were fixed before. What the judge is, this folder does not know.
 *
 * Servers of both sides are up at the same time, but two bundled engines that share a GPU take turns. One that dies
 * is a fact and no exception: its run counts as failed, the other side's run of the pair is measured all the same, and it is
 * brought up again; where that is no use, the pairs that need it are left out, and `sides` says so.
 */
import { type PairedRun, pairStages } from '../plan/pairs.ts';
import { type Arm, type PairedRuns, pairsOf } from '../result/arms.ts';
import { type ConductOptions, conduct, type PlanOutcome } from './conductor.ts';
import type { Side, SideState } from './side.ts';

export type { PairedRuns, Side, SideState };

/** Asked after `looks[look]` pairs of every cell, as far as they could be measured. */
export type LookJudge = (pairs: PairedRuns[], look: number) => { decided: boolean };

export interface RunPairsOptions extends Omit<ConductOptions, 'onRun'> {
  a: Side;
  /** The other target; null for A against itself, with one server for both arms. */
  b: Side | null;
  /** After how many pairs of each cell to ask, rising; none: all planned pairs are measured. */
  looks?: readonly number[];
  judge?: LookJudge;
  /** Called before the first and after each run with everything measured so far. */
  onRun?: (outcome: PairsOutcome) => void;
}

export interface PairsOutcome extends PlanOutcome {
  /** Every pair of which a run was begun. */
  pairs: PairedRuns[];
  sides: Record<Arm, SideState>;
  /** The look at which the judge had decided, so that the rest was not measured; null where it never had. */
  decidedAtLook: number | null;
}

/**
 * Runs the pairs. `a.plan` says how many; of `b.plan` only the cells are taken.
 * @throws BenchError when `b` is null and no server could be brought up at all; with two sides failures are in the outcome
 */
export function runPairs({ a, b, looks = [], judge, onRun, ...options }: RunPairsOptions): Promise<PairsOutcome> {
  let decidedAtLook: number | null = null;
  let outcomeOf: (final: boolean) => PairsOutcome;
  const told = onRun === undefined ? {} : { onRun: () => onRun(outcomeOf(false)) };
  return conduct({ ...options, ...told }, b === null ? [a] : [a, b], async (conductor) => {
    outcomeOf = (final) => {
      const outcome = conductor.outcome(final);
      const sides = { A: conductor.stateOf('A'), B: conductor.stateOf('B') };
      return { ...outcome, pairs: pairsOf(outcome.cells), sides, decidedAtLook };
    };
    const stages = pairStages(a.plan, looks);
    const runs: PairedRun[] = stages.flat(2);
    await conductor.begin(runs, runs);
    let judged = 0;
    for (const [look, stage] of stages.entries()) {
      const goesOn = await conductor.measure(stage);
      const { pairs } = outcomeOf(false);
      // A look is asked for once it has its pairs; one without any new run would be the look before again.
      const isNew = pairs.length > judged;
      judged = pairs.length;
      if (!goesOn) break;
      if (look < looks.length && isNew && judge?.(pairs, look).decided === true) {
        decidedAtLook = look;
        break;
      }
    }
    return outcomeOf(true);
  });
}
