/**
 * sha256 of plain data, independent of the order in which keys were written: equal meaning gives an equal hash.
 * Used for scenario and plan hashes, and to derive seeds that survive edits elsewhere in a scenario.
 */
import { createHash } from 'node:crypto';

/** JSON with the keys of every object sorted; undefined members are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** Hex digest, 64 characters. */
export const sha256Of = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');
