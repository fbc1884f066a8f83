/**
 * Where records go as requests end, and what happens when there is no more room: the runs learn of it once, through
 * `full`, and stop; nobody has to handle an error for every record.
 */
import { BenchError } from '../errors.ts';
import type { RequestRecord } from '../result/schema.ts';

export class RecordSink {
  /** Resolves when a record could not be written. */
  readonly full: Promise<void>;
  /** Why, once it has. */
  failure: BenchError | null = null;
  readonly #file: { append(record: RequestRecord): void };
  #tellFull: () => void = () => {};

  constructor(file: { append(record: RequestRecord): void }) {
    this.#file = file;
    this.full = new Promise((resolve) => {
      this.#tellFull = resolve;
    });
  }

  append(record: RequestRecord): void {
    try {
      this.#file.append(record);
    } catch (error) {
      if (!(error instanceof BenchError)) throw error;
      this.failure ??= error;
      this.#tellFull();
    }
  }
}
