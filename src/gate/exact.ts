/**
 * A counter that has to be the same. In: what either side counted in a cell. Out: whether it is the same number. There is no
 * noise in it, so one run a side is enough and nothing is tolerated; which is why only like is compared with like: the same
 * plan, and the same device and kernels (runs[].exactFor).
 */
import type { RunResult } from '../result/schema.ts';
import { comparableSessions } from './against-sessions.ts';
import { type Case, type Evidence, NO_FIGURES, withheld } from './evidence.ts';
import { exactWords } from './words.ts';

export function exact(one: Case): Evidence {
  const { checked, input, pairs } = one;
  const reference = referenceOf(one);
  if (typeof reference === 'string') return withheld('invalid', reference);
  const name = checked.threshold.metric;
  const a = countedOf(reference, name);
  const b = countedOf(
    pairs.flatMap((pair) => pair.b ?? []),
    name,
  );
  const missing = a.length === 0 ? 'reference' : b.length === 0 ? 'candidate' : null;
  if (missing !== null) return withheld('no-data', `${name} was not counted on the ${missing}`);
  const unlike = whyUnlike(a, b);
  if (unlike !== null) return withheld('invalid', unlike);
  if (![...a, ...b].every(({ value }) => Number.isFinite(value))) {
    return withheld('invalid', `${name} is no number in one of the runs`);
  }
  const wanted = a[0]!.value;
  const other = a.find(({ value }) => value !== wanted);
  if (other !== undefined) {
    const words = `${name} differs within the reference itself (${wanted} and ${other.value}), so it is not exact there`;
    return withheld('invalid', words);
  }
  const found = b.find(({ value }) => value !== wanted)?.value ?? wanted;
  const change = found === wanted ? 0 : wanted === 0 ? null : found / wanted - 1;
  return {
    kind: 'settled',
    outcome: found === wanted ? 'pass' : 'fail',
    figures: { ...NO_FIGURES, a: wanted, b: found, change, pairs: Math.min(a.length, b.length) },
    words: exactWords(name, wanted, found, input.mode),
  };
}

interface Counted {
  value: number;
  /** The device and kernels it belongs to; null where that is not known. */
  validFor: string | null;
}

const countedOf = (runs: readonly RunResult[], name: string): Counted[] =>
  runs.flatMap(({ exact, exactFor }) => {
    const value = exact[name];
    return value === undefined ? [] : [{ value, validFor: exactFor ?? null }];
  });

/** Runs to compare with; else why there is nothing alike. */
function referenceOf({ checked, input, pairs }: Case): readonly RunResult[] | string {
  const { arms, mode } = input;
  if (mode === 'baseline') {
    const sessions = comparableSessions(input);
    return typeof sessions === 'string' ? sessions : sessions.flatMap(({ runs }) => runs[checked.cell] ?? []);
  }
  if (arms.A === null) return 'there is no reference to compare with';
  if (arms.A.planHash !== arms.B.planHash) return 'exact counters are compared for the same plan only';
  return pairs.flatMap(({ a }) => a ?? []);
}

function whyUnlike(a: readonly Counted[], b: readonly Counted[]): string | null {
  const [first] = a;
  const other = [...a, ...b].find(({ validFor }) => validFor === null || validFor !== first?.validFor);
  if (other === undefined) return null;
  const [had, has] = [first?.validFor ?? 'unknown ones', other.validFor ?? 'unknown ones'];
  return `exact counters are compared for the same device and kernels only: the reference has ${had}, the candidate ${has}`;
}
