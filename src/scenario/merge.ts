/**
 * Lays one located tree over another: `without_gpu` over the scenario, and what `--endpoint` drops.
 *
 * Plain groups of keys (adapters, output, measure, ..) are merged key by key. A value that has several forms (target,
 * prompt, load, tokens, requests, ..) is replaced whole: half of one form and half of another would mean nothing.
 */
import type { Entry, LocatedMap } from './located.ts';

/** Groups whose keys are independent of each other. */
const MERGED_BY_KEY = new Set(['engine', 'adapters', 'output', 'request', 'measure', 'slo']);

/** The scenario with the overlay over it. `workload` and the pair of `prompt` and `output` are two forms of one thing. */
export function overlaid(base: LocatedMap, overlay: LocatedMap): LocatedMap {
  const entries = new Map(base.entries);
  if (overlay.entries.has('workload')) {
    entries.delete('prompt');
    entries.delete('output');
  } else if (overlay.entries.has('prompt') || overlay.entries.has('output')) {
    entries.delete('workload');
  }
  for (const [key, entry] of overlay.entries) {
    const under = entries.get(key);
    entries.set(key, MERGED_BY_KEY.has(key) && under ? byKey(under, entry) : entry);
  }
  return { ...base, entries };
}

function byKey(under: Entry, over: Entry): Entry {
  if (under.value.kind !== 'map' || over.value.kind !== 'map') return over;
  const entries = new Map([...under.value.entries, ...over.value.entries]);
  return { keyAt: over.keyAt, value: { ...under.value, entries } };
}

/** The scenario without some of its top-level keys. */
export function without(tree: LocatedMap, keys: readonly string[]): LocatedMap {
  return { ...tree, entries: new Map([...tree.entries].filter(([key]) => !keys.includes(key))) };
}
