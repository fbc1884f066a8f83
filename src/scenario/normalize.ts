/**
 * From the format of the file to what the code works with: units parsed, every axis an array, forms told apart by `kind`.
 * In: a scenario that passed schema, rules and defaults. Out: Scenario's fields. Nothing is checked or defaulted here.
 */
import { ADAPTER_KINDS } from '../../engine/adapter-files/adapter.ts';
import { MODULES, type ModuleName } from '../../engine/models/projections.ts';
import type { PopularityInput } from './adapters-schema.ts';
import { AT_LEAST, normalBounds, type ResolvedScenario, WORKLOAD_DEFAULTS } from './defaults.ts';
import type {
  Arrivals,
  EndpointTarget,
  EngineFlags,
  Kind,
  Kinds,
  Lengths,
  MeasureLength,
  Modules,
  Popularity,
  PromptFileName,
  Rank,
  Scenario,
  ScenarioAdapters,
  ScenarioLoad,
  ScenarioWorkload,
  ServerCommand,
  SharedPrefix,
  Slo,
} from './scenario.ts';
import type { LengthsInput, OneOrMany } from './schema.ts';
import { durationMs, ratePerSecond, sizeBytes } from './units.ts';

type Normalized = Omit<Scenario, 'file' | 'text' | 'hash' | 'resolved' | 'withoutGpu' | 'gate'>;

export function normalized(resolved: ResolvedScenario): Normalized {
  const { request, measure } = resolved;
  const target = targetOf(resolved.target);
  return {
    name: resolved.name,
    description: resolved.description ?? null,
    target,
    engine: engineFlags(resolved.engine ?? {}),
    models: many(resolved.models),
    weights: target.kind === 'engine' ? many(resolved.weights) : [],
    adapters: resolved.adapters ? adaptersOf(resolved.adapters) : null,
    workloads: workloadsOf(resolved),
    promptReuse: resolved.prompt?.reuse ?? WORKLOAD_DEFAULTS.reuse,
    sharedPrefix: sharedPrefixOf(resolved.prompt),
    promptFile: promptFileOf(resolved.prompt),
    controls: many(resolved.output?.control ?? WORKLOAD_DEFAULTS.control),
    load: loadOf(resolved.load),
    request: { temperature: request.temperature, extraBody: request.extra_body, timeoutMs: ms(request.timeout) },
    measure: {
      length: measureLength(measure.requests),
      warmupPerAdapter: measure.warmup.per_adapter,
      drainMs: ms(measure.drain),
      repeats: measure.repeats,
      seed: measure.seed,
    },
    slo: sloOf(resolved.slo),
  };
}

const many = <T>(value: OneOrMany<T> | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/** A duration that the schema has let through. */
const ms = (text: string): number => durationMs(text) ?? Number.NaN;

function targetOf(target: ResolvedScenario['target']): Scenario['target'] {
  if (target === 'engine') return { kind: 'engine' };
  const endpoint: EndpointTarget = {
    kind: 'endpoint',
    url: null,
    start: null,
    api: 'completions', // as the engine is driven: prompts of an exact token count, no template around them
    apiKeyEnv: null,
    headers: {},
    tokenizer: null,
    adapterPath: null,
    adapterPaths: {},
    metricsUrl: null,
  };
  if (target === undefined) return endpoint;
  return {
    ...endpoint,
    ...('command' in target
      ? { url: target.url ?? baseUrlBeside(target.ready), start: commandOf(target) }
      : { url: target.url }),
    api: target.api ?? endpoint.api,
    apiKeyEnv: target.api_key_env ?? null,
    headers: target.headers ?? {},
    tokenizer: target.tokenizer ?? null,
    adapterPath: target.adapter_path ?? null,
    adapterPaths: target.adapter_paths ?? {},
    metricsUrl: target.metrics_url ?? null,
  };
}

type CommandInput = Extract<ResolvedScenario['target'], { command: string[] }>;

const commandOf = ({ command, ready, ready_timeout, cwd, env }: CommandInput): ServerCommand => ({
  command,
  ready,
  readyTimeoutMs: ms(ready_timeout ?? ''),
  cwd: cwd ?? null,
  env: env ?? {},
});

/** ".../v1/models" and "../v1/health/ready" are below ".../v1"; ".../health" is beside it. */
function baseUrlBeside(ready: string): string {
  const { origin, pathname } = new URL(ready);
  const version = /^.*?\/v\d+(?=\/|$)/.exec(pathname)?.[0];
  return origin + (version ?? `${pathname.replace(/\/[^/]*\/?$/, '')}/v1`);
}

function engineFlags(flags: NonNullable<ResolvedScenario['engine']>): EngineFlags {
  const all: Record<keyof EngineFlags, EngineFlags[keyof EngineFlags]> = {
    device: flags.device,
    seed: flags.seed,
    maxModelLen: flags.max_model_len,
    maxNumSeqs: flags.max_num_seqs,
    maxNumBatchedTokens: flags.max_num_batched_tokens,
    maxGpuLoras: flags.max_gpu_loras,
    maxCpuLoras: flags.max_cpu_loras,
    maxLoraRank: flags.max_lora_rank,
    gpuMemory: flags.gpu_memory === undefined ? undefined : (sizeBytes(flags.gpu_memory) ?? Number.NaN),
    batchInvariant: flags.batch_invariant,
    kernels: flags.kernels,
    profile: flags.profile,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as EngineFlags;
}

function adaptersOf(input: NonNullable<ResolvedScenario['adapters']>): ScenarioAdapters {
  const names = input.names ?? [];
  return {
    ranks: many(input.rank).map(rankOf),
    counts: many(input.count),
    popularities: many(input.popularity).map(popularityOf),
    baseShares: many(input.base_share),
    kinds: many(input.kind).map(kindsOf),
    modes: many(input.mode),
    residencies: many(input.residency),
    modules: input.modules === undefined || input.modules === 'all' ? 'all' : inOrder(input.modules),
    names: Array.isArray(names)
      ? names
      : Object.fromEntries(Object.entries(names).map(([r, list]) => [Number(r), list])),
  };
}

const rankOf = (input: number | { mix: Record<string, number> }): Rank =>
  typeof input === 'number'
    ? { kind: 'one', rank: input }
    : {
        kind: 'mix',
        shares: Object.entries(input.mix)
          .map(([rank, weight]) => ({ rank: Number(rank), weight }))
          .sort((a, b) => a.rank - b.rank),
      };

/** The order of the file says nothing, and the order of names decides which kind an adapter's number has. */
const kindsOf = (input: Kind | { mix: Partial<Record<Kind, number>> }): Kinds =>
  typeof input === 'string'
    ? { kind: 'one', name: input }
    : {
        kind: 'mix',
        shares: ADAPTER_KINDS.flatMap((name) => {
          const weight = input.mix[name];
          return weight === undefined ? [] : [{ name, weight }];
        }),
      };

/** As they follow each other in a layer; all of them are "all". */
function inOrder(modules: readonly ModuleName[]): Modules {
  const ordered = MODULES.filter((module) => modules.includes(module));
  return ordered.length === MODULES.length ? 'all' : ordered;
}

function popularityOf(input: PopularityInput): Popularity {
  if (typeof input !== 'string') return { kind: 'weights', weights: input };
  const zipf = /^zipf\((.+)\)$/.exec(input);
  if (zipf) return { kind: 'zipf', s: Number(zipf[1]) };
  return { kind: input as 'uniform' | 'round_robin' | 'distinct' | 'identical' };
}

function lengthsOf(input: LengthsInput): Lengths {
  if (typeof input === 'number') return { kind: 'fixed', tokens: input };
  if ('uniform' in input) return { kind: 'uniform', ...input.uniform };
  const { mean, stddev = 0 } = input;
  const bounds = normalBounds(mean, stddev);
  return { kind: 'normal', mean, stddev, min: input.min ?? bounds.min, max: input.max ?? bounds.max };
}

function workloadsOf(resolved: ResolvedScenario): ScenarioWorkload[] {
  if (resolved.workload) {
    return resolved.workload.map((pair) => ({ prompt: lengthsOf(pair.prompt), output: lengthsOf(pair.output) }));
  }
  const { prompt } = resolved;
  const prompts = prompt && 'tokens' in prompt ? many(prompt.tokens).map(lengthsOf) : [null];
  const outputs = resolved.output?.tokens === undefined ? [null] : many(resolved.output.tokens).map(lengthsOf);
  return prompts.flatMap((prompt) => outputs.map((output) => ({ prompt, output })));
}

function sharedPrefixOf(prompt: ResolvedScenario['prompt']): SharedPrefix | null {
  if (prompt === undefined || !('tokens' in prompt) || prompt.shared_prefix === undefined) return null;
  const { tokens, groups, per_adapter } = prompt.shared_prefix;
  return { tokens, groups: groups as number, perAdapter: per_adapter as boolean };
}

function promptFileOf(prompt: ResolvedScenario['prompt']): PromptFileName | null {
  if (prompt === undefined || 'tokens' in prompt) return null;
  return 'trace' in prompt ? { kind: 'trace', path: prompt.trace } : { kind: 'dataset', path: prompt.dataset };
}

function loadOf(load: ResolvedScenario['load']): ScenarioLoad {
  if ('concurrency' in load) return { kind: 'closed', concurrencies: many(load.concurrency) };
  if ('trace' in load) return { kind: 'trace', speed: load.trace.speed };
  return {
    kind: 'open',
    rates: many(load.rate).map((rate) => ratePerSecond(rate) ?? Number.NaN),
    arrivals: load.arrivals as Arrivals,
  };
}

function measureLength(requests: ResolvedScenario['measure']['requests']): MeasureLength {
  if (requests === undefined) return { kind: 'all' };
  if (typeof requests === 'number') return { kind: 'requests', requests };
  if (typeof requests === 'string') return { kind: 'duration', durationMs: ms(requests) };
  return { kind: 'per_concurrency', perConcurrency: requests.per_concurrency, atLeast: requests.at_least ?? AT_LEAST };
}

function sloOf(input: ResolvedScenario['slo']): Slo | null {
  if (!input || Object.keys(input).length === 0) return null;
  const limits: Slo = {};
  if (input.ttft !== undefined) limits.ttftMs = ms(input.ttft);
  if (input.itl !== undefined) limits.itlMs = ms(input.itl);
  if (input.e2e !== undefined) limits.e2eMs = ms(input.e2e);
  return limits;
}
