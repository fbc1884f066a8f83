/**
 * What a gate can detect, told before it runs and kept with its verdict. In: thresholds, looks, and how much each figure spreads
 * from pair to pair (from a calibration on this machine, or from the pairs themselves). Out: for each relative threshold the least
 * change that fails in four of five gates, and how many pairs it would take where twice its tolerance is not that much.
 */
import type { RelativeRule } from './compare.ts';
import type { CheckedThreshold } from './judgement.ts';
import { canShow, detectable, detectableChange, familySize, leastTolerance, pairsToShow } from './power.ts';
import type { GateRules } from './simulated.ts';
import { changeText } from './words.ts';

export interface ThresholdCapability {
  /** That of its CheckedThreshold. */
  id: string;
  /** Standard deviation of ln(B/A) from pair to pair. */
  sd: number;
  tolerance: number;
  /** Which way is worse. */
  direction: RelativeRule['direction'];
  /** Smallest true change for the worse that fails in 80% of gates, by the last look: 0.12 is 12%. */
  detects: number;
  /** The same by each look, of which that is the last. */
  byLook: { pairs: number; detects: number }[];
  /** The least tolerance of which twice as much is detected. */
  leastTolerance: number;
  /** Pairs with which twice its tolerance would be; null where the planned ones do. */
  pairsNeeded: number | null;
}

/** As it is told: "+12%", or "-12%" where less is worse. */
export const detectsText = ({ detects, direction }: Pick<ThresholdCapability, 'detects' | 'direction'>): string =>
  worseText(detects, direction);

/** A change of twice the tolerance, on the scale that is judged: 5% and again 5%. */
export const twiceToleranceText = ({ tolerance, direction }: ThresholdCapability): string =>
  worseText(direction === 'increase' ? (1 + tolerance) ** 2 - 1 : 1 - (1 - tolerance) ** 2, direction);

const worseText = (change: number, direction: RelativeRule['direction']): string =>
  changeText(direction === 'increase' ? change : -change);

export interface Capability {
  /** Where the spread is from. */
  from: 'calibration' | 'these runs';
  /** Thresholds x cells over which failures are corrected. */
  family: number;
  pairs: number;
  /** Of each relative threshold whose spread is known. */
  thresholds: ThresholdCapability[];
}

/** @param spread standard deviations of ln(B/A) by CheckedThreshold.id; those that are not in it stay unknown */
export function capabilityOf(
  thresholds: readonly CheckedThreshold[],
  spread: ReadonlyMap<string, number>,
  rules: GateRules,
  from: Capability['from'],
): Capability {
  const family = Math.max(1, familySize(thresholds));
  const found = spread.size === 0 ? [] : detectable(family, rules);
  const last = found.at(-1);
  const known = thresholds.flatMap(({ id, threshold: { rule } }): ThresholdCapability[] => {
    const sd = spread.get(id);
    if (rule.kind !== 'relative' || sd === undefined || last === undefined) return [];
    const { tolerance, direction } = rule;
    const of = { sd, tolerance, direction };
    return [
      {
        id,
        sd,
        tolerance,
        direction,
        detects: detectableChange(of, last),
        byLook: found.map((look) => ({ pairs: look.pairs, detects: detectableChange(of, look) })),
        leastTolerance: leastTolerance(of, last),
        pairsNeeded: canShow(of, last) ? null : pairsToShow(of, last),
      },
    ];
  });
  return { from, family, pairs: rules.looks.at(-1) ?? 0, thresholds: known };
}
