/**
 * /metrics: what Prometheus scrapes, under vLLM's names where vLLM has the metric, else as lorabench:*.
 *
 * Gauges and counters of the device side are read from the core when scraped; latencies are observed as requests end.
 * Names and labels: vLLM's metrics page, "Production Metrics"; the full list is in EXTENSIONS.md.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { now } from '../clock.ts';
import { type EngineCore, type EngineStats, type SequenceTimings, TIERS } from '../core.ts';
import { baseName } from './base-name.ts';
import type { Finish } from './running-generation.ts';

/** Seconds; from a GPU's milliseconds to the minutes of an overloaded software device. */
const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** One request's life, as the metrics see it. */
export interface RequestMeter {
  firstToken(): void;
  /** Exactly one of the three ends is called, once. */
  finished(finish: Finish, outputTokens: number, timings: SequenceTimings | null): void;
  cancelled(): void;
  failed(): void;
}

export interface Metrics {
  registry: Registry;
  /** @param read when the request's body had been read, ns */
  requestStarted(adapter: string | null, read: number): RequestMeter;
}

export function createMetrics(core: EngineCore): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ model_name: baseName(core.info) });
  readFromCore(registry, core);
  readAdapters(registry, core);

  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, buckets: LATENCY_BUCKETS, registers: [registry] });
  const ttft = histogram('vllm:time_to_first_token_seconds', 'Request read to first token at the HTTP side.');
  const tpot = histogram('vllm:time_per_output_token_seconds', 'Mean time between tokens, one value a request.');
  const e2e = histogram('vllm:e2e_request_latency_seconds', 'Request read to its end.');
  const queue = histogram('vllm:request_queue_time_seconds', 'Submitted to admitted.');
  const prefill = histogram('vllm:request_prefill_time_seconds', 'First prefill chunk begun to first token.');
  const decode = histogram('vllm:request_decode_time_seconds', 'First token to last token.');
  const adapterWait = new Histogram({
    name: 'lorabench:lora_wait_seconds',
    help: 'Admitted until the adapter was on the device, by where it was when the request came; requests with an adapter.',
    labelNames: ['tier'],
    buckets: LATENCY_BUCKETS,
    registers: [registry],
  });
  const success = new Counter({
    name: 'vllm:request_success_total',
    help: 'Requests that ended by themselves, by reason.',
    labelNames: ['finished_reason'],
    registers: [registry],
  });
  const ends = new Counter({
    name: 'lorabench:request_ends_total',
    help: 'Requests by how they ended: ok, cancelled (the client went away), failed.',
    labelNames: ['outcome'],
    registers: [registry],
  });

  /** Requests in flight by adapter, and whether they have their first token. */
  const live = new Set<{ adapter: string | null; started: boolean }>();
  new Gauge({
    name: 'vllm:lora_requests_info',
    help: 'Adapters of requests that give tokens and of requests that wait for their first; the value is the time.',
    labelNames: ['max_lora', 'running_lora_adapters', 'waiting_lora_adapters'],
    registers: [registry],
    collect() {
      const names = (started: boolean) =>
        [...new Set([...live].filter((r) => r.adapter !== null && r.started === started).map((r) => r.adapter))].join(
          ',',
        );
      this.reset();
      this.set(
        { max_lora: core.info.maxGpuLoras, running_lora_adapters: names(true), waiting_lora_adapters: names(false) },
        Date.now() / 1000,
      );
    },
  });

  return {
    registry,
    requestStarted(adapter, read) {
      const request = { adapter, started: false };
      live.add(request);
      const end = (outcome: string) => {
        live.delete(request);
        ends.inc({ outcome });
      };
      return {
        firstToken() {
          request.started = true;
          ttft.observe(seconds(now() - read));
        },
        finished(finish, outputTokens, timings) {
          end('ok');
          success.inc({ finished_reason: finish });
          e2e.observe(seconds(now() - read));
          if (timings === null) return;
          queue.observe(seconds(timings.admitted - timings.received));
          if (timings.adapterTier !== null)
            adapterWait.observe({ tier: timings.adapterTier }, seconds(timings.adapterWait));
          prefill.observe(seconds(timings.firstToken - timings.prefillStart));
          decode.observe(seconds(timings.lastToken - timings.firstToken));
          if (outputTokens > 1) tpot.observe(seconds(timings.lastToken - timings.firstToken) / (outputTokens - 1));
        },
        cancelled: () => end('cancelled'),
        failed: () => end('failed'),
      };
    },
  };
}

const seconds = (nanoseconds: number): number => nanoseconds / 1e9;

/** What the core counts, read anew at each scrape. */
function readFromCore(registry: Registry, core: EngineCore): void {
  const gauge = (name: string, help: string, value: (stats: EngineStats) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(core.stats()));
      },
    });
  const counter = (name: string, help: string, value: (stats: EngineStats) => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(value(core.stats()));
      },
    });
  const kvUsed = (stats: EngineStats) => (stats.kvBlocksTotal === 0 ? 0 : 1 - stats.kvBlocksFree / stats.kvBlocksTotal);

  gauge('vllm:num_requests_running', 'Sequences in the batch.', (s) => s.running);
  gauge('vllm:num_requests_waiting', 'Sequences waiting to be admitted.', (s) => s.waiting);
  gauge('vllm:kv_cache_usage_perc', 'Share of KV blocks in use, 0 to 1.', kvUsed);
  gauge('vllm:gpu_cache_usage_perc', 'As vllm:kv_cache_usage_perc, under its older name.', kvUsed);
  counter('vllm:prompt_tokens_total', 'Prompt tokens computed.', (s) => s.promptTokens);
  counter('vllm:generation_tokens_total', 'Tokens generated.', (s) => s.generatedTokens);
  counter('lorabench:steps_total', 'Steps run.', (s) => s.steps);
  counter('lorabench:dispatches_total', 'Kernels dispatched.', (s) => s.dispatches);
  counter('lorabench:rows_total', 'Rows run in steps.', (s) => s.rows);
  counter('lorabench:lora_rows_total', 'Rows run in steps that carried an adapter.', (s) => s.loraRows);
  gauge('lorabench:step_seconds_last', 'Duration of the last step.', (s) => s.stepMsLast / 1e3);
  gauge('lorabench:kv_blocks', 'KV blocks there are.', (s) => s.kvBlocksTotal);
  gauge('lorabench:kv_blocks_free', 'KV blocks not in use.', (s) => s.kvBlocksFree);
  counter('lorabench:lora_evictions_total', 'Times an adapter left the device.', (s) => s.adapterEvictions);
  counter(
    'lorabench:lora_swaps_total',
    'Times an adapter left the device with sequences of its own still running, so that others got a turn.',
    (s) => s.adapterSwaps,
  );
  new Counter({
    name: 'lorabench:lora_loads_total',
    help: 'Times an adapter was brought to the device, by the tier its weights came from.',
    labelNames: ['from'],
    registers: [registry],
    collect() {
      const { adapterLoadsFromHost, adapterLoadsFromDisk } = core.stats();
      this.reset();
      this.inc({ from: 'host' }, adapterLoadsFromHost);
      this.inc({ from: 'disk' }, adapterLoadsFromDisk);
    },
  });
}

/** The adapters there are, as they are listed: that is never older than an answer that moved one. */
function readAdapters(registry: Registry, core: EngineCore): void {
  const { maxGpuLoras, maxCpuLoras } = core.info;
  const limit = (name: string, help: string, value: number) =>
    new Gauge({ name, help, registers: [registry] }).set(value);
  limit('lorabench:max_gpu_loras', 'Adapter slots on the device.', maxGpuLoras);
  limit('lorabench:max_cpu_loras', 'Adapters from files that host memory keeps.', maxCpuLoras);
  new Gauge({
    name: 'lorabench:lora_adapters',
    help: 'Adapters that can be named, by where their weights are: device, host or disk.',
    labelNames: ['tier'],
    registers: [registry],
    collect() {
      const adapters = core.adapters();
      for (const tier of TIERS) this.set({ tier }, adapters.filter((adapter) => adapter.tier === tier).length);
    },
  });
  new Gauge({
    name: 'lorabench:lora_adapters_pinned',
    help: 'Adapters that stay on the device until they are unpinned.',
    registers: [registry],
    collect() {
      this.set(core.adapters().filter(({ pinned }) => pinned).length);
    },
  });
  new Gauge({
    name: 'lorabench:lora_bytes',
    help: 'Device memory that each adapter takes while it is there.',
    labelNames: ['lora_name', 'rank'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { name, rank, bytes } of core.adapters()) this.set({ lora_name: name, rank }, bytes);
    },
  });
}
