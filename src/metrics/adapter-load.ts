/**
 * adapter_load: time a request was held up because its adapter was not on the device (timings.adapter_ms). Unit ms; the
 * count is the requests that came for an adapter in host memory or in its file.
 *
 * Of every request issued: cold starts come at the start of a run, which steady state leaves out.
 *
 * It is what the request waited, not what the loading took: several requests may wait for one load, and a load overlaps
 * with steps that others run (timings.adapter_load_ms is the work alone). Warm requests are left out, where it is 0 by
 * definition. One that failed before the server told its timings may have waited any time: it is censored at 0 where cold
 * requests were seen. Unavailable where the server says nothing, and where no request was cold.
 */
import { missingWarmth, warmthOf } from './adapter-tier.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { type Metric, unavailable } from './metric.ts';
import { samplesOf } from './samples.ts';

export const adapterLoad: Metric = {
  name: 'adapter_load',
  title: 'Adapter load',
  unit: 'ms',
  better: 'lower',
  shape: 'distribution',
  description: 'How long requests waited for an adapter that was not on the device.',
  compute({ records }) {
    const missing = missingWarmth(records, 'cold');
    if (missing !== null) return unavailable('ms', missing);
    const samples = samplesOf(records, (record, into) => {
      const warmth = warmthOf(record);
      if (warmth === 'cold') into.see((record.timings?.adapter_ms ?? 0) * 1e6);
      else if (warmth === 'unknown') into.censor(0);
    });
    return distributionOf(samples, MILLISECONDS);
  },
};
