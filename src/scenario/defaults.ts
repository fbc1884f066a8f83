/**
 * The defaults of the scenario format, all of them, in one place. In: a valid scenario as the file says it. Out: the
 * same with every default written out, still in the format of the file (this is what result.json shows as `resolved`).
 */
import type { ScenarioInput } from './schema.ts';

const DEFAULTS = {
  target: { api: 'completions', headers: {} },
  command: { ready_timeout: '10m', env: {} },
  weights: 'f16',
  adapters: { popularity: 'uniform', base_share: 0, kind: 'lora', mode: 'dynamic', modules: 'all', names: [] },
  prompt: { reuse: false },
  sharedPrefix: { groups: 1, per_adapter: false },
  output: { control: 'exact' },
  load: { arrivals: 'poisson' },
  request: { temperature: 0, extra_body: {}, timeout: '10m' },
  measure: {
    requests: { per_concurrency: 10, at_least: 50 },
    warmup: { per_adapter: 1 },
    drain: '30s',
    repeats: 1,
    seed: 1,
  },
  gate: { on_inconclusive: 'fail', alpha: 0.05, looks: [6, 12, 20] as number[] },
} as const;

const DEFAULT_RESIDENCY = 'warm';

type Given<T, K extends keyof T> = Omit<T, K> & Required<Pick<T, K>>;
type Part<K extends keyof ScenarioInput> = NonNullable<ScenarioInput[K]>;

/** A scenario after defaults: what is optional here has no default. */
export interface ResolvedScenario extends Given<Omit<ScenarioInput, 'without_gpu' | 'gate'>, 'request' | 'measure'> {
  request: Required<Part<'request'>>;
  /** Without `requests` where a trace is replayed: all of it. */
  measure: Given<Part<'measure'>, 'warmup' | 'drain' | 'repeats' | 'seed'>;
  gate?: Required<Part<'gate'>>;
}

/** `onEngine`: engine, models and weights apply; an endpoint has made those choices itself. */
export function withDefaults(input: ScenarioInput, onEngine: boolean): ResolvedScenario {
  const { without_gpu: _overlay, gate, ...rest } = input;
  const resolved: ResolvedScenario = {
    ...rest,
    request: { ...DEFAULTS.request, ...input.request },
    measure: measureOf(input),
    ...(gate === undefined ? {} : { gate: { ...DEFAULTS.gate, ...gate } }),
  };
  if (onEngine) {
    resolved.target = 'engine';
    resolved.engine = input.engine ?? {};
    resolved.weights = input.weights ?? DEFAULTS.weights;
  } else if (typeof input.target === 'object') {
    const ofCommand = 'command' in input.target ? DEFAULTS.command : {};
    resolved.target = { ...DEFAULTS.target, ...ofCommand, ...input.target };
  }
  if (input.adapters) {
    resolved.adapters = {
      ...DEFAULTS.adapters,
      names: [],
      // Where an endpoint keeps its adapters is its own affair.
      ...(onEngine ? { residency: DEFAULT_RESIDENCY } : {}),
      ...input.adapters,
    };
  }
  if (input.prompt) resolved.prompt = promptOf(input.prompt);
  if (input.output) resolved.output = { ...DEFAULTS.output, ...input.output };
  if ('rate' in input.load) resolved.load = { ...DEFAULTS.load, ...input.load };
  return resolved;
}

/** How long a trace is decides for itself how many requests there are. */
function measureOf(input: ScenarioInput): ResolvedScenario['measure'] {
  const { requests, ...rest } = DEFAULTS.measure;
  return { ...rest, ...('trace' in input.load ? {} : { requests }), ...input.measure };
}

function promptOf(prompt: Part<'prompt'>): Part<'prompt'> {
  if (!('tokens' in prompt) || prompt.shared_prefix === undefined) return { ...DEFAULTS.prompt, ...prompt };
  return { ...DEFAULTS.prompt, ...prompt, shared_prefix: { ...DEFAULTS.sharedPrefix, ...prompt.shared_prefix } };
}

/** What output.control and prompt.reuse are where `workload` stands in their place. */
export const WORKLOAD_DEFAULTS = { control: DEFAULTS.output.control, reuse: DEFAULTS.prompt.reuse } as const;

/** min and max of {mean, stddev} where they are not given: at least one token, and four deviations up. */
export const normalBounds = (mean: number, stddev: number): { min: number; max: number } => ({
  min: 1,
  max: Math.max(1, Math.ceil(mean + 4 * stddev)),
});
/** at_least of {per_concurrency} where it is not given. */
export const AT_LEAST = 1;
