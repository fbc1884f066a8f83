/**
 * AIPerf's profile_export_aiperf.json read back, AIPerf's own or ours. In: its JSON. Out: figures under our names, where theirs means
 * what ours does (aiperf-metrics.ts has the table); the rest is left alone.
 *
 * Schema: AIPerf's docs/reference/json-export-schema.md: metrics are fields of the document, each {unit, avg, p1 .. p99, ..}.
 */
import { BenchError } from '../errors.ts';
import type { Figure, FigureStat } from './comparable.ts';

/** Latencies, by AIPerf's tag. */
const DISTRIBUTIONS: Readonly<Record<string, string>> = {
  time_to_first_token: 'ttft',
  inter_token_latency: 'tpot',
  inter_chunk_latency: 'chunk_gap',
  request_latency: 'e2e',
};
const SCALARS: Readonly<Record<string, string>> = {
  output_token_throughput: 'output_tokens_per_second_whole_run',
};
const STATS: Readonly<Record<string, FigureStat>> = { avg: 'mean', p50: 'p50', p90: 'p90', p95: 'p95', p99: 'p99' };
/** To milliseconds. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, us: 1e-3, ns: 1e-6 };

type Fields = Record<string, unknown>;

export interface AiperfFigures {
  figures: Map<string, Figure>;
  model: string | null;
  issued: number;
  lost: number;
  id: string;
}

/** @throws BenchError USAGE when it is no such document */
export function aiperfFigures(document: unknown, file: string): AiperfFigures {
  const fields = document as Fields;
  if (
    typeof document !== 'object' ||
    document === null ||
    !('request_count' in fields || 'time_to_first_token' in fields)
  ) {
    throw new BenchError(
      'USAGE',
      `${file} is no profile_export_aiperf.json: it has neither request_count nor time_to_first_token`,
    );
  }
  const figures = new Map<string, Figure>();
  for (const [tag, name] of Object.entries(DISTRIBUTIONS)) {
    const metric = metricOf(fields, tag);
    const scale = UNITS[String(metric?.['unit'] ?? '')];
    if (metric === null || scale === undefined) continue;
    for (const [key, stat] of Object.entries(STATS)) {
      const value = metric[key];
      if (typeof value === 'number' && Number.isFinite(value)) {
        figures.set(`${name} ${stat}`, { value: value * scale, atLeast: false, within: null });
      }
    }
  }
  for (const [tag, name] of Object.entries(SCALARS)) {
    const value = metricOf(fields, tag)?.['avg'];
    if (typeof value === 'number' && Number.isFinite(value)) {
      figures.set(`${name} value`, { value, atLeast: false, within: null });
    }
  }
  const count = (tag: string) => Number(metricOf(fields, tag)?.['avg'] ?? 0);
  const [ok, lost] = [count('request_count'), count('error_request_count')];
  return { figures, model: modelOf(fields), issued: ok + lost, lost, id: String(fields['benchmark_id'] ?? file) };
}

const metricOf = (fields: Fields, tag: string): Fields | null => {
  const metric = fields[tag];
  return typeof metric === 'object' && metric !== null ? (metric as Fields) : null;
};

/** AIPerf's own says so under its configuration, ours under metadata. */
function modelOf(fields: Fields): string | null {
  const config = metricOf(fields, 'input_config');
  const endpoint = config === null ? null : metricOf(config, 'endpoint');
  const names = endpoint?.['model_names'];
  const named = Array.isArray(names) ? names[0] : metricOf(fields, 'metadata')?.['model'];
  return typeof named === 'string' ? named : null;
}
