/**
 * What a run looks like while it is running: medians and throughput of the requests that have ended.
 *
 * Records in as they end, figures out at any time. They are for watching: the run's real figures come from `metrics/`,
 * over a window, and these are not kept.
 */
import { outputTokensOf, tpotOf, ttftOf } from '../metrics/request-times.ts';
import type { RequestRecord } from '../result/schema.ts';
import { nearestRank } from '../stats/nearest-rank.ts';

/** So many of the latest requests: enough for a median, few enough to sort ten times a second. */
const KEPT = 300;

const median = (values: readonly number[]): number | null =>
  values.length === 0
    ? null
    : nearestRank(
        [...values].sort((a, b) => a - b),
        0.5,
      );

export class LiveFigures {
  readonly #ttft: number[] = [];
  readonly #tpot: number[] = [];
  #tokens = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = Number.NEGATIVE_INFINITY;
  failed = 0;

  add(record: RequestRecord): void {
    this.#from = Math.min(this.#from, record.sent);
    this.#to = Math.max(this.#to, record.end);
    if (record.outcome === 'failed') this.failed++;
    if (record.outcome !== 'ok') return;
    this.#tokens += outputTokensOf(record) ?? 0;
    const ttft = ttftOf(record);
    const tpot = tpotOf(record);
    if (ttft !== null) keep(this.#ttft, ttft / 1e6);
    if (tpot.kind === 'value') keep(this.#tpot, tpot.ns / 1e6);
  }

  /** Milliseconds, and tokens a second since the first request was sent; null while there is nothing to say. */
  get figures(): { ttftMs: number | null; tpotMs: number | null; tokensPerSecond: number | null } {
    const seconds = (this.#to - this.#from) / 1e9;
    return {
      ttftMs: median(this.#ttft),
      tpotMs: median(this.#tpot),
      tokensPerSecond: seconds > 0 && this.#tokens > 0 ? this.#tokens / seconds : null,
    };
  }
}

function keep(values: number[], value: number): void {
  values.push(value);
  if (values.length > KEPT) values.shift();
}
