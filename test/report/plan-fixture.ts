/** A plan of a few cells for what watches one being run: closed loop at each concurrency, or one open loop. */
import type { At, Cell, Plan } from '../../src/plan/plan.ts';

export interface PlanOptions {
  seconds: number | null;
  concurrency?: number[];
  rate?: number;
  requests?: number;
  durationMs?: number;
}

export function planFixture({ seconds, concurrency = [1], rate, requests = 10, durationMs }: PlanOptions): Plan {
  const loads: Pick<At, 'concurrency' | 'rate' | 'arrivals'>[] =
    rate === undefined
      ? concurrency.map((one) => ({ concurrency: one, rate: null, arrivals: null }))
      : [{ concurrency: null, rate, arrivals: 'constant' }];
  const cells: Cell[] = loads.map((load, i) => ({
    id: `c${i + 1}`,
    at: {
      model: 'llama-3-8b@1/8',
      weights: 'f16',
      rank: 16,
      adapters: 8,
      popularity: 'uniform',
      base_share: 0,
      kind: 'lora',
      mode: 'dynamic',
      residency: 'warm',
      modules: 'all',
      control: 'exact',
      promptTokens: 32,
      outputTokens: 16,
      ...load,
    },
    adapters: [],
    modules: 'all',
    popularity: { kind: 'uniform' },
    baseShare: 0,
    prompt: { lengths: { kind: 'fixed', tokens: 32 }, reuse: false },
    output: { lengths: { kind: 'fixed', tokens: 16 }, control: 'exact' },
    load:
      load.concurrency === null
        ? { kind: 'open', rate: load.rate!, arrivals: 'constant' }
        : { kind: 'closed', concurrency: load.concurrency },
    measure: durationMs === undefined ? { requests } : { durationMs },
    warmupPerAdapter: 1,
    drainMs: 30_000,
    request: { temperature: 0, extraBody: {}, timeoutMs: 600_000 },
  }));
  return {
    hash: 'fixture',
    cells,
    runs: cells.map((cell, order) => ({ cell: cell.id, replicate: 0, order, seed: 1 })),
    slo: null,
    standIn: null,
    estimate: {
      cells: cells.length,
      runs: cells.length,
      requests: cells.length * requests,
      seconds,
      adapterFiles: null,
    },
    warnings: [],
  };
}
