/**
 * tpot: (last content - first content) / (tokens - tokens in the first chunk), one sample a request. Unit ms.
 *
 * What GenAI-Perf calls inter-token latency and AIPerf exports as `inter_token_latency`, except that they take one token
 * off whatever the first chunk carried. A request whose tokens all came in the first chunk has none (undefined, not 0)
 * and is left out. Where tokens per chunk are unknown the metric is unavailable. A failed or cancelled request is
 * censored at the time it had been streaming, spread over every token it asked for.
 */
import type { RequestRecord } from '../result/schema.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { tpotBoundOf, tpotOf } from './request-times.ts';
import { Samples } from './samples.ts';

export const TOKENS_UNKNOWN =
  'tokens per chunk are unknown: the server sends no running usage, no tokenizer is set, and its chunks are not one token each';

/** null where a request that succeeded has tokens that can't be attributed. */
export function tpotSamples(records: readonly RequestRecord[]): Samples | null {
  const samples = new Samples();
  for (const record of records) {
    if (record.outcome === 'ok') {
      const tpot = tpotOf(record);
      if (tpot.kind === 'unknown') return null;
      if (tpot.kind === 'value') samples.see(tpot.ns);
    } else {
      samples.censor(tpotBoundOf(record));
    }
    samples.endRequest();
  }
  return samples;
}

export const tpot: Metric = {
  name: 'tpot',
  title: 'Time per output token',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: "A request's mean time between tokens after its first content.",
  compute({ steady }) {
    const samples = tpotSamples(steady);
    return samples === null ? unavailable('ms', TOKENS_UNKNOWN) : distributionOf(samples, MILLISECONDS);
  },
};
