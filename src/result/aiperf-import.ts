/**
 * AIPerf's profile_export_aiperf.json read back, AIPerf's own or ours. In: its JSON. Out: figures under our names, where theirs means
 * what ours does (aiperf-metrics.ts has the table); the rest is left alone.
 *
 * Schema: AIPerf's docs/reference/json-export-schema.md: metrics are fields of the document, each {unit, avg, p1 .. p99, ..}, and
 * `input_config` (of 0.13) is what it was told. Its times count from the actual send, and are of requests that succeeded.
 */
import { BenchError } from '../errors.ts';
import { type Figure, type FigureStat, figureKey, plainFigure } from './figures.ts';

/** Latencies, by AIPerf's tag. */
const DISTRIBUTIONS: Readonly<Record<string, string>> = {
  time_to_first_token: 'ttft',
  inter_token_latency: 'tpot',
  inter_chunk_latency: 'chunk_gap',
  request_latency: 'e2e',
};
/** Over the whole run. */
const SCALARS: Readonly<Record<string, string>> = {
  output_token_throughput: 'output_tokens_per_second_whole_run',
  request_throughput: 'requests_per_second_whole_run',
};
const STATS: Readonly<Record<string, FigureStat>> = { avg: 'mean', p50: 'p50', p90: 'p90', p95: 'p95', p99: 'p99' };
/** To milliseconds. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, sec: 1000, us: 1e-3, ns: 1e-6 };

type Fields = Record<string, unknown>;

export interface AiperfFigures {
  figures: Map<string, Figure>;
  model: string | null;
  /** Requests in flight that were asked for; null where it is not said. */
  concurrency: number | null;
  issued: number;
  lost: number;
  /** Neither cancelled nor cut short. */
  complete: boolean;
  id: string;
}

/** @throws BenchError USAGE when it is no such document */
export function aiperfFigures(document: unknown, file: string): AiperfFigures {
  const fields = fieldsOf(document);
  const requests = numberIn(fields, 'request_count', 'avg');
  if (fields === null || (requests === null && fieldsOf(fields['time_to_first_token']) === null)) {
    throw new BenchError(
      'USAGE',
      `${file} is no run in AIPerf's form: it has neither request_count nor time_to_first_token`,
      {
        hint: hintOf(fields),
      },
    );
  }
  const lost = numberIn(fields, 'error_request_count', 'avg') ?? 0;
  return {
    figures: figuresOf(fields),
    model: modelOf(fields),
    concurrency: concurrencyOf(fields),
    issued: (requests ?? 0) + lost,
    lost,
    complete: fields['was_cancelled'] !== true && fields['is_complete'] !== false,
    id: String(fields['benchmark_id'] ?? file),
  };
}

/** Of several runs there are several files, and the one at the top lists them. */
function hintOf(fields: Fields | null): string {
  const files = fieldsOf(fields?.['metadata'])?.['files'];
  const runs = Array.isArray(files) ? files.filter((name) => /profile_runs/.test(String(name))) : [];
  return runs.length === 0
    ? 'give a profile_export_aiperf.json, or the folder it lies in'
    : `it is of several runs; give one of them, such as ${runs[0]}, or the folder of the result`;
}

function figuresOf(fields: Fields): Map<string, Figure> {
  const figures = new Map<string, Figure>();
  for (const [tag, name] of Object.entries(DISTRIBUTIONS)) {
    const scale = UNITS[String(fieldsOf(fields[tag])?.['unit'])];
    for (const [key, stat] of Object.entries(STATS)) {
      const value = numberIn(fields, tag, key);
      if (value !== null && scale !== undefined) figures.set(figureKey(name, stat), plainFigure(value * scale));
    }
  }
  for (const [tag, name] of Object.entries(SCALARS)) {
    const value = numberIn(fields, tag, 'avg');
    if (value !== null) figures.set(figureKey(name, 'value'), plainFigure(value));
  }
  return figures;
}

const fieldsOf = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;

function numberIn(fields: Fields | null, tag: string, key: string): number | null {
  const value = fieldsOf(fields?.[tag])?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** AIPerf's own says so in its configuration (0.13: models.items), ours under metadata. */
function modelOf(fields: Fields): string | null {
  const models = fieldsOf(fieldsOf(fields['input_config'])?.['models'])?.['items'];
  const named = Array.isArray(models) ? fieldsOf(models[0])?.['name'] : fieldsOf(fields['metadata'])?.['model'];
  return typeof named === 'string' ? named : null;
}

/** Likewise: phases[].concurrency of what was not warm-up, or metadata.at. */
function concurrencyOf(fields: Fields): number | null {
  const phases = fieldsOf(fields['input_config'])?.['phases'];
  const profiled = Array.isArray(phases) ? phases.map(fieldsOf).find((phase) => phase?.['kind'] === 'profiling') : null;
  const value = (profiled ?? fieldsOf(fieldsOf(fields['metadata'])?.['at']))?.['concurrency'];
  return typeof value === 'number' ? value : null;
}
