/**
 * What the runs say of one threshold in one cell at one look, before it is weighed against the other thresholds. Each of
 * compare.ts, against-sessions.ts, against-limit.ts, exact.ts and faults.ts finds one of these; judge.ts decides.
 */
import type { CheckedThreshold, JudgeInput, PairedRuns, Verdict } from './judgement.ts';
import type { Trends } from './run-faults.ts';

export type Figures = Pick<Verdict, 'a' | 'b' | 'change' | 'interval' | 'pairs' | 'leftOut'>;

export const NO_FIGURES: Figures = { a: null, b: null, change: null, interval: null, pairs: 0, leftOut: 0 };

export type Evidence = { figures: Figures; words: string } & (
  | {
      kind: 'tested';
      /** One-sided, of "within the threshold". */
      p: number;
      /** The bound on the other side is within the threshold; of failures of requests what was seen is. */
      passes: boolean;
      bySeen?: boolean;
      /** By how much each pair is beyond the threshold, for the cross-check; empty where there are no pairs. */
      beyond: readonly number[];
    }
  /** No chance is left in it. */
  | { kind: 'settled'; outcome: 'pass' | 'fail' }
  | { kind: 'withheld'; outcome: 'no-data' | 'invalid' }
);

export interface Case {
  checked: CheckedThreshold;
  /** Of its cell, by number. */
  pairs: readonly PairedRuns[];
  input: JudgeInput;
  trends: Trends;
  /** Of each one-sided bound at this look: alpha over the number of looks. */
  level: number;
}

export const withheld = (
  outcome: 'no-data' | 'invalid',
  words: string,
  figures: Partial<Figures> = {},
): Extract<Evidence, { kind: 'withheld' }> => ({
  kind: 'withheld',
  outcome,
  words,
  figures: { ...NO_FIGURES, ...figures },
});
