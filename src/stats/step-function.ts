/**
 * A quantity that changes at moments and holds between them: requests in flight, distinct adapters in flight.
 *
 * In: changes (+1, -1) at times in any order. Out: its value over time, its mean over a span, the first time it reaches
 * a level. Changes at one moment are applied together, ends and starts alike.
 */
export interface Change {
  at: number;
  by: number;
}

export interface Step {
  from: number;
  value: number;
}

/** Steps in order of time; the value is 0 before the first, and each holds until the next. */
export function stepsOf(changes: readonly Change[]): Step[] {
  const inOrder = [...changes].sort((a, b) => a.at - b.at);
  const steps: Step[] = [];
  let value = 0;
  for (const { at, by } of inOrder) {
    value += by;
    const last = steps.at(-1);
    if (last !== undefined && last.from === at) last.value = value;
    else steps.push({ from: at, value });
  }
  return steps;
}

/** Time-weighted mean over [from, to). @throws RangeError when the span is empty */
export function meanOver(steps: readonly Step[], from: number, to: number): number {
  if (!(to > from)) throw new RangeError(`a mean needs a span, not ${from}..${to}`);
  let area = 0;
  for (let i = placeAt(steps, from); i < steps.length; i++) {
    const step = steps[i] as Step;
    if (step.from >= to) break;
    const until = Math.min(to, steps[i + 1]?.from ?? to);
    const since = Math.max(from, step.from);
    if (until > since) area += step.value * (until - since);
  }
  return area / (to - from);
}

/** The last step that starts at `time` or before; the first where none does. */
function placeAt(steps: readonly Step[], time: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((steps[middle] as Step).from <= time) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** When the value first reaches `level`; null if it never does. */
export function firstReach(steps: readonly Step[], level: number): number | null {
  return steps.find(({ value }) => value >= level)?.from ?? null;
}
