/**
 * What the client added to a run's figures, and whether that is too much.
 *
 * In: how late stamps were (in the run itself, by its probes; at the plan's highest load, by the self-check), and the run's
 * values. Out: by how much its p50 and p99 of ttft and tpot stand too high for it, and those that stand too high to be judged.
 *
 * A percentile does not grow by the same percentile of the error: it would if every slow answer were also stamped late. So
 * the measured values, which hold the error once, are given it once more, independently: by what a percentile grows then is
 * what it had grown by. For a figure p of values T and errors E, the errors as equally likely quantiles of what was seen:
 *
 *   error(p) = mean of the sums t + e at the ranks of T's p-quantile - quantile_p(T)
 *
 * The self-check's errors are those of a server that writes to all streams in step, which this one need not do; but what
 * delays some stamps more than others shows as spread: it accounts for no more than quantile_p(T) - min(T), and speaks for
 * closed loops alone. Probes are few in a short run, where one late one would decide: a p50 takes 20 of them, a p99 100.
 *
 * An error above max(1 ms, 1% of the value) makes the run `client limited` in that figure.
 */
import { HdrHistogram } from '../recorder/histogram.ts';
import type { ClientError, ClientHealth, SelfCheck, StampError } from '../result/schema.ts';
import { rankOf } from '../stats/nearest-rank.ts';

/** What is known of the client that measured a run; null where that is nothing. */
export interface ClientFacts {
  health: ClientHealth | null;
  selfCheck: SelfCheck | null;
}

export const NOTHING_KNOWN: ClientFacts = { health: null, selfCheck: null };

export interface ClientErrorInput extends ClientFacts {
  /** Observed values, ns. */
  ttft: readonly number[];
  tpot: readonly number[];
  /** Tokens of an answer, on average. */
  tokens: number;
  /** Requests in flight, on average, and whether a closed loop keeps them so. */
  inFlight: number;
  closed: boolean;
}

/** With fewer, a single late probe would decide. */
const LEAST_PROBES = { p50: 20, p99: 100 } as const;
const LIMIT_MS = 1;
const LIMIT_SHARE = 0.01;
/** Quantiles of the error that stand for all of it. */
const QUANTILES = 50;
/** Values that stand for all of a run's: more give no other percentiles. */
const MOST_VALUES = 5_000;
/** The self-check speaks for runs with at least this share of its streams; a lower load is the probes' alone to judge. */
const SAME_LOAD = 0.5;

/** null where nothing is known of the client's error, or no request has a value. */
export function clientErrorOf(input: ClientErrorInput): ClientError | null {
  const { health, selfCheck, tokens, inFlight, closed } = input;
  const probed = health?.stampError ?? null;
  const alike = selfCheck !== null && closed && inFlight >= SAME_LOAD * selfCheck.streams;
  const checked = alike ? selfCheck : null;
  if ((probed === null && checked === null) || input.ttft.length === 0) return null;
  const probes = probed?.count ?? 0;
  const gaps = Math.max(1, tokens - 1);
  const ttft = worst(input.ttft, { probes, probed: quantilesOf(probed), checked: quantilesOf(checked?.ttft) });
  const between = betweenTwo(quantilesOf(probed), gaps);
  const tpot = worst(input.tpot, { probes, probed: between, checked: quantilesOf(checked?.tpot) });
  const limited = (['ttft', 'tpot'] as const).flatMap((name) => {
    const [errors, values] = name === 'ttft' ? [ttft, input.ttft] : [tpot, input.tpot];
    if (errors === null) return [];
    return (['p50', 'p99'] as const)
      .filter((p) => (errors[p] ?? 0) > Math.max(LIMIT_MS, LIMIT_SHARE * quantile(values, SHARE[p])))
      .map((p) => `${name}.${p}`);
  });
  return ttft === null && tpot === null ? null : { ttft, tpot, limited };
}

/** What a reader must know of a run whose client was limited; null where it was not. */
export function clientLimitedWords(error: ClientError | null): string | null {
  if (error === null || error.limited.length === 0) return null;
  const by = error.limited.map((figure) => {
    const [name, p] = figure.split('.') as ['ttft' | 'tpot', 'p50' | 'p99'];
    return `${name} ${p} by ${(error[name]?.[p] ?? 0).toFixed(2)} ms`;
  });
  return (
    `CLIENT LIMITED: this machine's client stamped replies late, and figures stand too high for it: ${by.join(', ')}; ` +
    'measure from a machine that has nothing else to do, or with more --workers (bench doctor --client)'
  );
}

type Errors = { p50: number | null; p99: number | null };
const SHARE = { p50: 0.5, p99: 0.99 } as const;

/** Errors that stand for each source's, ns. */
interface Sources {
  /** How many probes there were. */
  probes: number;
  probed: readonly number[] | null;
  checked: readonly number[] | null;
}

/** The larger of what each source gives, ms; null for a percentile that none can tell, and without values. */
function worst(values: readonly number[], { probes, probed, checked }: Sources): Errors | null {
  if (values.length === 0) return null;
  const some = thinned(values);
  const least = some.reduce((low, value) => Math.min(low, value), Number.POSITIVE_INFINITY) / 1e6;
  const of = (p: 'p50' | 'p99'): number | null => {
    const share = SHARE[p];
    const known = [
      ...(probed !== null && probes >= LEAST_PROBES[p] ? [shift(some, probed, share)] : []),
      ...(checked === null ? [] : [Math.min(shift(some, checked, share), quantile(some, share) - least)]),
    ];
    return known.length === 0 ? null : Math.max(...known);
  };
  const errors = { p50: of('p50'), p99: of('p99') };
  return errors.p50 === null && errors.p99 === null ? null : errors;
}

/** By how much the p-quantile of `values` grows when each error is added to each of them; ms. */
function shift(values: readonly number[], errors: readonly number[], p: number): number {
  const sums = new Float64Array(values.length * errors.length);
  let at = 0;
  for (const value of values) for (const error of errors) sums[at++] = value + error;
  sums.sort();
  // The value at a rank becomes as many sums as there are errors: their mean, or a few values would jump to the next one.
  const rank = rankOf(p, values.length);
  const grown = sums.subarray((rank - 1) * errors.length, rank * errors.length);
  return grown.reduce((sum, one) => sum + one, 0) / grown.length / 1e6 - quantile(values, p);
}

/** Nearest rank, in ms. */
function quantile(values: readonly number[], p: number): number {
  const ascending = Float64Array.from(values).sort();
  return (ascending[rankOf(p, ascending.length) - 1] as number) / 1e6;
}

function quantilesOf(error: StampError | null | undefined): number[] | null {
  if (error == null) return null;
  const histogram = HdrHistogram.decode(error.hdr);
  return Array.from({ length: QUANTILES }, (_, k) => histogram.percentile((k + 0.5) / QUANTILES));
}

/** A span's error is the difference of two stamps', spread over its gaps; each pairing of neighbours in a fixed shuffle. */
function betweenTwo(errors: number[] | null, gaps: number): number[] | null {
  if (errors === null) return null;
  return errors.map((error, k) => Math.abs(error - (errors[(k * 7 + 3) % errors.length] as number)) / gaps);
}

function thinned(values: readonly number[]): readonly number[] {
  if (values.length <= MOST_VALUES) return values;
  const ascending = Float64Array.from(values).sort();
  return Array.from(
    { length: MOST_VALUES },
    (_, k) => ascending[Math.floor(((k + 0.5) / MOST_VALUES) * ascending.length)]!,
  );
}
