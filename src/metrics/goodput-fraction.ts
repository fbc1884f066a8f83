/**
 * goodput_fraction: requests that met every SLO, as a share of all that were issued. Unit ratio, 0..1; the count is the
 * requests issued.
 *
 * Failed and cancelled requests are in the denominator: they met nothing. Over the whole run, ramp and drain included.
 */
import { type Metric, unavailable } from './metric.ts';
import { goodOf, NO_SLO } from './slo-met.ts';
import { TOKENS_UNKNOWN } from './tpot.ts';

export const goodputFraction: Metric = {
  name: 'goodput_fraction',
  title: 'Share of requests within the SLO',
  unit: 'ratio',
  better: 'higher',
  shape: 'scalar',
  description: 'Requests that met every service-level objective, of all that were issued.',
  compute({ records, slo }) {
    if (slo === null) return unavailable('ratio', NO_SLO);
    if (records.length === 0) return unavailable('ratio', 'no request was issued');
    const good = goodOf(records, slo);
    if (good === null) return unavailable('ratio', TOKENS_UNKNOWN);
    return { unit: 'ratio', count: records.length, value: good.length / records.length };
  },
};
