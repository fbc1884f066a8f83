/**
 * How long a request of the next cell should take, from the requests seen so far. In: records. Out: nanoseconds, for
 * spreading the starts of a closed loop; it need not be exact.
 *
 * First-token time and time per token are kept apart, since a warm-up asks for 2 tokens and a cell for hundreds.
 */
import type { Cell, Lengths } from '../plan/plan.ts';
import type { RequestRecord } from '../result/schema.ts';

/** So that one slow server never makes a run wait minutes for its own start. */
const LONGEST_SPREAD_NS = 30e9;

export class ExpectedTime {
  #firstTokenNs: number | null = null;
  #perTokenNs: number | null = null;

  /** Learns from the records of one run or warm-up; the latest replaces what was known, as it is the most alike. */
  learn(records: readonly RequestRecord[]): void {
    const ok = records.filter(({ outcome, chunks }) => outcome === 'ok' && chunks.length > 0);
    const first = median(ok.map(({ chunks }) => chunks[0]![0]));
    const perToken = median(ok.flatMap((record) => tokenTimeOf(record) ?? []));
    this.#firstTokenNs = first ?? this.#firstTokenNs;
    this.#perTokenNs = perToken ?? this.#perTokenNs;
  }

  /** 0 when nothing is known. For a run that ends by time, at most half of it. */
  of(cell: Cell): number {
    if (this.#firstTokenNs === null) return 0;
    const decode = (this.#perTokenNs ?? 0) * (meanOf(cell.output.lengths) - 1);
    const half = 'durationMs' in cell.measure ? (cell.measure.durationMs * 1e6) / 2 : LONGEST_SPREAD_NS;
    return Math.min(this.#firstTokenNs + decode, half, LONGEST_SPREAD_NS);
  }
}

function tokenTimeOf({ chunks, usage }: RequestRecord): number | null {
  const tokens = usage?.completion_tokens ?? chunks.length;
  if (chunks.length < 2 || tokens < 2) return null;
  return (chunks.at(-1)![0] - chunks[0]![0]) / (tokens - 1);
}

function meanOf(lengths: Lengths): number {
  if (lengths.kind === 'fixed') return lengths.tokens;
  return lengths.kind === 'normal' ? lengths.mean : (lengths.min + lengths.max) / 2;
}

function median(values: number[]): number | null {
  return values.length === 0 ? null : values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
