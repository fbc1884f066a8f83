/**
 * How often a gate fails an unchanged candidate, by runs that were really measured: those of a calibration, where both arms are one
 * server. In: its pairs. Out: the share of gates that fail when in each pair either run may be the reference's.
 *
 * Swapping the arms of a pair makes another comparison of the server with itself, as likely as the one measured; so no
 * distribution is assumed, and whatever correlates thresholds and cells stays as it is. It says nothing of what differs
 * between sessions, which one session does not show.
 */
import { EXIT } from '../errors.ts';
import { rngOf } from '../workload/rng.ts';
import type { JudgeInput, PairedRuns } from './judgement.ts';
import { lookByLook } from './simulated.ts';

const TIMES = 1000;

/** @param base as the gate itself is judged; `look`, `final` and `earlier` are set here */
export function falseAlarmsBySwapping(
  base: Omit<JudgeInput, 'earlier'>,
  { times = TIMES, seed = 1 } = {},
): { share: number; times: number } {
  const { pairs, ...rest } = base;
  let failed = 0;
  for (let i = 0; i < times; i++) {
    const rng = rngOf(seed, 'swap', i);
    const swapped = pairs.map((pair): PairedRuns => (rng.unit() < 0.5 ? pair : { ...pair, a: pair.b, b: pair.a }));
    const { exitCode } = lookByLook({ ...rest, crossCheck: false }, rest.looks.length - 1, (count) =>
      swapped.filter(({ pair }) => pair < count),
    );
    if (exitCode === EXIT.gateFailed) failed++;
  }
  return { share: failed / times, times };
}
