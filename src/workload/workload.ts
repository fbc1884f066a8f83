/**
 * A cell's requests: a short warm-up, then as many measured requests as anybody asks for, or as a trace has. Pure and
 * deterministic: the same cell, seed and nonce give the same requests, byte for byte.
 *
 * The seed fixes lengths, arrival times and the choice of adapters; the nonce only changes what the prompts say. Reused
 * prompts come, lengths and all, from a seed that runs and cells share. The runner decides when to stop, and in a closed
 * loop when to send.
 */
import type { Cell } from '../plan/plan.ts';
import { WARMUP_TOKENS } from '../plan/warmup.ts';
import { constantArrivals } from './arrivals/constant.ts';
import { gammaArrivals } from './arrivals/gamma.ts';
import { poissonArrivals } from './arrivals/poisson.ts';
import { traceArrivals } from './arrivals/trace.ts';
import { lengthsOf } from './lengths.ts';
import { nextPromptOf, type PromptOf } from './next-prompt.ts';
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
  /**
   * In order of `i`; each call starts over. Offsets are set for an open loop, null for a closed one. Endless, except where a
   * trace is replayed: it ends with the entries that the plan has of it.
   */
  measured(): IterableIterator<RequestSpec>;
}

export function workloadOf(cell: Cell, { seed, nonce, tokenizer }: WorkloadOptions): Workload {
  const { reuse, seed: reuseSeed = seed } = cell.prompt;
  const promptSeed = reuse ? reuseSeed : seed;
  const seeds = { seed: promptSeed, nonce: reuse ? null : nonce };
  const prompts = promptsOf(seeds.seed, seeds.nonce, tokenizer);
  return {
    warmup: () => warmupOf(cell, prompts),
    measured: () => measuredOf(cell, seed, nextPromptOf(cell, seeds, prompts, tokenizer)),
  };
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

function* measuredOf(cell: Cell, seed: number, nextPrompt: PromptOf): Generator<RequestSpec, void> {
  const outputTokens = outputTokensOf(cell, seed);
  const nextAdapter = popularityOf(cell, { adapter: rngOf(seed, 'adapters'), base: rngOf(seed, 'base share') });
  const arrivals = arrivalsOf(cell, seed);
  for (let i = 0; ; i++) {
    const arrival = arrivals?.next();
    if (arrival?.done) return;
    const adapter = nextAdapter();
    const prompt = nextPrompt(i, adapter);
    yield {
      i,
      phase: 'measure',
      adapter,
      prompt: prompt.text,
      promptTokens: prompt.tokens,
      outputTokens: outputTokens(prompt.outputTokens),
      control: cell.output.control,
      intendedOffset: arrival?.value ?? null,
    };
  }
}

/** What is asked for: what the scenario says, else what came with the prompt. */
function outputTokensOf({ output: { lengths } }: Cell, seed: number): (ofPrompt: number | null) => number {
  if (lengths.kind !== 'file') return lengthsOf(lengths, rngOf(seed, 'output lengths'));
  return (ofPrompt) => {
    if (ofPrompt === null) throw new TypeError('an entry without output length was planned where it is needed');
    return ofPrompt;
  };
}

function arrivalsOf({ load, prompt }: Cell, seed: number): Iterator<number, void> | null {
  if (load.kind === 'closed') return null;
  const { arrivals, rate } = load;
  switch (arrivals) {
    case 'trace':
      if (prompt.file?.kind !== 'trace') throw new TypeError('a cell replays a trace, and has none');
      return traceArrivals(prompt.file.entries, load.speed);
    case 'constant':
      return constantArrivals(rate);
    case 'poisson':
      return poissonArrivals(rate, rngOf(seed, 'arrivals'));
    default: {
      const shape = /^gamma\((.+)\)$/.exec(arrivals)?.[1];
      if (shape === undefined) throw new TypeError(`no arrivals "${arrivals}"`);
      return gammaArrivals(rate, Number(shape), rngOf(seed, 'arrivals'));
    }
  }
}
