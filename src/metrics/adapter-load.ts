/**
 * adapter_load: time a request waited for its adapter to be brought into device memory. Unit ms.
 *
 * Every adapter is loaded before a run starts, so there is no such wait to measure: the metric says so instead of 0.
 */
import { type Metric, unavailable } from './metric.ts';

export const adapterLoad: Metric = {
  name: 'adapter_load',
  title: 'Adapter load',
  unit: 'ms',
  better: 'lower',
  description: 'How long requests waited for their adapter to be loaded.',
  compute: () => unavailable('ms', 'adapters are loaded before the run; none is loaded on demand'),
};
