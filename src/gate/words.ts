/**
 * What was found, in words. In: a threshold, its figures, how it was decided. Out: sentences for people who build on the verdict:
 * what was measured, by how much it may be wrong, and why that is the outcome.
 */
import { METRICS } from '../metrics/registry.ts';
import { EXACT_COUNTERS, type ExactCounter } from '../result/exact.ts';
import type { Figures } from './evidence.ts';
import type { Lost } from './faults.ts';
import type { GateMode } from './judgement.ts';
import type { Rule, Threshold } from './threshold.ts';

/** In the unit of its metric: "41.2 ms", "0.33%", "12.5 tokens/s". */
export function valueText(value: number | null, { metric }: Pick<Threshold, 'metric'>): string {
  if (value === null) return 'unknown';
  const unit = unitOf(metric);
  if (unit === 'ratio') return percentText(value);
  return `${digits(value)}${unit === '' || unit === '×' ? unit : ` ${unit}`}`;
}

export const unitOf = (metric: string): string =>
  METRICS.find(({ name }) => name === metric)?.unit ?? EXACT_COUNTERS[metric as ExactCounter]?.unit ?? '';

const digits = (value: number): string =>
  Number.isInteger(value) || Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));

const percentText = (share: number): string => `${digits(Number((100 * share).toPrecision(3)))}%`;

/** "+3.2%", "-0.4%"; "?" where an end is not known. */
export function changeText(change: number | null): string {
  if (change === null) return '?';
  const percent = (100 * change).toFixed(Math.abs(change) < 0.1 ? 1 : 0);
  return `${change > 0 ? '+' : ''}${percent === '-0.0' ? '0.0' : percent}%`;
}

export const intervalText = (interval: Figures['interval'], text: (end: number) => string): string =>
  interval === null ? '' : `${ends(interval, text)}`;

const ends = ([low, high]: [number | null, number | null], text: (end: number) => string): string =>
  `${low === null ? 'unknown' : text(low)} to ${high === null ? 'unknown' : text(high)}`;

/** "21.3 ms against 20.1 ms: +6.0% (+4.1% to +7.9%) over 12 pairs". */
export function relativeWords(
  threshold: Threshold,
  { direction, tolerance }: Extract<Rule, { kind: 'relative' }>,
  { a, b, change, interval, pairs, leftOut }: Figures,
  of = 'pairs of runs',
): string {
  const allowed = `${direction === 'increase' ? '+' : '-'}${percentText(tolerance)}`;
  const less = leftOut === 0 ? '' : `, ${leftOut} left out`;
  return (
    `${valueText(b, threshold)} against ${valueText(a, threshold)}: ${changeText(change)} ` +
    `(${intervalText(interval, changeText)}) over ${pairs} ${of}${less}, ${allowed} allowed`
  );
}

/** "38.1 ms (36.0 ms to 40.2 ms) over 6 runs". */
export function limitWords(threshold: Threshold, { b, interval, pairs, leftOut }: Figures): string {
  const between = intervalText(interval, (end) => valueText(end, threshold));
  const less = leftOut === 0 ? '' : `, ${leftOut} left out`;
  return `${valueText(b, threshold)} (${between}) over ${pairs === 1 ? '1 run' : `${pairs} runs`}${less}`;
}

export function failuresWords(failed: number, issued: number, upper: number): string {
  const seen = `${failed} of ${issued} requests failed (${percentText(failed / issued)})`;
  return failed === 0 ? `${seen}; so many can't show less than ${percentText(upper)}` : seen;
}

export function exactWords(name: string, wanted: number, found: number, mode: GateMode): string {
  if (wanted === found) return `${name} is ${found}, as on the reference`;
  const after = mode === 'baseline' ? '; if that is meant to be, keep new sessions' : '';
  return `${name} is ${found}, and ${wanted} on the reference: ${changeText(found / wanted - 1)}, nothing allowed${after}`;
}

export function faultsWords(candidate: Lost, reference: Lost | null, cancelledOnly: boolean): string {
  const what = cancelledOnly ? 'were cut off' : 'did not succeed';
  const share = ({ lost, issued, share }: Lost) =>
    `${lost} of ${issued}${lost === 0 ? '' : ` (${percentText(share)})`}`;
  const beside = reference === null ? '' : `, of the reference's ${share(reference)}`;
  return `${share(candidate)} of the candidate's requests ${what}${beside}`;
}

/** What the levels are, for the end of a sentence on a decision: "at the 1.67% level". */
export const levelText = (level: number): string => `${digits(Number((100 * level).toPrecision(3)))}%`;

export function failWords(found: string, pAdjusted: number, level: number, signFlip: number | null): string {
  const chance = pAdjusted < 1e-4 ? 'p < 0.0001' : `p = ${pAdjusted.toPrecision(2)}`;
  const cross =
    signFlip === null || signFlip <= level
      ? ''
      : `; the exact sign-flip test, which assumes less, is not that sure (p = ${signFlip.toPrecision(2)})`;
  return `${found}: worse than allowed by more than chance (${chance} over all thresholds, ${levelText(level)} at this look)${cross}.`;
}

/** @param shown the worse end of its interval is what passed, not only what was seen */
export const passWords = (found: string, shown: boolean): string =>
  `${found}: within what is allowed${shown ? ', also at the worse end' : ''}.`;

/** Not decided, with what stands against either decision. */
export function undecidedWords(found: string, beyond: boolean, final: boolean): string {
  const why = beyond
    ? 'worse than allowed as it stands, but chance may explain it'
    : 'within what is allowed as it stands, but it may be worse';
  return `${found}: ${why}${final ? '' : '; more pairs will tell'}.`;
}
