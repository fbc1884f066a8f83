/** What is known of one arm of a result, as far as figures of others may be held against it. In: a result. Out: ArmFacts. */
import type { Result } from '../result/schema.ts';
import type { Arm, ArmFacts } from './judgement.ts';

/** @param arm null where one target was measured */
export function armFactsOf(
  { planHash, machine, targets }: Pick<Result, 'planHash' | 'machine' | 'targets'>,
  arm: Arm | null,
): ArmFacts {
  const kinds = new Set(
    targets.filter((target) => arm === null || (target.arm ?? arm) === arm).map(({ kind }) => kind),
  );
  return {
    planHash,
    fingerprint: [machine.id, ...[...kinds].sort()].join(' '),
  };
}
