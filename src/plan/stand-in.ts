/** Whether a plan runs scaled-down models in the place of big ones, and why: the report says so on its first line. */
import { geometryIn, type TargetFacts } from './facts.ts';
import type { StandIn } from './plan.ts';

/** null when every model is the real size, or the target is an endpoint, whose models are what they are. */
export function standInOf(models: readonly string[], facts: TargetFacts): StandIn | null {
  if (facts.kind === 'endpoint') return null;
  const scaled = models.flatMap((model) => {
    const standIn = geometryIn(facts, model)?.standIn ?? null;
    return standIn === null ? [] : [standIn];
  });
  if (scaled.length === 0) return null;
  const distinct = (values: string[]) => [...new Set(values)].join(', ');
  return {
    for: distinct(scaled.map((one) => one.for)),
    scale: distinct(scaled.map((one) => one.scale)),
    why: facts.software
      ? `no GPU was found; ${facts.deviceName} computes on the CPU, which is too slow for the full model`
      : 'the scenario asks for it',
  };
}
