/**
 * What the gate's judge takes and gives: types alone. In (JudgeInput): thresholds, runs in pairs, what was decided before.
 * Out (Judgement): a verdict for each threshold in each cell, and the exit code that follows from them.
 */
import type { ExitCode } from '../errors.ts';
import type { Arm, PairedRuns } from '../result/arms.ts';
import type { RunResult } from '../result/schema.ts';
import type { Threshold } from './threshold.ts';

export type { Arm, PairedRuns };

/** A threshold in one cell. */
export interface CheckedThreshold {
  /** Unique in a gate, and stable: "t1@c3" is the first threshold in cell c3, "faults@c3" the one that nobody writes. */
  id: string;
  threshold: Threshold;
  cell: string;
  /** Can fail the build; the others are shown. */
  gating: boolean;
}

/** How the candidate is judged: beside a reference, against kept sessions, or by limits alone. */
export type GateMode = 'interleaved' | 'baseline' | 'absolute';

/** What has to be alike for figures to be compared. */
export interface ArmFacts {
  planHash: string;
  /** The machine and device measured on (for an endpoint: all that is known of it). */
  fingerprint: string;
}

/** One kept session: runs of an unchanged server. */
export interface BaselineSession extends ArmFacts {
  session: string;
  /** By cell. */
  runs: Record<string, RunResult[]>;
}

export interface JudgeInput {
  mode: GateMode;
  /** Of every threshold in every cell, from check-plan.ts. The family: always the same one, at every look. */
  thresholds: readonly CheckedThreshold[];
  /** All pairs measured until now, in any order, of each run its last attempt; without a reference every `a` is null. */
  pairs: readonly PairedRuns[];
  /** Why an arm's server could not be measured to the end: it died, or can't be reached; null where it could. */
  down: Readonly<Record<Arm, string | null>>;
  /** What is known of each arm; A's is null without a reference. */
  arms: { A: ArmFacts | null; B: ArmFacts };
  /** Mode baseline only. */
  baseline?: readonly BaselineSession[];
  /** 0-based position in `looks`. */
  look: number;
  /** Pairs at which is looked. */
  looks: readonly number[];
  alpha: number;
  /** Nothing more will be measured: what is not decided stays so. */
  final: boolean;
  onInconclusive: 'fail' | 'warn';
  /** false leaves out the sign-flip test of failures, which decides nothing and takes time. */
  crossCheck?: boolean;
  /** Those of the look before: a decision once made stands. */
  earlier?: readonly Verdict[];
}

export type Outcome = 'pass' | 'fail' | 'inconclusive' | 'no-data' | 'invalid' | 'report-only';

export interface Verdict {
  /** That of its CheckedThreshold. */
  id: string;
  threshold: Threshold;
  cell: string;
  gating: boolean;
  outcome: Outcome;
  /** Means over the runs that count, in the metric's unit (of ratios the geometric mean); null where there is none. */
  a: number | null;
  b: number | null;
  unit: string;
  /** By how much B differs: 0.05 is 5% more. null where there is nothing to compare with. */
  change: number | null;
  /**
   * Two one-sided bounds at this look's level: of the change for a relative threshold, of the value for an absolute one.
   * null where there are none; an end that is not known is null.
   */
  interval: [number | null, number | null] | null;
  /** One-sided, of "within the threshold"; after Holm in `pAdjusted`. null where nothing was tested. */
  p: number | null;
  pAdjusted: number | null;
  /** Exact sign-flip p of the same pairs, as a cross-check of a failure; null where it was not needed. */
  signFlip: number | null;
  /** Pairs (runs, sessions) that count, and those left out. */
  pairs: number;
  leftOut: number;
  /** 0.05 is 5%; the limit of an absolute threshold; null for exact ones and faults. */
  tolerance: number | null;
  /** In words, a sentence or two: what was found, and why that is the outcome. */
  reason: string;
  /** Pairs at the look at which it was decided; null while it is not. */
  decidedAtLook: number | null;
}

export interface Judgement {
  verdicts: Verdict[];
  /** Every gating verdict is a pass, a fail, or invalid whatever else is measured: nothing is gained by going on. */
  decided: boolean;
  /** 0, 1, 3, 4 or 5. */
  exitCode: ExitCode;
  /** Why that exit code, in sentences: the gravest first. */
  reasons: string[];
}
