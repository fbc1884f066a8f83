/**
 * A result to draw reports from: requests of a small simulated server, measured by the real metrics, with real HDR data.
 *
 * Seeded, so the same options give the same result. The simulation is a closed or open loop over a server whose steps
 * grow with the batch and with the distinct adapters in it; what it claims about LoRA is nothing, but its figures have
 * the shape of a measurement: tails, ramps, gaps, failures.
 */
import { measure } from '../../src/metrics/measure.ts';
import type { At, Cell, Load, Slo, StandIn } from '../../src/plan/plan.ts';
import {
  type CellResult,
  FORMAT,
  type RequestRecord,
  type Result,
  type RunResult,
  type ServerTimings,
} from '../../src/result/schema.ts';

export interface FixtureOptions {
  model?: string;
  adapters?: number[];
  ranks?: number[];
  concurrency?: number[];
  /** Open loop instead of `concurrency`. */
  rates?: number[];
  repeats?: number;
  requests?: number;
  slo?: Slo | null;
  standIn?: StandIn | null;
  adapterName?: (index: number) => string;
  /** Share of requests that fail. */
  failing?: number;
  warnings?: string[];
  /** Every so-manieth request finds its adapter on disk and waits 50 ms for it; the others say that theirs was there. */
  coldEvery?: number;
  seed?: number;
}

/** mulberry32 by Tommy Ettinger (public domain): 32 bits of state are plenty for a fixture. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lognormal about 1. */
const jitter = (random: () => number, spread: number): number => {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(spread * normal);
};

interface Simulation {
  cell: Cell;
  run: string;
  seed: number;
  requests: number;
  failing: number;
  adapterName: (index: number) => string;
  coldEvery: number | null;
}

const COLD_MS = 50;
const MS = 1e6;

/** Start times: open loop by exponential gaps, closed loop as places become free. */
function simulate({ cell, run, seed, requests, failing, adapterName, coldEvery }: Simulation): RequestRecord[] {
  const random = randomOf(seed);
  const { load, at } = cell;
  const busy = load.kind === 'closed' ? load.concurrency : Math.min(16, load.rate * 0.9);
  const free = load.kind === 'closed' ? Array.from({ length: load.concurrency }, (_, i) => i * 90 * MS) : [];
  const rank = typeof at.rank === 'number' ? at.rank : 0;
  const outputTokens = at.outputTokens as number;
  const records: RequestRecord[] = [];
  let arrival = 0;
  for (let i = 0; i < requests; i++) {
    if (load.kind === 'open') arrival += (-Math.log(1 - random()) / load.rate) * 1000 * MS;
    const slot = load.kind === 'closed' ? free.indexOf(Math.min(...free)) : 0;
    const sent = Math.round(load.kind === 'closed' ? free[slot]! : arrival);
    const distinct = Math.min(at.adapters, busy);
    const step = 38 + 7.5 * (busy - 1) + (at.adapters === 0 ? 0 : 1.2 + 0.09 * rank) * Math.sqrt(distinct);
    const cold = coldEvery !== null && at.adapters > 0 && i % coldEvery === coldEvery - 1;
    const first =
      (cold ? COLD_MS : 0) + (95 + 26 * busy + (at.adapters === 0 ? 0 : 6 + 0.4 * rank)) * jitter(random, 0.16);
    const chunks: [number, number | null][] = [[Math.round(first * MS), 1]];
    let now = first;
    for (let token = 1; token < outputTokens; token++) {
      // Now and then somebody else's prompt shares the step.
      now += step * jitter(random, 0.07) * (random() < 0.06 * (busy - 1) ? 2.1 : 1);
      chunks.push([Math.round(now * MS), 1]);
    }
    const failed = random() < failing;
    const kept = failed ? chunks.slice(0, 1 + Math.floor(random() * (outputTokens - 1))) : chunks;
    const end = sent + kept.at(-1)![0] + Math.round(0.4 * MS);
    if (load.kind === 'closed') free[slot] = end + Math.round(0.3 * MS);
    records.push({
      run,
      attempt: 1,
      i,
      phase: 'measure',
      model: at.model,
      adapter: at.adapters === 0 ? null : adapterName(Math.floor(random() * at.adapters)),
      intended: sent,
      sent,
      firstByte: sent + kept[0]![0] - Math.round(0.1 * MS),
      chunks: kept,
      end,
      outcome: failed ? 'failed' : 'ok',
      error: failed ? 'reset_mid_stream' : null,
      usage: failed ? null : { prompt_tokens: at.promptTokens as number, completion_tokens: outputTokens },
      asked: { promptTokens: at.promptTokens as number, outputTokens },
      finish: failed ? null : 'length',
      tokenSource: 'continuous_usage',
      timings: coldEvery === null || failed ? null : timingsOf(at.adapters === 0 ? null : cold ? 'disk' : 'device'),
    });
  }
  return records;
}

const timingsOf = (tier: ServerTimings['adapter_tier']): ServerTimings => ({
  queue_ms: 0,
  adapter_ms: tier === 'disk' ? COLD_MS : 0,
  adapter_tier: tier,
  prefill_ms: 1,
  decode_ms: 1,
  ttft_ms: 1,
  stream_ms: 1,
});

function cellOf(id: string, at: At, requests: number): Cell {
  const load: Load =
    at.concurrency === null
      ? { kind: 'open', rate: at.rate!, arrivals: 'poisson' }
      : { kind: 'closed', concurrency: at.concurrency };
  return {
    id,
    at,
    adapters: [],
    modules: 'all',
    popularity: { kind: 'uniform' },
    baseShare: 0,
    prompt: { lengths: { kind: 'fixed', tokens: at.promptTokens as number }, reuse: false },
    output: { lengths: { kind: 'fixed', tokens: at.outputTokens as number }, control: 'exact' },
    load,
    measure: { requests },
    warmupPerAdapter: 1,
    drainMs: 30_000,
    request: { temperature: 0, extraBody: {}, timeoutMs: 600_000 },
  };
}

function runOf(simulation: Simulation, replicate: number, order: number, slo: Slo | null): RunResult {
  const records = simulate(simulation);
  const lastIssue = Math.max(...records.map(({ sent }) => sent));
  const runEnd = Math.max(...records.map(({ end }) => end));
  const { input, ...measured } = measure(records, { cell: simulation.cell, slo, runStart: 0, lastIssue, runEnd });
  const { load } = simulation.cell;
  return {
    ...measured,
    seed: replicate + 1,
    nonce: `n${order}`,
    order,
    pair: null,
    arm: null,
    attempt: 1,
    state: 'done',
    startedAt: new Date(Date.UTC(2026, 8, 28, 12, order)).toISOString(),
    validity: {
      valid: true,
      reasons: [],
      warnings: [],
      sendLagP99: load.kind === 'open' ? 0.2 : null,
      clientError: null,
      inFlight: { mean: input.inFlight.length > 0 ? 1 : 0, asked: load.kind === 'closed' ? load.concurrency : null },
      steady: 'unknown',
    },
    exact: {},
  };
}

/** The stand-in of a machine without a GPU, as `bench scenarios/llama8b-rank16.yaml` has it there. */
export const STAND_IN: StandIn = {
  for: 'llama-3-8b',
  scale: '1/8',
  why: 'there is only a software device (SwiftShader), on which the full model would take hours',
};

/** Eight cells unless told otherwise: 0, 1, 8 and 32 adapters at concurrency 1 and 4, on a stand-in. */
export function resultFixture(options: FixtureOptions = {}): Result {
  const standIn = options.standIn === undefined ? STAND_IN : options.standIn;
  const model = options.model ?? (standIn === null ? 'llama-3-8b' : `${standIn.for}@${standIn.scale}`);
  const loads: Pick<At, 'concurrency' | 'rate' | 'arrivals'>[] =
    options.rates === undefined
      ? (options.concurrency ?? [1, 4]).map((concurrency) => ({ concurrency, rate: null, arrivals: null }))
      : options.rates.map((rate) => ({ concurrency: null, rate, arrivals: 'poisson' as const }));
  const ranks = options.ranks ?? [16];
  const counts = options.adapters ?? [0, 1, 8, 32];
  const ats: At[] = counts.flatMap((adapters) =>
    (adapters === 0 ? [null] : ranks).flatMap((rank) =>
      loads.map((load) => ({
        model,
        weights: 'f16',
        rank,
        adapters,
        popularity: adapters === 0 ? null : 'uniform',
        base_share: adapters === 0 ? 1 : 0,
        kind: adapters === 0 ? null : 'lora',
        mode: adapters === 0 ? null : ('dynamic' as const),
        residency: adapters === 0 ? null : ('warm' as const),
        modules: adapters === 0 ? null : 'all',
        control: 'exact' as const,
        promptTokens: 32,
        outputTokens: 16,
        ...load,
      })),
    ),
  );
  const requests = options.requests ?? 24;
  const repeats = options.repeats ?? 1;
  const adapterName = options.adapterName ?? ((index) => `r16-a${index}`);
  const cells: CellResult[] = ats.map((at, c) => {
    const id = `c${c + 1}`;
    const simulations = Array.from({ length: repeats }, (_, replicate) => ({
      cell: cellOf(id, at, requests),
      run: `${id}.${replicate}`,
      seed: (options.seed ?? 1) * 1000 + c * 50 + replicate,
      requests,
      failing: options.failing ?? 0,
      coldEvery: options.coldEvery ?? null,
      adapterName,
    }));
    return {
      id,
      target: 'engine',
      at,
      servedRanks: standIn === null || typeof at.rank !== 'number' ? null : [Math.max(1, Math.floor(at.rank / 8))],
      runs: simulations.map((simulation, replicate) =>
        runOf(simulation, replicate, c * repeats + replicate, options.slo ?? null),
      ),
    };
  });
  return {
    format: FORMAT,
    tool: { name: 'lorabench', version: '0.1.0', commit: 'e50f9ff' },
    scenario: {
      name: 'llama8b-rank16',
      description: 'What rank-16 adapters cost Llama 3 8B, by how many are live and how busy the server is.',
      file: 'scenarios/llama8b-rank16.yaml',
      hash: 'a1b2c3d4e5f60718',
      resolved: {
        name: 'llama8b-rank16',
        models: [model],
        adapters: { rank: ranks, count: counts },
        prompt: { tokens: 32 },
        output: { tokens: 16, control: 'exact' },
        load: options.rates === undefined ? { concurrency: options.concurrency ?? [1, 4] } : { rate: options.rates },
      },
    },
    planHash: '8f1d2c3b4a596877',
    createdAt: '2026-09-28T12:05:00.000Z',
    session: '2026-09-28T12-05-00Z',
    machine: {
      id: 'm-1f2e3d',
      cpu: 'Intel(R) Xeon(R) Processor @ 2.60GHz',
      cores: 2,
      os: 'Linux 6.1',
      node: 'v20.20.0',
      gpu: standIn === null ? null : { name: 'SwiftShader', driver: 'SwiftShader 5.0', software: true },
    },
    client: { workers: 1, selfCheck: null },
    standIn,
    targets: [
      {
        id: 'engine',
        kind: 'engine',
        url: 'http://127.0.0.1:41823/v1',
        model,
        server: { name: 'lorabench engine', version: '0.1.0', layers: 4, hidden: 512 },
      },
    ],
    warnings: options.warnings ?? [],
    cells,
  };
}
