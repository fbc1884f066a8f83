/**
 * The `gate` block as the gate works with it: defaults are in, and each threshold still knows where it is written, since what is
 * wrong with it is found only where metrics and cells are known (gate/threshold.ts, gate/check-plan.ts).
 */
import type { ResolvedScenario } from './defaults.ts';
import { childOf, type Located, type Place, placeOf } from './located.ts';
import type { ScenarioGate } from './scenario.ts';

export function gateOf(gate: ResolvedScenario['gate'], tree: Located): ScenarioGate | null {
  if (gate === undefined) return null;
  return {
    thresholds: gate.thresholds.map((value, i) => {
      const path = ['gate', 'thresholds', i];
      const node = path.reduce<Located | undefined>((parent, key) => childOf(parent, key)?.value, tree);
      return { value, place: placeOf(tree, path), parts: partsOf(node, '') };
    }),
    onInconclusive: gate.on_inconclusive,
    alpha: gate.alpha,
    looks: gate.looks,
  };
}

/** Where each value of a mapping stands, by its path: "metric", "at.adapters". */
function partsOf(node: Located | undefined, path: string): Record<string, Place> {
  if (node?.kind !== 'map') return {};
  const parts: Record<string, Place> = {};
  for (const [key, { value }] of node.entries) {
    parts[path + key] = value.at;
    Object.assign(parts, partsOf(value, `${path}${key}.`));
  }
  return parts;
}
