/**
 * The runs of one cell as AIPerf's profile_export_aiperf_aggregate.json ("confidence" aggregation, schema 1.0), which is
 * what `aiperf plot` and `DataLoader.load_run` read of a cell when they get no profile_export.jsonl.
 *
 * In: the exports of a cell's runs. Out: each statistic of each metric with its mean and spread over the runs that are
 * complete (`<tag>_<statistic>`), or null where none is. Without AIPerf's t intervals: those of the report know that a
 * run is the statistical unit and which figures may carry one. Format: AIPerf's `AggregateConfidenceJsonExporter`.
 */
import { moments } from '../stats/moments.ts';
import type { AiperfExport } from './aiperf.ts';
import { STATS } from './aiperf-stats.ts';

interface Spread {
  mean: number;
  std: number;
  min: number;
  max: number;
  /** std / mean; absent where the mean is 0. */
  cv?: number;
  /** Of the mean. */
  se: number;
  unit: string;
}

export function aiperfAggregate(runs: readonly AiperfExport[]): Record<string, unknown> | null {
  const complete = runs.filter(({ is_complete }) => is_complete);
  const [first] = complete;
  if (first === undefined) return null;
  const { variation_label, variation_values, sweep_id } = first.run_info;
  const { validity: _, requests_before_steady_state: __, ...ofAll } = first.metadata; // which differ from run to run
  const failed = runs.filter(({ is_complete }) => !is_complete);
  return {
    schema_version: '1.0',
    metadata: {
      aggregation_type: 'confidence',
      num_profile_runs: runs.length,
      num_successful_runs: complete.length,
      failed_runs: failed.map(({ run_info, incomplete_reason }) => ({
        label: run_info.run_label,
        error: incomplete_reason,
      })),
      run_labels: complete.map(({ run_info }) => run_info.run_label),
      ...(complete.length === 1 ? { single_run: true } : {}),
      sweep_id,
      variation_label,
      variation_values,
      ...ofAll,
    },
    metrics: spreadsOf(complete),
  };
}

function spreadsOf(runs: readonly AiperfExport[]): Record<string, Spread> {
  const tags = [...new Set(runs.flatMap(({ metrics }) => Object.keys(metrics)))];
  const spreads: Record<string, Spread> = {};
  for (const tag of tags) {
    const blocks = runs.flatMap(({ metrics }) => metrics[tag] ?? []);
    for (const statistic of STATS) {
      const values = blocks.flatMap((block) => block[statistic] ?? []);
      if (values.length === 0) continue;
      const spread = spreadOf(values, blocks[0]?.unit ?? '');
      // AIPerf's loader refuses a metric whose count is no whole number.
      if (statistic === 'count' && !Number.isInteger(spread.mean)) continue;
      spreads[`${tag}_${statistic}`] = spread;
    }
  }
  return spreads;
}

function spreadOf(values: readonly number[], unit: string): Spread {
  const { count, mean, std } = moments(values);
  const cv = mean === 0 ? {} : { cv: std / mean };
  return { mean, std, min: Math.min(...values), max: Math.max(...values), ...cv, se: std / Math.sqrt(count), unit };
}
