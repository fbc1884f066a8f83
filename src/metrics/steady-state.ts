/**
 * From when on a run's latencies are steady. In: its requests, when its load was first the one asked for, when the last was
 * issued. Out: the moment from which latencies count, and what can be said of whether they stay the same after it.
 *
 * Judged are the latencies of requests that succeeded, in order of issue, as logarithms, so that no single slow one
 * decides: ttft, and tpot where enough requests have one, else e2e. Of requests issued since the load was first the one
 * asked for, and without the last ones, as many as were in flight at the last issue but one: once the first of those has
 * ended, the load falls. MSER-5 finds in each where it settles (stats/warm-up.ts), and the later of the two counts. A test for a trend
 * follows over what is left (stats/trend.ts), corrected for there being two (Bonferroni).
 *
 * Every latency is then of the requests issued from that moment on, to the last, each until it ended: to leave out those
 * that were still in flight at the end would leave out the longest. A request that was intended earlier and ended
 * later counts in none, though its tokens count in rates. `counts`, `errors`, error_rate and goodput_fraction are of all
 * issued, as are cold starts. Nothing is left out, and nothing said of a trend, where fewer than 100 requests can be
 * judged, where adapters start cold on purpose (that start is what is measured), or where a trace decides the load.
 */
import type { Cell } from '../plan/plan.ts';
import type { RequestRecord, SteadyDetail } from '../result/schema.ts';
import { LEAST_FOR_TREND, trendOf } from '../stats/trend.ts';
import { LEAST_FOR_WARM_UP, MARGIN, warmUpOf } from '../stats/warm-up.ts';
import { e2eOf, tpotOf, ttftOf } from './request-times.ts';

export interface SteadyState {
  /** Latencies are of requests intended from here on, ns; -Infinity: of all. */
  from: number;
  detail: SteadyDetail;
}

type Judged = Exclude<SteadyDetail['metric'], null>;

interface Series {
  metric: Judged;
  /** When each request was to be sent. */
  intended: number[];
  logs: number[];
}

export function steadyStateOf(
  records: readonly RequestRecord[],
  loadedFrom: number,
  lastIssue: number,
  cell: Cell,
): SteadyState {
  const reason = whyNotJudged(cell);
  if (reason !== null) return notJudged(reason);
  // An open loop asks for its load from the start; its first request may have been sent late.
  const ramped = cell.load.kind === 'closed' ? loadedFrom : ALL;
  const loaded = records.filter(({ intended }) => intended >= ramped).sort((a, b) => a.intended - b.intended);
  const inFlightAtLast = records.filter(({ end }) => end > lastIssue).length;
  const judged = loaded.slice(0, Math.max(0, loaded.length - Math.max(0, inFlightAtLast - 1)));
  const all = seriesOf(judged);
  if (all.length === 0) {
    const ok = judged.filter(({ outcome }) => outcome === 'ok').length;
    return notJudged(`${ok} requests under the full load are too few to tell: ${LEAST_FOR_WARM_UP} are needed`);
  }
  const warmUps = all.map(({ logs }) => warmUpOf(logs));
  const from = warmUps.reduce(
    (latest, { cut }, i) => Math.max(latest, cut === 0 ? ramped : startOf(all[i], cut)),
    ramped,
  );
  const settled = !warmUps.some(({ atLimit }) => atLimit);
  const cutRequests = records.filter(({ intended }) => intended < from).length;
  return { from, detail: { cutRequests, ...trendAfter(all, from, settled) } };
}

const ALL = Number.NEGATIVE_INFINITY;

const startOf = (series: Series | undefined, place: number): number => series?.intended[place] ?? ALL;

const notJudged = (why: string): SteadyState => ({
  from: ALL,
  detail: { cutRequests: 0, metric: null, pTrend: null, drift: null, why },
});

function whyNotJudged({ at, load }: Cell): string | null {
  if (at.residency === 'cold_host' || at.residency === 'cold_disk') {
    return 'adapters start cold on purpose, so that the start of the run is part of what is measured';
  }
  return load.kind === 'open' && load.arrivals === 'trace'
    ? 'the load is that of a trace, which need not be steady'
    : null;
}

/** The latencies that enough requests have. */
function seriesOf(records: readonly RequestRecord[]): Series[] {
  const enough = (series: Series): Series[] => (series.logs.length < LEAST_FOR_WARM_UP ? [] : [series]);
  const tpot = enough(latenciesOf('tpot', records));
  return [...enough(latenciesOf('ttft', records)), ...(tpot.length > 0 ? tpot : enough(latenciesOf('e2e', records)))];
}

/** Nothing shorter is told apart, and no logarithm is of zero, ns. */
const SHORTEST = 1_000;

function latenciesOf(metric: Judged, records: readonly RequestRecord[]): Series {
  const series: Series = { metric, intended: [], logs: [] };
  for (const record of records) {
    const value = record.outcome === 'ok' ? LATENCIES[metric](record) : null;
    if (value === null) continue;
    series.intended.push(record.intended);
    series.logs.push(Math.log(Math.max(SHORTEST, value)));
  }
  return series;
}

const LATENCIES: Record<Judged, (record: RequestRecord) => number | null> = {
  ttft: ttftOf,
  e2e: e2eOf,
  tpot: (record) => {
    const tpot = tpotOf(record);
    return tpot.kind === 'value' ? tpot.ns : null;
  },
};

/** A change that matters, up or down. */
export const isMaterial = (drift: number): boolean => Math.abs(Math.log1p(drift)) > Math.log(MARGIN);

export const NOT_SETTLED = 'latencies had not settled by the middle of the run';

/** Of the latencies whose change matters the one that is clearest; where none does, the clearest of all. */
function trendAfter(all: readonly Series[], from: number, settled: boolean): Omit<SteadyDetail, 'cutRequests'> {
  const trends = all.flatMap(({ metric, intended, logs }) => {
    const rest = logs.filter((_, i) => (intended[i] as number) >= from);
    if (rest.length < LEAST_FOR_TREND) return [];
    const { p, drift } = trendOf(rest);
    return [{ metric, p: p === null ? null : Math.min(1, p * all.length), drift, material: isMaterial(drift) }];
  });
  const [clearest] = trends.sort((a, b) => Number(b.material) - Number(a.material) || (a.p ?? 1) - (b.p ?? 1));
  const unclear = trends.filter(({ p, material }) => p === null && material).map(({ metric }) => metric);
  const dependent = `successive requests depend too much on one another to tell a change of ${unclear.join(' and ')} from chance`;
  return {
    metric: clearest?.metric ?? null,
    pTrend: clearest?.p ?? null,
    drift: clearest?.drift ?? null,
    why: settled ? (unclear.length > 0 ? dependent : null) : NOT_SETTLED,
  };
}
