/**
 * The latencies of each adapter apart, and of the base model. In: a run's requests, and those of them that count in
 * latencies. Out: by name, how many were issued, ttft and tpot, with histograms of two digits: there may be hundreds of
 * adapters.
 */
import { ADAPTER_DIGITS } from '../recorder/histogram.ts';
import type { RequestRecord, RunResult } from '../result/schema.ts';
import { distributionOf, MILLISECONDS } from './distribution.ts';
import { unavailable } from './metric.ts';
import { TOKENS_UNKNOWN, tpotSamples } from './tpot.ts';
import { ttftSamples } from './ttft.ts';

/** Stands for requests that name no adapter; no server allows such a name for one. */
export const BASE_MODEL = '(base)';

export function byAdapter(records: readonly RequestRecord[]): Map<string, RequestRecord[]> {
  const byName = new Map<string, RequestRecord[]>();
  for (const record of records) {
    const name = record.adapter ?? BASE_MODEL;
    const own = byName.get(name);
    if (own === undefined) byName.set(name, [record]);
    else own.push(record);
  }
  return byName;
}

export function perAdapterOf(
  records: readonly RequestRecord[],
  steady: readonly RequestRecord[],
): RunResult['perAdapter'] {
  const issued = byAdapter(records);
  const counted = byAdapter(steady);
  const scale = { ...MILLISECONDS, digits: ADAPTER_DIGITS };
  return Object.fromEntries(
    [...issued.keys()].sort().map((name) => {
      const own = counted.get(name) ?? [];
      const tpot = tpotSamples(own);
      return [
        name,
        {
          count: issued.get(name)?.length ?? 0,
          ttft: distributionOf(ttftSamples(own), scale),
          tpot: tpot === null ? unavailable('ms', TOKENS_UNKNOWN) : distributionOf(tpot, scale),
        },
      ];
    }),
  );
}
