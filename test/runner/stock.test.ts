/** Requests made on one thread and taken on others: each by its number, whole, and no more made than may be ahead. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Batch, Shelf, Stock } from '../../src/runner/stock.ts';
import type { RequestSpec } from '../../src/workload/request.ts';

const never = new AbortController().signal;
const PLENTY = { requests: 1e9, bytes: 1e9 };

const specOf = (i: number, prompt = `größe ${i} 😀`): RequestSpec => ({
  i,
  phase: 'measure',
  adapter: i % 2 === 0 ? null : `a${i}`,
  prompt,
  promptTokens: 3,
  outputTokens: 1 + i,
  control: 'exact',
  intendedOffset: null,
});

function source(count: number, prompt?: string) {
  const made = { count: 0 };
  function* requests(): Generator<RequestSpec, undefined> {
    for (let i = 0; i < count; i++) {
      made.count++;
      yield specOf(i, prompt);
    }
    return undefined;
  }
  return { made, requests: requests() };
}

async function batches(stock: Stock, taken = 0, signal = never): Promise<Batch[]> {
  const given: Batch[] = [];
  await stock.fill(
    () => taken,
    (batch) => given.push(batch),
    signal,
  );
  return given;
}

describe('Stock', () => {
  it('gives every request once, byte for byte, however they are taken', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 }), async (count, most) => {
        const { requests } = source(count);
        const stock = new Stock(requests, Infinity, { requests: most, bytes: 1e9 });
        const shelf = new Shelf(Infinity);
        const got: (RequestSpec | null)[] = [];
        for (let taken = 0; taken <= count; taken++) {
          for (const batch of await batches(stock, taken)) shelf.add(batch, taken);
          expect(stock.made).toBeLessThanOrEqual(taken + most);
          if (stock.complete) shelf.complete();
          const next = shelf.get(taken);
          expect(next).not.toBeInstanceOf(Promise);
          got.push(await next);
        }
        expect(got.slice(0, count)).toEqual(Array.from({ length: count }, (_, i) => specOf(i)));
        expect(got[count]).toBe(null);
      }),
      { numRuns: 30 },
    );
  });

  it('makes no more than are asked for, may be ahead, or fit', async () => {
    const limited = source(100);
    await batches(new Stock(limited.requests, 7, PLENTY));
    expect(limited.made.count).toBe(7);
    const ahead = source(100);
    const stock = new Stock(ahead.requests, 100, { requests: 5, bytes: 1e9 });
    await batches(stock);
    expect(ahead.made.count).toBe(5);
    await batches(stock, 4);
    expect(ahead.made.count).toBe(9);
    const long = source(100_000, 'x'.repeat(100_000));
    await batches(new Stock(long.requests, Infinity, { requests: 1e9, bytes: 3e6 }));
    expect(long.made.count).toBeLessThan(3_000); // a slice's worth, at most, beyond the 30 that fit
  });

  it('lets others run while it makes them, and stops when told', async () => {
    let made = 0;
    function* slow(): Generator<RequestSpec, undefined> {
      for (;;) {
        const until = performance.now() + 4;
        while (performance.now() < until);
        yield specOf(made++);
      }
    }
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 30);
    await batches(new Stock(slow(), Infinity, PLENTY), 0, stop.signal);
    expect(made).toBeGreaterThan(1);
    expect(made).toBeLessThan(100);
  });
});

describe('Shelf', () => {
  it('makes who comes early wait, and tells who waits for what will not come', async () => {
    const { requests } = source(3);
    const shelf = new Shelf(Infinity);
    const waits = [2, 3].map((i) => Promise.resolve(shelf.get(i)));
    for (const batch of await batches(new Stock(requests, Infinity, PLENTY))) shelf.add(batch, 0);
    expect((await waits[0])?.i).toBe(2);
    shelf.complete();
    expect(await waits[1]).toBe(null);
  });

  it('has nothing beyond its limit, nor after it was closed', async () => {
    const { requests } = source(9);
    const shelf = new Shelf(2);
    for (const batch of await batches(new Stock(requests, Infinity, PLENTY))) shelf.add(batch, 0);
    expect(shelf.get(2)).toBe(null);
    const waiting = new Shelf(9).get(4);
    expect(waiting).toBeInstanceOf(Promise);
    shelf.close();
    expect(shelf.get(1)).toBe(null);
  });

  it('drops what nobody asks for any more', async () => {
    const { requests } = source(6);
    const stock = new Stock(requests, Infinity, { requests: 2, bytes: 1e9 });
    const shelf = new Shelf(Infinity);
    for (const taken of [0, 2, 4]) for (const batch of await batches(stock, taken)) shelf.add(batch, taken);
    expect((shelf.get(4) as RequestSpec).i).toBe(4);
    expect(() => shelf.get(0)).toThrow(/dropped/);
  });
});
