/**
 * Every metric of a run, in the order in which reports show them. A new metric is a file and a line here.
 */
import { BenchError } from '../errors.ts';
import { activeAdapters } from './active-adapters.ts';
import { adapterFairness } from './adapter-fairness.ts';
import { adapterLoad } from './adapter-load.ts';
import { chunkGap } from './chunk-gap.ts';
import { e2e } from './e2e.ts';
import { errorRate } from './error-rate.ts';
import { goodput } from './goodput.ts';
import { goodputFraction } from './goodput-fraction.ts';
import { inputTokens } from './input-tokens.ts';
import { itl } from './itl.ts';
import type { Metric, MetricInfo } from './metric.ts';
import { outputTokens } from './output-tokens.ts';
import { outputTokensPerSecond } from './output-tokens-per-second.ts';
import { outputTokensPerSecondWholeRun } from './output-tokens-per-second-whole-run.ts';
import { requestsPerSecond } from './requests-per-second.ts';
import { sendLag } from './send-lag.ts';
import { serviceTtft } from './service-ttft.ts';
import { tokensPerChunk } from './tokens-per-chunk.ts';
import { tpot } from './tpot.ts';
import { tpotWorstAdapter } from './tpot-worst-adapter.ts';
import { ttfot } from './ttfot.ts';
import { ttft } from './ttft.ts';
import { ttftCold } from './ttft-cold.ts';
import { ttftWarm } from './ttft-warm.ts';
import { ttftWorstAdapter } from './ttft-worst-adapter.ts';

export const METRICS: readonly Metric[] = [
  ttft,
  ttftCold,
  ttftWarm,
  serviceTtft,
  sendLag,
  ttfot,
  tpot,
  itl,
  chunkGap,
  tokensPerChunk,
  e2e,
  outputTokensPerSecond,
  outputTokensPerSecondWholeRun,
  requestsPerSecond,
  goodput,
  goodputFraction,
  errorRate,
  activeAdapters,
  ttftWorstAdapter,
  tpotWorstAdapter,
  adapterFairness,
  adapterLoad,
  inputTokens,
  outputTokens,
];

const BY_NAME = new Map(METRICS.map((metric) => [metric.name, metric]));

/** What a reader must know of a metric. @throws BenchError USAGE for a name that is none */
export function metricInfo(name: string): MetricInfo {
  const metric = BY_NAME.get(name);
  if (metric !== undefined) return metric;
  throw new BenchError('USAGE', `There is no metric "${name}". Metrics are ${[...BY_NAME.keys()].join(', ')}.`);
}
