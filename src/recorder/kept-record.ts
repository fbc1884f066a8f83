/**
 * A record as it is kept in memory until its run's numbers are made: a sweep may have hundreds of thousands of them.
 *
 * In: a record. Out: one that reads the same, with its chunks in 16 bytes each instead of about 90. `chunks` is made anew
 * whenever it is read: take it once where it is walked through.
 */
import type { RequestRecord } from '../result/schema.ts';

class KeptRecord {
  readonly #chunks: Float64Array;

  constructor({ chunks, ...rest }: RequestRecord) {
    this.#chunks = new Float64Array(2 * chunks.length);
    for (const [k, [at, tokens]] of chunks.entries()) {
      this.#chunks[2 * k] = at;
      this.#chunks[2 * k + 1] = tokens ?? Number.NaN;
    }
    Object.assign(this, rest);
  }

  get chunks(): [number, number | null][] {
    const packed = this.#chunks;
    const chunks: [number, number | null][] = new Array(packed.length / 2);
    for (let k = 0; k < chunks.length; k++) {
      const tokens = packed[2 * k + 1] as number;
      chunks[k] = [packed[2 * k] as number, Number.isNaN(tokens) ? null : tokens];
    }
    return chunks;
  }
}

export const kept = (record: RequestRecord): RequestRecord => new KeptRecord(record) as KeptRecord & RequestRecord;
