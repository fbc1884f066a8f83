/**
 * One exit code of all verdicts. In: the verdicts, what is known of the servers. Out: the code, why, and whether there is any
 * use in going on.
 *
 *   1  a threshold failed in a cell that could be judged, whatever the others say
 *   5  a server that is needed to judge is gone: the reference, or the only one
 *   4  a measurement is invalid
 *   3  undecided, or without data; undecided alone is 0 with `on_inconclusive: warn`
 *   0  everything that gates has passed, and something does
 */
import { EXIT, type ExitCode } from '../errors.ts';
import type { JudgeInput, Judgement, Verdict } from './judgement.ts';

export function exitOf(verdicts: readonly Verdict[], input: JudgeInput): Omit<Judgement, 'verdicts'> {
  const gating = verdicts.filter((verdict) => verdict.gating);
  const gone = serverGone(input);
  const reasons = [
    ...reasonsFor(gating, 'fail'),
    ...(gone === null ? [] : [gone]),
    ...reasonsFor(gating, 'invalid'),
    ...reasonsFor(gating, 'no-data'),
    ...reasonsFor(gating, 'inconclusive'),
    ...(gating.length === 0 ? ['nothing was judged: no threshold gates any cell'] : []),
  ];
  const is = (outcome: Verdict['outcome']) => gating.some((verdict) => verdict.outcome === outcome);
  const undecided = is('no-data') || (is('inconclusive') && input.onInconclusive !== 'warn');
  const exitCode: ExitCode = is('fail')
    ? EXIT.gateFailed
    : gone !== null
      ? EXIT.targetDied
      : is('invalid')
        ? EXIT.invalid
        : undecided || gating.length === 0
          ? EXIT.inconclusive
          : EXIT.done;
  // What was left out because it was spoilt, more pairs make up for.
  const open = gating.some(
    ({ outcome, leftOut }) =>
      outcome === 'inconclusive' || outcome === 'no-data' || (outcome === 'invalid' && leftOut > 0),
  );
  return { decided: gone !== null || input.down.B !== null || !open, exitCode, reasons };
}

const reasonsFor = (verdicts: readonly Verdict[], outcome: Verdict['outcome']): string[] =>
  verdicts
    .filter((verdict) => verdict.outcome === outcome)
    .map(({ threshold, cell, reason }) => `${LEADS[outcome]}: ${threshold.text} in ${cell}: ${reason}`);

const LEADS: Readonly<Record<Verdict['outcome'], string>> = {
  fail: 'FAIL',
  invalid: 'INVALID',
  'no-data': 'NO DATA',
  inconclusive: 'INCONCLUSIVE',
  pass: 'PASS',
  'report-only': 'REPORT',
};

/** The server without which nothing can be judged; a candidate beside a living reference is not one. */
function serverGone({ mode, down, pairs }: JudgeInput): string | null {
  if (mode !== 'interleaved') {
    if (down.B !== null) return `the server is down: ${down.B}`;
    return pairs.some(({ b }) => b?.state === 'failed') ? 'the server died during a run' : null;
  }
  if (down.A !== null) {
    return down.B === null ? `the reference is down: ${down.A}` : `both servers are down: ${down.A}; ${down.B}`;
  }
  return pairs.some(({ a }) => a?.state === 'failed') ? 'the reference died during a run' : null;
}
