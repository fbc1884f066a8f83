/**
 * What the requests of a run gave for one metric, in order of issue. In: records, and how to read one. Out: observed values,
 * how often each counts, lower bounds of what was never seen, and which of them came from one request.
 */
export class Samples {
  /** Nanoseconds, or whatever the unit is. */
  readonly values: number[] = [];
  /** One lower bound for each sample that was never seen, because its request failed or was cancelled. */
  readonly bounds: number[] = [];
  /** How often each value counts; null as long as each does once. */
  weights: number[] | null = null;
  /** For each request that gave something: how many values and bounds there were after it. */
  readonly #ends: { values: number[]; bounds: number[] } = { values: [], bounds: [] };

  see(value: number, weight = 1): void {
    if (weight !== 1) this.weights ??= new Array<number>(this.values.length).fill(1);
    this.values.push(value);
    this.weights?.push(weight);
  }

  censor(bound: number): void {
    this.bounds.push(bound);
  }

  /** What comes next is from another request. */
  endRequest(): void {
    const { values, bounds } = this.#ends;
    if (this.values.length === (values.at(-1) ?? 0) && this.bounds.length === (bounds.at(-1) ?? 0)) return;
    values.push(this.values.length);
    bounds.push(this.bounds.length);
  }

  get requests(): number {
    return this.#ends.values.length;
  }

  /** For each request: how many samples it gave, those never seen included, and how many of them lie above `value`. */
  perRequest(value: number): { sizes: Float64Array; above: Float64Array } {
    const { values: valueEnds, bounds: boundEnds } = this.#ends;
    const sizes = new Float64Array(this.requests);
    const above = new Float64Array(this.requests);
    let at = 0;
    for (let r = 0; r < this.requests; r++) {
      const unseen = (boundEnds[r] as number) - (boundEnds[r - 1] ?? 0);
      let [size, exceeding] = [unseen, unseen];
      for (; at < (valueEnds[r] as number); at++) {
        const weight = this.weights === null ? 1 : (this.weights[at] as number);
        size += weight;
        if ((this.values[at] as number) > value) exceeding += weight;
      }
      sizes[r] = size;
      above[r] = exceeding;
    }
    return { sizes, above };
  }
}

/** `read` is called for each record in turn, and tells what it gives. */
export function samplesOf<T>(records: readonly T[], read: (record: T, samples: Samples) => void): Samples {
  const samples = new Samples();
  for (const record of records) {
    read(record, samples);
    samples.endRequest();
  }
  return samples;
}
