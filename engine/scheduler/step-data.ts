/**
 * A step as the kernels read it: one array of u32, sent up in one write. Its header holds where each section begins, so
 * that no more is sent than the step needs.
 *
 *   rows       4 words a row: token (bit 31: index into the previous step's samples), position, sequence entry, slot entry
 *              (0xffffffff: base model)
 *   sequences  1 word: where its block table begins within blocks
 *   blocks     block numbers, table after table
 *   samples    6 words a sampled row: row, temperature, top_p (f32 bits), top_k, seed, 1 to mask end ids
 *   slots      4 words an adapter in the batch: rank, scale (f32 bits), where its pages begin within pages, and
 *              1 + number of its place's slot when it has column words (DoRA's g, a bias), else 0
 *   pages      page numbers, adapter after adapter
 *   tiles      4 words, up to 4 neighbouring rows of one adapter: first row, rows, slot entry, 0
 *   queries    4 words, up to 16 neighbouring rows of one sequence: first row, rows, position of the first, where in these
 *              words the sequence's block table begins. Sequences with a single row come first.
 */

import type { Place } from '../lora/place.ts';
import { lowbias32 } from '../lora/random-f16.ts';
import type { Step } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** Header words. The kernels get them as overrides, so they are stated only here. */
export const HEADER = {
  ROW_COUNT: 0,
  SAMPLE_COUNT: 1,
  ROWS_AT: 2,
  SAMPLES_AT: 3,
  SLOTS_AT: 4,
  PAGES_AT: 5,
  TILES_AT: 6,
  SEQUENCES_AT: 7,
  BLOCKS_AT: 8,
  END_IDS: 9,
  QUERIES_AT: 13,
  DECODES: 14,
  LONGEST: 15,
  WORDS: 16,
} as const;
export const SAMPLE_WORDS = 6;
export const TILE_ROWS = 4;
/** Rows of one sequence that share the keys and values they read. */
export const QUERY_ROWS = 16;
const NO_SLOT = 0xffffffff;
const FROM_PREVIOUS = 0x80000000;

/** What the grids of a step need. */
export interface StepShape {
  rows: number;
  samples: number;
  tiles: number;
  /** Largest rank among the adapters of the batch; 0 when there is none. */
  maxRank: number;
  loraRows: number;
  /** Sequences with a single row (decodes, mostly), and the most positions that one of these rows attends to. */
  decodes: number;
  longest: number;
  /** Tiles of up to QUERY_ROWS rows, of all other sequences. */
  queryTiles: number;
}

/** Temperatures below are greedy, as in vLLM (its _SAMPLING_EPS): logits divided by them overflow. */
const GREEDY_BELOW = 1e-5;

const floatBits = new Float32Array(1);
const bitsOfFloat = new Uint32Array(floatBits.buffer);
const bits = (value: number): number => {
  floatBits[0] = value;
  return bitsOfFloat[0] as number;
};

/** Words the largest possible step takes. */
export function stepCapacity(limits: { rows: number; sequences: number; blocks: number; pages: number }): number {
  const { rows, sequences, blocks, pages } = limits;
  const parts = Math.min(sequences, rows);
  const queries = parts + Math.floor((rows - parts) / QUERY_ROWS);
  const perRow = 4 * rows + 4 * rows + 4 * rows; // rows, slots, tiles
  return HEADER.WORDS + perRow + sequences + blocks + SAMPLE_WORDS * sequences + pages + 4 * queries;
}

export class StepWriter {
  private readonly words: Uint32Array<ArrayBuffer>;
  private readonly endIds: readonly number[];
  private length = 0;

  constructor(capacity: number, endIds: readonly number[]) {
    this.words = new Uint32Array(capacity);
    this.endIds = endIds;
  }

  /** The step's words; valid until the next call. */
  write(step: Step): { data: Uint32Array<ArrayBuffer>; shape: StepShape } {
    const { words } = this;
    this.length = HEADER.WORDS;
    words.fill(0, 0, HEADER.WORDS);
    words[HEADER.ROW_COUNT] = step.rows;
    words[HEADER.SAMPLE_COUNT] = step.sampled.length;
    for (let i = 0; i < 4; i++) words[HEADER.END_IDS + i] = this.endIds[i] ?? NO_SLOT;

    const adapters = new Map<Place, number>();
    for (const { sequence } of step.parts) {
      const place = placeOf(sequence);
      if (place && !adapters.has(place)) adapters.set(place, adapters.size);
    }
    const firstRows = this.writeRows(step, adapters);
    this.writeSequences(step);
    this.writeSamples(step, firstRows);
    this.writeAdapters(adapters);
    const { tiles, loraRows } = this.writeTiles(step, firstRows, adapters);
    const maxRank = Math.max(0, ...[...adapters.keys()].map((adapter) => adapter.rank));
    const queries = this.writeQueries(step, firstRows);
    const shape = { rows: step.rows, samples: step.sampled.length, tiles, maxRank, loraRows, ...queries };
    return { data: words.subarray(0, this.length), shape };
  }

  private begin(header: number): void {
    this.words[header] = this.length;
  }

  private push(...values: number[]): void {
    for (const value of values) this.words[this.length++] = value;
  }

  private writeRows(step: Step, adapters: Map<Place, number>): number[] {
    this.begin(HEADER.ROWS_AT);
    const firstRows: number[] = [];
    let row = 0;
    step.parts.forEach(({ sequence, first, count, previous }, entry) => {
      firstRows.push(row);
      row += count;
      const place = placeOf(sequence);
      const slot = place ? (adapters.get(place) as number) : NO_SLOT;
      for (let position = first; position < first + count; position++) {
        const token = previous === null ? tokenAt(sequence, position) : (FROM_PREVIOUS | previous) >>> 0;
        this.push(token, position, entry, slot);
      }
    });
    return firstRows;
  }

  private writeSequences(step: Step): void {
    this.begin(HEADER.SEQUENCES_AT);
    let at = 0;
    for (const { sequence } of step.parts) {
      this.push(at);
      at += sequence.blocks.length;
    }
    this.begin(HEADER.BLOCKS_AT);
    for (const { sequence } of step.parts) this.push(...sequence.blocks);
  }

  private writeSamples(step: Step, firstRows: number[]): void {
    this.begin(HEADER.SAMPLES_AT);
    step.parts.forEach(({ sequence, count, samples }, i) => {
      if (!samples) return;
      const { temperature, topP, topK, seed, minTokens, ignoreEos } = sequence.request;
      // planned already counts this sample, so its index among the outputs is planned - 1.
      const index = sequence.planned - 1;
      const draw = lowbias32((lowbias32(seed >>> 0) + index) >>> 0);
      const maskEnds = !ignoreEos && index < minTokens ? 1 : 0;
      const heat = temperature < GREEDY_BELOW ? 0 : temperature;
      this.push((firstRows[i] as number) + count - 1, bits(heat), bits(topP), topK, draw, maskEnds);
    });
  }

  private writeAdapters(adapters: Map<Place, number>): void {
    this.begin(HEADER.SLOTS_AT);
    let at = 0;
    for (const adapter of adapters.keys()) {
      this.push(adapter.rank, bits(adapter.scale), at, adapter.hasColumns ? adapter.slot + 1 : 0);
      at += adapter.pages.length;
    }
    this.begin(HEADER.PAGES_AT);
    for (const adapter of adapters.keys()) this.push(...adapter.pages);
  }

  private writeTiles(step: Step, firstRows: number[], adapters: Map<Place, number>) {
    this.begin(HEADER.TILES_AT);
    let tiles = 0;
    let loraRows = 0;
    // Parts of one adapter lie together, so runs of rows are gathered across parts before they are cut into tiles.
    for (let i = 0; i < step.parts.length; ) {
      const place = placeOf((step.parts[i] as Step['parts'][number]).sequence);
      const from = firstRows[i] as number;
      let rows = 0;
      for (; i < step.parts.length; i++) {
        const part = step.parts[i] as Step['parts'][number];
        if (placeOf(part.sequence) !== place) break;
        rows += part.count;
      }
      if (!place) continue;
      loraRows += rows;
      for (let done = 0; done < rows; done += TILE_ROWS, tiles++) {
        this.push(from + done, Math.min(TILE_ROWS, rows - done), adapters.get(place) as number, 0);
      }
    }
    return { tiles, loraRows };
  }

  /** The words of a decode's tile are all it reads of itself, so that few loads stand before its first key. */
  private writeQueries(step: Step, firstRows: number[]) {
    this.begin(HEADER.QUERIES_AT);
    const blocksAt = this.words[HEADER.BLOCKS_AT] as number;
    const sequencesAt = this.words[HEADER.SEQUENCES_AT] as number;
    const counts = { decodes: 0, longest: 0, queryTiles: 0 };
    for (const single of [true, false]) {
      step.parts.forEach(({ first, count }, entry) => {
        if ((count === 1) !== single) return;
        const from = firstRows[entry] as number;
        const table = blocksAt + (this.words[sequencesAt + entry] as number);
        for (let done = 0; done < count; done += QUERY_ROWS) {
          this.push(from + done, Math.min(QUERY_ROWS, count - done), first + done, table);
        }
        if (!single) counts.queryTiles += Math.ceil(count / QUERY_ROWS);
        else {
          counts.decodes++;
          counts.longest = Math.max(counts.longest, first + 1);
        }
      });
    }
    this.words[HEADER.DECODES] = counts.decodes;
    this.words[HEADER.LONGEST] = counts.longest;
    return counts;
  }
}

/** Where a part's adapter lies; null for the base model. */
function placeOf({ id, adapter }: Sequence): Place | null {
  if (adapter && !adapter.place) throw new Error(`sequence ${id} is in a step and its adapter is not on the device`);
  return adapter?.place ?? null;
}

/** The token at a position that the host knows: of the prompt, or an output that has come back. */
function tokenAt(sequence: Sequence, position: number): number {
  const { prompt } = sequence.request;
  const token = position < prompt.length ? prompt[position] : sequence.output[position - prompt.length];
  if (token === undefined) throw new Error(`sequence ${sequence.id} has no token at position ${position}`);
  return token;
}
