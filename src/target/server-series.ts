/**
 * What servers say of themselves, under names that do not depend on the server. In: a page of /metrics. Out: one value for
 * each series that the page has, and the metric it came from.
 *
 * Several label sets of a metric are the engines of one server (data-parallel ranks): counts are added, shares averaged.
 *
 * Names as read in: vLLM 0.10 and main (v1/metrics/loggers.py), SGLang 0.5 (srt/metrics/collector.py; with --enable-metrics),
 * NIM 1.x ("Observability", no prefix), TensorRT-LLM 1.x (metrics/collector.py), llama.cpp (tools/server/README.md; with
 * --metrics; kv_cache_usage_ratio in builds of before mid-2025), and the bundled engine (EXTENSIONS.md), which has vLLM's.
 */
import { type PrometheusSample, samplesOf } from './prometheus-text.ts';

export type SeriesName =
  | 'requestsRunning'
  | 'requestsWaiting'
  /** Share of the KV cache in use, 0 to 1. */
  | 'kvCacheUsage'
  /** Requests put back to wait, their KV blocks taken: a counter on the page, their number a second on the timeline. */
  | 'preemptions'
  /** Distinct adapters of requests that run, and of requests that wait. */
  | 'lorasRunning'
  | 'lorasWaiting'
  /** Adapters that the device can hold at once, and those it holds. */
  | 'loraSlots'
  | 'loraSlotsUsed';

export interface ServerReading {
  values: Partial<Record<SeriesName, number>>;
  /** Metric by series, as `name` or `name{label}`. */
  from: Partial<Record<SeriesName, string>>;
}

/** A way to get a series out of one metric. */
interface Source {
  metric: string;
  /** Where a label tells the value, as part of the metric's name. */
  label?: string;
  /** null when they do not say. */
  value: (samples: readonly PrometheusSample[]) => number | null;
}

const sum: Source['value'] = (samples) => {
  const values = samples.map(({ value }) => value).filter(Number.isFinite);
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0);
};
const mean: Source['value'] = (samples) => {
  const finite = samples.filter(({ value }) => Number.isFinite(value));
  const total = sum(finite);
  return total === null ? null : total / finite.length;
};
const added = (...metrics: string[]): Source[] => metrics.map((metric) => ({ metric, value: sum }));
const averaged = (...metrics: string[]): Source[] => metrics.map((metric) => ({ metric, value: mean }));

const LORA_INFO = 'vllm:lora_requests_info';
/** From the labels of vLLM's metric for adapters. */
const loraInfo = (label: string, read: (text: string) => number | null): Source => ({
  metric: LORA_INFO,
  label,
  value([newest]) {
    const text = newest?.labels.get(label);
    return text === undefined ? null : read(text);
  },
});
const namesIn = (list: string): number =>
  new Set(
    list
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
  ).size;
const numberIn = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);

/** The first source that a page has is taken. */
const SOURCES: Readonly<Record<SeriesName, readonly Source[]>> = {
  requestsRunning: added(
    'vllm:num_requests_running',
    'sglang:num_running_reqs',
    'trtllm_num_requests_running',
    'num_requests_running',
    'llamacpp:requests_processing',
  ),
  requestsWaiting: added(
    'vllm:num_requests_waiting',
    'sglang:num_queue_reqs',
    'trtllm_num_requests_waiting',
    'num_requests_waiting',
    'llamacpp:requests_deferred',
  ),
  kvCacheUsage: averaged(
    'vllm:kv_cache_usage_perc',
    'vllm:gpu_cache_usage_perc',
    'sglang:token_usage',
    'trtllm_kv_cache_utilization',
    'gpu_cache_usage_perc',
    'llamacpp:kv_cache_usage_ratio',
  ),
  preemptions: added('vllm:num_preemptions_total', 'sglang:num_retracted_requests_total'),
  lorasRunning: [loraInfo('running_lora_adapters', namesIn)],
  lorasWaiting: [loraInfo('waiting_lora_adapters', namesIn)],
  loraSlots: [...added('sglang:lora_pool_slots_total'), loraInfo('max_lora', numberIn)],
  loraSlotsUsed: [
    ...added('sglang:lora_pool_slots_used'),
    {
      metric: 'lorabench:lora_adapters',
      label: 'tier="device"',
      value: (samples) => sum(samples.filter(({ labels }) => labels.get('tier') === 'device')),
    },
  ],
};

export const SERIES = Object.keys(SOURCES) as SeriesName[];
const WANTED: ReadonlySet<string> = new Set(SERIES.flatMap((name) => SOURCES[name].map(({ metric }) => metric)));

/** Label sets that are kept of a metric: more than any server has engines. */
const MOST_SAMPLES = 4_096;

/** Empty when the page has none of the metrics. */
export function readingOf(page: string): ServerReading {
  const found = samplesByMetric(page);
  const reading: ServerReading = { values: {}, from: {} };
  for (const name of SERIES) {
    for (const { metric, label, value } of SOURCES[name]) {
      const samples = found.get(metric);
      const read = samples === undefined ? null : value(samples);
      if (read === null) continue;
      reading.values[name] = read;
      reading.from[name] = label === undefined ? metric : `${metric}{${label}}`;
      break;
    }
  }
  return reading;
}

function samplesByMetric(page: string): Map<string, PrometheusSample[]> {
  const found = new Map<string, PrometheusSample[]>();
  for (const sample of samplesOf(page, WANTED)) {
    const known = found.get(sample.name);
    if (known === undefined) found.set(sample.name, [sample]);
    // Every set of adapters that ever ran stays on vLLM's page, its last update's time the value: the newest is what holds.
    else if (sample.name === LORA_INFO) known[0] = newer(known[0], sample);
    else if (known.length < MOST_SAMPLES) known.push(sample);
  }
  return found;
}

const newer = (a: PrometheusSample | undefined, b: PrometheusSample): PrometheusSample =>
  a !== undefined && a.value > b.value ? a : b;
