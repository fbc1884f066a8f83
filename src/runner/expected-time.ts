/**
 * How long a request of the next cell should take, from the requests seen so far. In: records of a cell. Out: nanoseconds,
 * for spreading the starts of a closed loop; it need not be exact.
 *
 * What was measured counts more than a warm-up, and of several cells the most similar: a warm-up of 8 tokens in and 2 out,
 * without company, says little of a busy server. First-token time and time per token are kept apart, since cells differ
 * in both lengths.
 */
import { meanTokens } from '../plan/lengths-range.ts';
import type { Cell } from '../plan/plan.ts';
import type { RequestRecord } from '../result/schema.ts';

/** So that one slow server never makes a run wait minutes for its own start. */
const LONGEST_SPREAD_NS = 30e9;

interface Seen {
  at: Place;
  promptTokens: number;
  firstTokenNs: number;
  /** null where no answer had two tokens. */
  perTokenNs: number | null;
}

/** What makes cells alike: each a number whose ratio counts. */
type Place = readonly [promptTokens: number, load: number, adapters: number];

export type Expectation = Pick<ExpectedTime, 'learn' | 'of'>;

export class ExpectedTime {
  /** By cell, the latest last. */
  readonly #measured = new Map<string, Seen>();
  #warmup: Seen | null = null;

  /** Learns from the records of one warm-up or one run of a cell; the latest of each kind replaces the one before. */
  learn(cell: Cell, records: readonly RequestRecord[]): void {
    const ok = records.filter(({ outcome, chunks }) => outcome === 'ok' && chunks.length > 0);
    for (const phase of ['warmup', 'measure'] as const) {
      const seen = seenIn(
        cell,
        ok.filter((record) => record.phase === phase),
      );
      if (seen === null) continue;
      if (phase === 'warmup') {
        this.#warmup = { ...seen, perTokenNs: seen.perTokenNs ?? this.#warmup?.perTokenNs ?? null };
      } else {
        this.#measured.delete(cell.id);
        this.#measured.set(cell.id, seen);
      }
    }
  }

  /** 0 when nothing is known. For a run that ends by time, at most half of it. */
  of(cell: Cell): number {
    const seen = this.#mostLike(placeOf(cell)) ?? this.#warmup;
    if (seen === null) return 0;
    const perToken = seen.perTokenNs ?? 0;
    const decode = perToken * (meanTokens(cell.output.lengths) - 1);
    const half = 'durationMs' in cell.measure ? (cell.measure.durationMs * 1e6) / 2 : LONGEST_SPREAD_NS;
    return Math.min(firstTokenNs(seen, meanTokens(cell.prompt.lengths)) + decode, half, LONGEST_SPREAD_NS);
  }

  #mostLike(at: Place): Seen | null {
    let best: Seen | null = null;
    for (const seen of this.#measured.values()) {
      if (best === null || distance(seen.at, at) <= distance(best.at, at)) best = seen;
    }
    return best;
  }
}

/**
 * What a pair of runs goes by: the first of them decides, so that the second starts its requests in the same rhythm, and
 * the two are told apart by their servers alone.
 */
export class PairTime implements Expectation {
  readonly #inner: ExpectedTime;
  #last = 0;
  #held: number | null = null;

  constructor(inner: ExpectedTime) {
    this.#inner = inner;
  }

  learn(cell: Cell, records: readonly RequestRecord[]): void {
    this.#inner.learn(cell, records);
  }

  of(cell: Cell): number {
    this.#last = this.#held ?? this.#inner.of(cell);
    return this.#last;
  }

  /** The first run is over; one that never came to send anything has decided nothing. */
  hold(): void {
    if (this.#last > 0) this.#held = this.#last;
  }
}

/** What a first token takes beyond a decode step is prefill, and grows with the prompt. */
function firstTokenNs({ firstTokenNs, perTokenNs, promptTokens }: Seen, wantedTokens: number): number {
  const step = Math.min(firstTokenNs, perTokenNs ?? 0);
  return step + ((firstTokenNs - step) * wantedTokens) / promptTokens;
}

function seenIn(cell: Cell, ok: readonly RequestRecord[]): Seen | null {
  const first = median(ok.map(({ chunks }) => chunks[0]![0]));
  const promptTokens = median(ok.map(({ asked }) => asked.promptTokens));
  if (first === null || promptTokens === null) return null;
  const perTokenNs = median(ok.flatMap((record) => tokenTimeOf(record) ?? []));
  return { at: placeOf(cell), promptTokens: Math.max(1, promptTokens), firstTokenNs: first, perTokenNs };
}

const placeOf = ({ prompt, load, adapters }: Cell): Place => [
  meanTokens(prompt.lengths),
  load.kind === 'closed' ? load.concurrency : load.rate,
  adapters.length + 1,
];

/** By how many e-folds two cells differ, over all that counts. */
const distance = (a: Place, b: Place): number =>
  a.reduce((sum: number, value, i) => sum + Math.abs(Math.log(value / b[i]!)), 0);

function tokenTimeOf({ chunks, usage }: RequestRecord): number | null {
  const tokens = usage?.completion_tokens ?? chunks.length;
  if (chunks.length < 2 || tokens < 2) return null;
  return (chunks.at(-1)![0] - chunks[0]![0]) / (tokens - 1);
}

function median(values: number[]): number | null {
  return values.length === 0 ? null : values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
