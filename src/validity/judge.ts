/**
 * Is a run's measurement fit to judge by? In: what was measured and asked. Out: reasons why not, and warnings.
 *
 * A reason makes the run invalid: there is nothing to read in it. A warning is a doubt that its reader must know of; a
 * sentence each, with the figure and what it does to which number.
 */
import type { Measured } from '../metrics/measure.ts';
import { outputTokensOf, tpotOf, ttftOf } from '../metrics/request-times.ts';
import { type ClientError, isDistribution, type RequestRecord, type Validity } from '../result/schema.ts';
import { rankOf } from '../stats/nearest-rank.ts';
import { meanOver } from '../stats/step-function.ts';
import { type ClientFacts, clientErrorOf, clientLimitedWords, NOTHING_KNOWN } from './client-error.ts';
import { steadinessOf, steadyWarning } from './steadiness.ts';

/** Later than this, and the load was not the one asked for. */
const SEND_LAG_LIMIT_MS = 10;
/** Below this share of the asked concurrency, on average, the cell is not at its load. */
const IN_FLIGHT_SHARE = 0.95;

const PERCENTILES = [
  [0.9, 'p90'],
  [0.95, 'p95'],
  [0.99, 'p99'],
  [0.999, 'p99.9'],
] as const;

export function judgeRun(measured: Measured, client: ClientFacts = NOTHING_KNOWN): Validity {
  const { counts, metrics, input } = measured;
  const steady = steadinessOf(input.steadyDetail);
  const lag = metrics['send_lag'];
  const lagP99 = isDistribution(lag) ? lag.p99 : null;
  const sendLagP99 = typeof lagP99 === 'number' ? lagP99 : null;
  const asked = input.cell.load.kind === 'closed' ? input.cell.load.concurrency : null;
  const inFlight = { mean: meanInFlight(measured), asked };
  const clientError = clientErrorIn(measured, inFlight.mean, client);

  const reasons: string[] = [];
  if (counts.issued === 0) reasons.push('no request was issued');
  else if (counts.ok === 0) reasons.push(`none of ${counts.issued} requests succeeded${listOf(measured.errors)}`);

  const warnings = [
    clientLimitedWords(clientError),
    errorsWarning(measured),
    cancelledWarning(measured),
    sendLagP99 !== null && sendLagP99 > SEND_LAG_LIMIT_MS
      ? `requests were sent late: send lag p99 is ${sendLagP99.toFixed(1)} ms, above ${SEND_LAG_LIMIT_MS} ms, and part of ttft and e2e`
      : null,
    inFlightWarning(measured, inFlight),
    steadyWarning(steady, input.steadyDetail),
    percentileWarning(counts.issued),
    tokensWarning(input.ok),
    lengthWarning(measured),
  ].filter((warning) => warning !== null);

  const valid = reasons.length === 0;
  const steadyDetail = input.steadyDetail;
  return { valid, reasons, warnings, sendLagP99, clientError, inFlight, steady, steadyDetail };
}

function clientErrorIn({ input }: Measured, inFlight: number, client: ClientFacts): ClientError | null {
  const ok = input.steady.filter(({ outcome }) => outcome === 'ok');
  const tokens = ok.reduce((sum, record) => sum + (outputTokensOf(record) ?? 0), 0) / Math.max(1, ok.length);
  const ttft = ok.flatMap((record) => ttftOf(record) ?? []);
  const tpot = ok.flatMap((record) => {
    const one = tpotOf(record);
    return one.kind === 'value' ? [one.ns] : [];
  });
  const closed = input.cell.load.kind === 'closed';
  return clientErrorOf({ ttft, tpot, tokens, inFlight, closed, ...client });
}

/** Over the window; over the whole run where the window is empty. */
function meanInFlight({ window, input }: Measured): number {
  const first = input.inFlight[0]?.from;
  const last = input.inFlight.at(-1)?.from;
  if (window.to > window.from) return meanOver(input.inFlight, window.from, window.to);
  return first !== undefined && last !== undefined && last > first ? meanOver(input.inFlight, first, last) : 0;
}

function listOf(errors: Record<string, number>): string {
  const names = Object.entries(errors).sort((a, b) => b[1] - a[1]);
  return names.length === 0 ? '' : `: ${names.map(([name, count]) => `${name} x ${count}`).join(', ')}`;
}

function errorsWarning({ counts, errors }: Measured): string | null {
  if (counts.failed === 0 || counts.ok === 0) return null;
  const share = ((100 * counts.failed) / counts.issued).toFixed(1);
  return `${counts.failed} of ${counts.issued} requests failed (${share}%)${listOf(errors)}; percentiles that fall among them are lower bounds`;
}

function cancelledWarning({ counts }: Measured): string | null {
  if (counts.cancelled === 0) return null;
  return `${counts.cancelled} of ${counts.issued} requests were cancelled before they ended; percentiles that fall among them are lower bounds`;
}

function inFlightWarning({ window, counts }: Measured, { mean, asked }: Validity['inFlight']): string | null {
  if (asked === null || counts.issued === 0) return null;
  if (window.to <= window.from) {
    return `the load was never steady: ${counts.issued} requests were issued, at a concurrency of ${asked}; rates are unavailable`;
  }
  if (mean >= IN_FLIGHT_SHARE * asked) return null;
  return `on average ${mean.toFixed(1)} requests were in flight where ${asked} were asked for`;
}

/**
 * With fewer than 1 / (1 - p) samples the nearest rank is the largest sample, whatever p is. Where that is so of the p99,
 * a run is too short to be judged steady as well (metrics/steady-state.ts).
 */
function percentileWarning(issued: number): string | null {
  if (issued === 0) return null;
  const alike = PERCENTILES.filter(([p]) => rankOf(p, issued) === issued).map(([, name]) => name);
  if (alike.length === 0 || (alike.length === 1 && alike[0] === 'p99.9')) return null;
  return `${issued} requests are too few to tell whether latencies were steady, and for ${alike.join(', ')} of them: each is simply the largest`;
}

function tokensWarning(ok: readonly RequestRecord[]): string | null {
  const unknown = ok.filter(({ tokenSource }) => tokenSource === 'unknown').length;
  if (unknown > 0) return `tokens per chunk are unknown in ${unknown} requests: itl and tpot are unavailable`;
  const tokenized = ok.filter(({ tokenSource }) => tokenSource === 'tokenizer').length;
  if (tokenized === 0) return null;
  const unchecked = ok.filter(({ tokenSource, usage }) => tokenSource === 'tokenizer' && usage === null).length;
  const source = `tokens per chunk of ${tokenized} requests come from a tokenizer, since the server does not count as it streams`;
  if (unchecked === 0) return `${source}; its sums are those that the server reports`;
  // The client keeps to the server's sum where there is one; without any, a wrong tokenizer would go unnoticed.
  return `${source}; of ${unchecked} it reports no sum either, so that itl and tpot are only right if the tokenizer (Llama 3's, unless target.tokenizer names another) is the model's`;
}

function lengthWarning({ input }: Measured): string | null {
  if (input.cell.output.control !== 'exact') return null;
  const unchecked = input.ok.filter(({ usage }) => usage === null).length;
  if (unchecked === 0) return null;
  return `the output length of ${unchecked} requests could not be checked: the server reports no usage`;
}
