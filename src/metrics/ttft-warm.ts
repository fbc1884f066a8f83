/**
 * ttft_warm: ttft of requests whose adapter was on the device when they came. Unit ms.
 *
 * Of every request issued: cold starts come at the start of a run, which steady state leaves out. The engine says where it was (timings.adapter_tier); requests for the base model are in neither ttft_cold nor ttft_warm.
 * One that failed before the server told is censored at its end in both, since it may belong to either. Unavailable where
 * the server says nothing, and where no request was warm.
 */
import { missingWarmth, warmthOf } from './adapter-tier.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { ttftSamples } from './ttft.ts';

export const ttftWarm: Metric = {
  name: 'ttft_warm',
  title: 'Time to first token, warm adapter',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'Time to first token of requests whose adapter was on the device when they came.',
  compute({ records }) {
    const missing = missingWarmth(records, 'warm');
    if (missing !== null) return unavailable('ms', missing);
    const own = records.filter((record) => ['warm', 'unknown'].includes(warmthOf(record)));
    return distributionOf(ttftSamples(own), MILLISECONDS);
  },
};
