/**
 * What must not be set side by side: other models, other stand-ins, other plans. In: both sides. Out: nothing, or a refusal that
 * names the first thing in which they differ, as the scenario calls it where it does.
 */
import { BenchError } from '../../errors.ts';
import type { At } from '../../plan/plan.ts';
import type { Comparable } from '../../result/comparable.ts';

/** Parts of a scenario that make its load, in its order; targets, names and thresholds may differ. */
const LOAD = ['models', 'weights', 'adapters', 'prompt', 'output', 'workload', 'load', 'request', 'measure'] as const;

/** @throws BenchError USAGE where they are of different plans or models, or partly the same */
export function refuseUnlike(a: Comparable, b: Comparable): void {
  const refuse = (why: string, hint: string) => {
    throw new BenchError('USAGE', `${a.from} and ${b.from} cannot be compared: ${why}`, { hint });
  };
  const shared = a.arm === b.arm ? a.sessions.find((session) => b.sessions.includes(session)) : undefined;
  if (shared !== undefined)
    refuse(`session ${shared} is on both sides`, 'a measurement differs from itself in nothing');
  if (a.model !== null && b.model !== null && a.model !== b.model) {
    refuse(
      `one is of ${a.model}, the other of ${b.model}`,
      'a difference between models says nothing of either server',
    );
  }
  if (a.standIn !== b.standIn) {
    const of = ({ standIn }: Comparable) => (standIn === null ? 'the model itself' : `a stand-in, ${standIn}`);
    refuse(`one is of ${of(a)}, the other of ${of(b)}`, 'measure both on the same kind of device');
  }
  if (a.planHash === null || b.planHash === null) {
    if (a.cells.length !== 1 || b.cells.length !== 1) {
      refuse(
        'an export of AIPerf is one cell, and the other side has several',
        'name the export of one cell: FOLDER/aiperf/CELL/profile_runs/run_0001',
      );
    }
    const [x, y] = [a.cells[0]?.at?.concurrency ?? null, b.cells[0]?.at?.concurrency ?? null];
    if (x !== null && y !== null && x !== y) {
      refuse(`one has concurrency ${x}, the other ${y}`, 'put the same load on both');
    }
  } else if (a.planHash !== b.planHash) {
    refuse(`their plans differ: ${differenceOf(a, b)}`, 'run the same scenario, with the same --set, on both');
  }
}

function differenceOf(a: Comparable, b: Comparable): string {
  const path = LOAD.map((part) => firstDifference(valueAt(a.scenario, part), valueAt(b.scenario, part), part)).find(
    (found) => found !== null,
  );
  if (path) return path;
  if (a.cells.length !== b.cells.length) return `one has ${a.cells.length} cells, the other ${b.cells.length}`;
  for (const [i, cell] of a.cells.entries()) {
    const [x, y] = [cell.at, b.cells[i]?.at];
    if (!x || !y) continue;
    const axis = (Object.keys(x) as (keyof At)[]).find((one) => x[one] !== y[one]);
    if (axis !== undefined) return `${cell.key} has ${axis} ${told(x[axis])} in one, ${told(y[axis])} in the other`;
  }
  return 'in what is sent: the content of a file, a tokenizer, or the version of bench that planned them';
}

/** "measure.requests is 100 in one, 200 in the other"; null where they are the same. Names of adapters are no difference. */
function firstDifference(a: unknown, b: unknown, path: string): string | null {
  if (JSON.stringify(a) === JSON.stringify(b) || path === 'adapters.names') return null;
  if (!isMap(a) || !isMap(b)) return `${path} is ${told(a)} in one, ${told(b)} in the other`;
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.map((key) => firstDifference(a[key], b[key], `${path}.${key}`)).find((found) => found !== null) ?? null;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const valueAt = (scenario: unknown, key: string): unknown => (isMap(scenario) ? scenario[key] : undefined);

/** Short enough for a sentence. */
function told(value: unknown): string {
  if (value === undefined || value === null) return 'not set';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
