/**
 * One run as AIPerf's profile_export_aiperf.json, schema 1.5, so that what reads AIPerf's exports reads ours.
 *
 * In: a result, one of its cells, the number of one of that cell's runs. Out: plain data. Format: AIPerf's
 * docs/reference/json-export-schema.md and `JsonExportData`; fields without a value are not there. AIPerf keeps a sweep's
 * axes as paths into its configuration; ours are paths into the scenario. There is no `aiperf_version` and no
 * `input_config`, since AIPerf made neither, and no `end_time`, which a result does not keep. `start_time` is before the
 * warm-up. What AIPerf has no field for is under `metadata`, as it does it.
 */
import type { At } from '../plan/plan.ts';
import { type AiperfMetrics, aiperfMetrics } from './aiperf-metrics.ts';
import { runName } from './arms.ts';
import type { CellResult, Result, RunResult } from './schema.ts';

export const AIPERF_SCHEMA = '1.5';

export interface AiperfError {
  error_details: { code?: number; type: string; message: string };
  count: number;
}

/** A cell in AIPerf's words: "base" and no values where nothing is swept. */
export interface Variation {
  variation_label: string;
  variation_index: number;
  variation_values: Record<string, string | number>;
}

export interface AiperfExport {
  schema_version: typeof AIPERF_SCHEMA;
  benchmark_id: string;
  run_info: {
    benchmark_id: string;
    sweep_id: string;
    random_seed: number;
    trial: number;
    run_label: string;
  } & Variation;
  metadata: Record<string, unknown>;
  start_time: string;
  was_cancelled: boolean;
  is_complete: boolean;
  incomplete_reason?: string;
  error_summary: AiperfError[];
  metrics: AiperfMetrics;
}

/** Where each coordinate stands in a scenario file. */
const PATHS: Record<keyof At, string> = {
  model: 'models',
  weights: 'weights',
  rank: 'adapters.rank',
  adapters: 'adapters.count',
  popularity: 'adapters.popularity',
  base_share: 'adapters.base_share',
  kind: 'adapters.kind',
  mode: 'adapters.mode',
  residency: 'adapters.residency',
  modules: 'adapters.modules',
  control: 'output.control',
  promptTokens: 'prompt.tokens',
  outputTokens: 'output.tokens',
  concurrency: 'load.concurrency',
  rate: 'load.rate',
  arrivals: 'load.arrivals',
};
const AXES = Object.keys(PATHS) as (keyof At)[];

/**
 * @param i place of the run among those of its cell
 * @throws BenchError USAGE when a histogram in it can't be read
 */
export function aiperfExport(result: Result, cell: CellResult, i: number): AiperfExport {
  const run = cell.runs[i] as RunResult;
  const trial = run.replicate ?? i;
  const label = runName(cell.id, trial, run.arm);
  const id = `${result.session}-${label}`;
  return {
    schema_version: AIPERF_SCHEMA,
    benchmark_id: id,
    run_info: {
      benchmark_id: id,
      sweep_id: result.session,
      random_seed: run.seed,
      trial,
      run_label: label,
      ...variationOf(result, cell),
    },
    metadata: metadataOf(result, cell, run),
    start_time: run.startedAt,
    was_cancelled: run.state === 'interrupted',
    is_complete: run.state === 'done',
    ...(run.state === 'done' ? {} : { incomplete_reason: `the run was ${run.state}` }),
    error_summary: errorsOf(run),
    metrics: aiperfMetrics(run),
  };
}

/** As it lies on the disk: every metric is a field of its own. */
export function documentOf({ metrics, ...rest }: AiperfExport): Record<string, unknown> {
  const { schema_version, benchmark_id, ...others } = rest;
  return { schema_version, benchmark_id, ...metrics, ...others };
}

export function variationOf({ cells }: Result, cell: CellResult): Variation {
  const swept = AXES.filter((axis) => new Set(cells.map(({ at }) => at[axis])).size > 1);
  const named = swept.map((axis) => [axis, cell.at[axis]] as const).filter(([, value]) => value !== null);
  const target = new Set(cells.map((one) => one.target)).size > 1 ? [['target', cell.target] as const] : [];
  const parts = [...target, ...named].map(([axis, value]) => `${axis}_${value}`);
  const values = [...target, ...named.map(([axis, value]) => [PATHS[axis], value] as const)];
  return {
    variation_label: cells.length > 1 ? parts.join('__') : 'base',
    variation_index: cells.indexOf(cell),
    variation_values: Object.fromEntries(values) as Variation['variation_values'],
  };
}

function metadataOf({ tool, scenario, standIn, targets }: Result, cell: CellResult, run: RunResult) {
  const { at, target } = cell;
  const { valid, reasons, warnings, steadyDetail } = run.validity;
  return {
    exported_by: `${tool.name} ${tool.version}`,
    scenario: scenario.name,
    model: targets.find(({ id }) => id === target)?.model ?? at.model,
    target,
    at,
    // A figure of a stand-in must never be taken for the model's.
    ...(standIn === null ? {} : { stand_in: standIn }),
    validity: { valid, reasons, warnings },
    // In counts and rates, and in no latency.
    requests_before_steady_state: steadyDetail?.cutRequests ?? 0,
  };
}

/** What went wrong by our names for it; a request that we cut short has AIPerf's own code and name. */
function errorsOf({ errors, counts }: RunResult): AiperfError[] {
  const failed = Object.entries(errors).map(([type, count]) => {
    const status = /^http_(\d+)$/.exec(type)?.[1];
    const code = status === undefined ? {} : { code: Number(status) };
    return { error_details: { ...code, type, message: type.replaceAll('_', ' ') }, count };
  });
  if (counts.cancelled === 0) return failed;
  const cut = { code: 499, type: 'RequestCancellationError', message: 'cut short by bench when the run ended' };
  return [...failed, { error_details: cut, count: counts.cancelled }];
}
