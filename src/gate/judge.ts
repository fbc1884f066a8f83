/**
 * Runs -> verdicts. Pure: the same runs give the same verdicts.
 *
 *   evidence   each threshold in each cell by itself: compare, against-sessions, against-limit, exact, faults
 *   correct    the failures for being several (Holm), over the same family at every look
 *   decide     fail, pass, or neither yet; what was decided at an earlier look stands
 *   exit       one code of them all (exit.ts)
 *
 * A failure is worse than the tolerance by more than chance: p <= alpha / looks after Holm (1979), so that an unchanged
 * candidate fails a build with probability alpha at most, over all thresholds, cells and looks (Bonferroni over looks). A pass is
 * shown too: the bound at the same level, on the other side, within the tolerance. It takes no correction, since all
 * thresholds have to pass (an intersection-union test: Berger 1982). Whatever is neither is inconclusive.
 */
import { holm } from '../stats/holm.ts';
import { signFlipP } from '../stats/sign-flip.ts';
import { againstLimit } from './against-limit.ts';
import { againstSessions } from './against-sessions.ts';
import { compare } from './compare.ts';
import { type Case, type Evidence, withheld } from './evidence.ts';
import { exact } from './exact.ts';
import { exitOf } from './exit.ts';
import { faults } from './faults.ts';
import type { CheckedThreshold, JudgeInput, Judgement, PairedRuns, Verdict } from './judgement.ts';
import { trendsOf } from './run-faults.ts';
import { failWords, passWords, undecidedWords, unitOf } from './words.ts';

/** @throws RangeError where alpha or looks are no such thing */
export function judge(input: JudgeInput): Judgement {
  const level = input.alpha / input.looks.length;
  if (!(level > 0 && level < 0.5) || !(input.look >= 0 && input.look < input.looks.length)) {
    throw new RangeError(`nothing is judged at alpha ${input.alpha}, look ${input.look} of ${input.looks.length}`);
  }
  const trends = trendsOf(input.pairs);
  const byCell = pairsByCell(input.pairs);
  const standing = new Map((input.earlier ?? []).filter(stands).map((verdict) => [verdict.id, verdict]));
  const found = input.thresholds.map((checked): Found => {
    const earlier = standing.get(checked.id) ?? null;
    const pairs = byCell.get(checked.cell) ?? [];
    return {
      checked,
      earlier,
      evidence: earlier === null ? evidenceOf({ checked, pairs, input, trends, level }) : null,
    };
  });
  const adjusted = adjustedFor(found);
  const verdicts = found.map((one) => one.earlier ?? verdictOf(one, adjusted.get(one) ?? null, level, input));
  return { verdicts, ...exitOf(verdicts, input) };
}

interface Found {
  checked: CheckedThreshold;
  /** A decision of an earlier look, or else what is found now. */
  earlier: Verdict | null;
  evidence: Evidence | null;
}

/** Faults and counters that are fine so far may still go wrong. */
const stands = ({ outcome, threshold }: Verdict): boolean =>
  outcome === 'fail' ||
  (outcome === 'pass' && (threshold.rule.kind === 'relative' || threshold.rule.kind === 'absolute'));

function pairsByCell(pairs: readonly PairedRuns[]): Map<string, PairedRuns[]> {
  const byCell = new Map<string, PairedRuns[]>();
  for (const pair of [...pairs].sort((x, y) => x.pair - y.pair)) {
    const own = byCell.get(pair.cell);
    if (own === undefined) byCell.set(pair.cell, [pair]);
    else own.push(pair);
  }
  return byCell;
}

/** What cannot be evaluated is invalid, and never a pass. */
function evidenceOf(one: Case): Evidence {
  try {
    const evidence = byRule(one);
    if (evidence.kind === 'tested' && !(evidence.p >= 0 && evidence.p <= 1)) {
      return withheld('invalid', `${evidence.words}: its p is ${evidence.p}, which is no probability`);
    }
    return evidence;
  } catch (thrown) {
    return withheld('invalid', `it could not be evaluated: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}

function byRule(one: Case): Evidence {
  const { threshold } = one.checked;
  switch (threshold.rule.kind) {
    case 'absolute':
      return againstLimit(one, threshold.rule);
    case 'relative':
      return one.input.mode === 'baseline' ? againstSessions(one, threshold.rule) : compare(one, threshold.rule);
    case 'exact':
      return exact(one);
    case 'faults':
      return faults(one);
  }
}

/**
 * p after Holm, of those that are tested and gate. The family does not depend on what is found, or a threshold that can't be
 * judged would make the others easier to fail: one that can't counts with p = 1, one that has failed stays rejected. Exact
 * counters and settled faults leave nothing to chance and are not in it; nor are faults of a cell in which no request failed
 * on either side, since their p could be nothing but 1 (Tarone 1990).
 */
function adjustedFor(found: readonly Found[]): Map<Found, number> {
  const family = found.filter(
    ({ checked: { gating, threshold }, evidence, earlier }) =>
      gating &&
      threshold.rule.kind !== 'exact' &&
      (threshold.rule.kind !== 'faults' || evidence?.kind === 'tested' || earlier?.p != null),
  );
  const ps = family.map(({ evidence, earlier }) => {
    if (earlier !== null) return earlier.outcome === 'fail' ? 0 : 1;
    return evidence?.kind === 'tested' ? evidence.p : 1;
  });
  const adjusted = holm(ps);
  return new Map(family.map((one, i) => [one, adjusted[i] as number]));
}

function verdictOf({ checked, evidence }: Found, pAdjusted: number | null, level: number, input: JudgeInput): Verdict {
  const { id, threshold, cell, gating } = checked;
  const { figures, words } = evidence as Evidence;
  const found = evidence as Evidence;
  // What is only reported is held against the level by itself.
  const p = found.kind === 'tested' ? (pAdjusted ?? found.p) : null;
  const decided = decide(found, p, level, input);
  const { rule } = threshold;
  return {
    id,
    threshold,
    cell,
    gating,
    outcome: gating ? decided.outcome : 'report-only',
    ...figures,
    unit: unitOf(threshold.metric),
    p: found.kind === 'tested' ? found.p : null,
    pAdjusted: gating ? pAdjusted : null,
    signFlip: decided.signFlip,
    tolerance: rule.kind === 'relative' ? rule.tolerance : rule.kind === 'absolute' ? rule.limit : null,
    reason: decided.reason ?? `${words}.`,
    decidedAtLook:
      gating && (decided.outcome === 'pass' || decided.outcome === 'fail') ? (input.looks[input.look] ?? null) : null,
  };
}

interface Decision {
  outcome: 'pass' | 'fail' | 'inconclusive' | 'no-data' | 'invalid';
  signFlip: number | null;
  /** null: what was found says it. */
  reason: string | null;
}

function decide(found: Evidence, p: number | null, level: number, { final, crossCheck }: JudgeInput): Decision {
  const { words } = found;
  if (found.kind !== 'tested') return { outcome: found.outcome, signFlip: null, reason: null };
  if (p !== null && p <= level) {
    const signFlip = found.beyond.length === 0 || crossCheck === false ? null : signFlipP(found.beyond);
    return { outcome: 'fail', signFlip, reason: failWords(words, p, level, signFlip) };
  }
  if (found.passes) return { outcome: 'pass', signFlip: null, reason: passWords(words, found.bySeen !== true) };
  const beyond = found.p < 0.5;
  return { outcome: 'inconclusive', signFlip: null, reason: undecidedWords(words, beyond, final) };
}
