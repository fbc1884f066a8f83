/**
 * Faults of the candidate's own, in every cell: it dies, answers nothing right, falls behind an open loop, or has more requests
 * that do not succeed than the reference has. In: the pairs of a cell. Out: whether it has such faults; they would else
 * hide a regression, since what is left to measure is then too little, or no longer the slow part.
 *
 * What fails on both sides alike is nobody's regression. More failures are tested as latencies are, by the run (failures come
 * in bursts): each pair gives one difference of shares, and Student's t says whether their mean is above 0.1 percentage points by
 * more than chance. To pass, what was seen must be within that.
 */
import type { RunResult } from '../result/schema.ts';
import { meanAboveP, meanBounds } from '../stats/one-sided.ts';
import { atLeastP } from '../stats/proportion.ts';
import { comparableSessions } from './against-sessions.ts';
import { type Case, type Evidence, NO_FIGURES, withheld } from './evidence.ts';
import type { JudgeInput, PairedRuns } from './judgement.ts';
import { saturated, serverFault } from './run-faults.ts';
import { faultsWords } from './words.ts';

/** Of a share: 0.1 percentage points. */
export const MARGIN = 0.001;
/** Where fewer pairs show it, it may be a hiccup; the runs in question are then left out, or make the cell invalid. */
const LEAST_SATURATED = 3;

type Complete = PairedRuns & { a: RunResult; b: RunResult };

export function faults(one: Case): Evidence {
  const { input, pairs } = one;
  const death = deathOf(one);
  if (death !== null) return settledFail(death);
  if (input.mode !== 'interleaved') return shareAlone(one);
  const complete = pairs.filter((pair): pair is Complete => pair.a !== null && pair.b !== null);
  const fit = complete.filter(({ a, b }) => isFit(a) && isFit(b) && serverFault(a) === null);
  if (fit.length === 0) return withheld('no-data', 'no pair of runs was measured on both sides');
  return behind(fit, one) ?? moreFailures(fit, one);
}

const isFit = ({ state, counts, errors }: RunResult): boolean =>
  state !== 'interrupted' && counts.issued > 0 && (errors['client_limit'] ?? 0) === 0;

const settledFail = (words: string): Evidence => ({ kind: 'settled', outcome: 'fail', figures: NO_FIGURES, words });

/** The candidate's server died, or answered nothing right, where the reference's did not. */
function deathOf({ input, pairs }: Case): string | null {
  // With no living reference beside it, the machine may be to blame as well: exit.ts says so.
  if (input.mode !== 'interleaved' || input.down.A !== null) return null;
  for (const { pair, a, b } of pairs) {
    if (b === null || b.state === 'interrupted' || b.counts.issued === 0) continue;
    const [own, others] = [serverFault(b), a === null ? null : serverFault(a)];
    if (own !== null && others === null)
      return `in pair ${pair + 1} of the candidate ${own}, and the reference went on`;
  }
  return input.down.B === null ? null : `the candidate's server is down (${input.down.B}), and the reference's is not`;
}

function behind(pairs: readonly Complete[], { trends }: Case): Evidence | null {
  const candidate = pairs.filter(({ b }) => saturated(b, trends)).length;
  if (candidate < LEAST_SATURATED || candidate * 2 < pairs.length) return null;
  if (pairs.some(({ a }) => saturated(a, trends))) return null;
  return settledFail(
    `the candidate falls behind this load: its latencies grew all along in ${candidate} of ${pairs.length} runs, and the reference's in none`,
  );
}

/** Requests that did not succeed; failures have a threshold of their own where a scenario gives error_rate one. */
function lost({ counts }: RunResult, ownThreshold: boolean): number {
  return ownThreshold ? counts.cancelled : counts.failed + counts.cancelled;
}

const hasOwnThreshold = ({ checked, input }: Case): boolean =>
  input.thresholds.some(
    ({ threshold, cell, gating }) =>
      gating && cell === checked.cell && threshold.metric === 'error_rate' && threshold.rule.kind === 'absolute',
  );

function moreFailures(pairs: readonly Complete[], one: Case): Evidence {
  const own = hasOwnThreshold(one);
  const [a, b] = [pairs.map((pair) => pair.a), pairs.map((pair) => pair.b)];
  const [shareA, shareB] = [shareOf(a, own), shareOf(b, own)];
  const figures = { ...NO_FIGURES, a: shareA.share, b: shareB.share, pairs: pairs.length };
  const words = faultsWords(shareB, shareA, own);
  if (![shareA.share, shareB.share].every(Number.isFinite)) return withheld('invalid', words, figures);
  if (shareB.lost === 0) return { kind: 'settled', outcome: 'pass', figures, words };
  const passes = shareB.share - shareA.share <= MARGIN;
  // A single pair shows nothing of how much pairs differ.
  if (pairs.length < 2) return { kind: 'tested', p: 1, passes, bySeen: true, beyond: [], figures, words };
  const differences = pairs.map((pair) => shareOf([pair.b], own).share - shareOf([pair.a], own).share);
  const { lower, upper } = meanBounds(differences, one.level);
  return {
    kind: 'tested',
    p: meanAboveP(differences, MARGIN),
    passes,
    bySeen: true,
    beyond: [],
    figures: { ...figures, change: shareB.share - shareA.share, interval: [lower, upper] },
    words,
  };
}

export interface Lost {
  lost: number;
  issued: number;
  share: number;
}

function shareOf(runs: readonly RunResult[], own: boolean): Lost {
  const issued = runs.reduce((sum, { counts }) => sum + counts.issued, 0);
  const gone = runs.reduce((sum, run) => sum + lost(run, own), 0);
  return { lost: gone, issued, share: gone / issued };
}

/** Without a reference beside it: what kept sessions lost, or nothing, and the same margin. */
function shareAlone(one: Case): Evidence {
  const own = hasOwnThreshold(one);
  const runs = one.pairs.flatMap(({ b }) => (b !== null && isFit(b) ? [b] : []));
  if (runs.length === 0) return withheld('no-data', 'no run was measured');
  const before = sessionsShare(one.input, one.checked.cell, own);
  const seen = shareOf(runs, own);
  const figures = { ...NO_FIGURES, a: before?.share ?? null, b: seen.share, pairs: runs.length };
  const words = faultsWords(seen, before, own);
  if (!Number.isFinite(seen.share)) return withheld('invalid', words, figures);
  if (seen.lost === 0) return { kind: 'settled', outcome: 'pass', figures, words };
  const limit = Math.min(1, (before?.share ?? 0) + MARGIN);
  return {
    kind: 'tested',
    p: atLeastP(seen.lost, seen.issued, limit),
    passes: seen.share <= limit,
    bySeen: true,
    beyond: [],
    figures,
    words,
  };
}

function sessionsShare(input: JudgeInput, cell: string, own: boolean): Lost | null {
  if (input.mode !== 'baseline') return null;
  const sessions = comparableSessions(input);
  const runs = typeof sessions === 'string' ? [] : sessions.flatMap((session) => session.runs[cell] ?? []);
  return runs.some(isFit) ? shareOf(runs.filter(isFit), own) : null;
}
