/**
 * A cell's requests: a short warm-up, then as many measured requests as anybody asks for. Pure and deterministic: the same
 * cell, seed and nonce give the same requests, byte for byte.
 *
 * The seed fixes lengths, arrival times and the choice of adapters; the nonce only changes what the prompts say. Reused
 * prompts come, lengths and all, from a seed that runs and cells share. The runner decides when to stop, and in a closed
 * loop when to send.
 */
import type { Cell } from '../plan/plan.ts';
import { WARMUP_TOKENS } from '../plan/warmup.ts';
import { constantArrivals } from './arrivals/constant.ts';
import { poissonArrivals } from './arrivals/poisson.ts';
import { lengthsOf } from './lengths.ts';
import { popularityOf } from './popularity.ts';
import { type PromptSource, promptsOf } from './prompts.ts';
import type { RequestSpec } from './request.ts';
import { rngOf } from './rng.ts';
import type { WorkloadTokenizer } from './words.ts';

export type { WorkloadTokenizer };

export interface WorkloadOptions {
  /** Of the run (PlannedRun.seed). */
  seed: number;
  /** Different for each invocation, run and arm. Has no effect where the cell asks for reused prompts. */
  nonce: string;
  tokenizer: WorkloadTokenizer;
}

export interface Workload {
  /** Before anything counts: small requests for the base and every adapter in turn; empty where the cell wants none. */
  warmup(): RequestSpec[];
  /** Endless; each call starts over. Offsets are set for an open loop, null for a closed one. */
  measured(): IterableIterator<RequestSpec>;
}

export function workloadOf(cell: Cell, { seed, nonce, tokenizer }: WorkloadOptions): Workload {
  const { reuse, seed: reuseSeed = seed } = cell.prompt;
  const promptSeed = reuse ? reuseSeed : seed;
  const prompts = promptsOf(promptSeed, reuse ? null : nonce, tokenizer);
  return { warmup: () => warmupOf(cell, prompts), measured: () => measuredOf(cell, { seed, promptSeed }, prompts) };
}

function warmupOf(cell: Cell, prompts: PromptSource): RequestSpec[] {
  const round = [null, ...cell.adapters.map((adapter) => adapter.name)];
  const names = Array.from({ length: cell.warmupPerAdapter }, () => round).flat();
  return names.map((adapter, i) => ({
    i,
    phase: 'warmup',
    adapter,
    prompt: prompts.prompt('warmup', i, WARMUP_TOKENS.prompt),
    promptTokens: WARMUP_TOKENS.prompt,
    outputTokens: WARMUP_TOKENS.output,
    control: cell.output.control,
    intendedOffset: null,
  }));
}

function* measuredOf(
  cell: Cell,
  { seed, promptSeed }: { seed: number; promptSeed: number },
  prompts: PromptSource,
): Generator<RequestSpec, never> {
  const promptTokens = lengthsOf(cell.prompt.lengths, rngOf(promptSeed, 'prompt lengths'));
  const outputTokens = lengthsOf(cell.output.lengths, rngOf(seed, 'output lengths'));
  const adapter = popularityOf(cell, { adapter: rngOf(seed, 'adapters'), base: rngOf(seed, 'base share') });
  const arrivals = arrivalsOf(cell, seed);
  for (let i = 0; ; i++) {
    const tokens = promptTokens();
    yield {
      i,
      phase: 'measure',
      adapter: adapter(),
      prompt: prompts.prompt('measure', i, tokens),
      promptTokens: tokens,
      outputTokens: outputTokens(),
      control: cell.output.control,
      intendedOffset: arrivals === null ? null : arrivals.next().value,
    };
  }
}

function arrivalsOf({ load }: Cell, seed: number): Generator<number, never> | null {
  if (load.kind === 'closed') return null;
  return load.arrivals === 'constant'
    ? constantArrivals(load.rate)
    : poissonArrivals(load.rate, rngOf(seed, 'arrivals'));
}
