/**
 * Where a request's adapter was when it came, as far as the server says. In: a record. Out: cold, warm, or not known.
 *
 * Cold is what was not on the device: in host memory, or in its file only. A request for the base model is neither. Of one
 * that failed before the server told its timings nothing is known.
 */
import type { RequestRecord } from '../result/schema.ts';

export type Warmth = 'cold' | 'warm' | 'unknown' | 'none';

export function warmthOf({ adapter, timings }: RequestRecord): Warmth {
  if (adapter === null) return 'none';
  if (timings === null) return 'unknown';
  // A server with the adapter in its weights knows of none.
  if (timings.adapter_tier === null) return 'none';
  return timings.adapter_tier === 'device' ? 'warm' : 'cold';
}

/** For a run in which nothing is known of any request that had one. */
export const TIERS_UNKNOWN = 'the server does not say where adapters were when requests came';
export const NO_COLD = 'no request came for an adapter that was not on the device';
export const NO_WARM = 'no request came for an adapter that was on the device';
export const NO_ADAPTER = 'no request had an adapter to wait for';

/** Why there is no figure of that warmth; null when some request that succeeded has one. */
export function missingWarmth(records: readonly RequestRecord[], wanted: 'cold' | 'warm'): string | null {
  const known = records.map(warmthOf).filter((warmth) => warmth !== 'none');
  if (known.includes(wanted)) return null;
  if (known.length === 0) return NO_ADAPTER;
  if (known.every((warmth) => warmth === 'unknown')) return TIERS_UNKNOWN;
  return wanted === 'cold' ? NO_COLD : NO_WARM;
}
