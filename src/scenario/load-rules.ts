/**
 * Rules between `load`, `prompt` and `measure`. In: a scenario as plain data, perhaps a wrong one; out: reports of what
 * cannot go together, each with what would be accepted.
 */
import type { Report } from './adapter-rules.ts';
import { axisValues, isObject, type Plain } from './plain-data.ts';

/** Below it nearly every gap is none at all: a hundred requests at once, then a pause of a hundred. */
const SMALLEST_SHAPE = 0.01;

export function loadRules(plain: Plain, report: Report): void {
  arrivals(plain, report);
  replay(plain, report);
  runLength(plain, report);
  sharedPrefix(plain, report);
}

function arrivals({ load }: Plain, report: Report): void {
  const value = isObject(load) ? load['arrivals'] : undefined;
  const shape = typeof value === 'string' ? /^gamma\(([\d.]+)\)$/.exec(value)?.[1] : undefined;
  if (shape === undefined || Number(shape) >= SMALLEST_SHAPE) return;
  report(['load', 'arrivals'], `expected a shape of at least ${SMALLEST_SHAPE}, such as gamma(0.5), found "${value}"`);
}

function replay({ load, prompt }: Plain, report: Report): void {
  if (!isObject(load) || load['trace'] === undefined) return;
  if (isObject(prompt) && prompt['trace'] !== undefined) return;
  report(['load', 'trace'], "replays the times of the prompts' trace; expected prompt: {trace: FILE} beside it");
}

function runLength({ measure, load }: Plain, report: Report): void {
  const requests = isObject(measure) ? measure['requests'] : undefined;
  if (!isObject(load) || !isObject(requests) || requests['at_least'] !== undefined) return;
  const path = ['measure', 'requests'];
  if (load['rate'] !== undefined) {
    report(path, 'an open loop has no concurrency; expected a number of requests, a duration, or at_least');
  } else if (load['trace'] !== undefined) {
    report(
      path,
      'a replayed trace has no concurrency; expected a number of requests, a duration, or nothing: all of it',
    );
  }
}

/** Every prompt has at least one token of its own behind the prefix. */
function sharedPrefix(plain: Plain, report: Report): void {
  const { prompt } = plain;
  const shared = isObject(prompt) ? prompt['shared_prefix'] : undefined;
  const tokens = isObject(shared) ? shared['tokens'] : undefined;
  if (typeof tokens !== 'number') return;
  for (const { path, value } of axisValues(plain, ['prompt', 'tokens'])) {
    const shortest = shortestOf(value);
    if (shortest === null || shortest > tokens) continue;
    const where = isObject(value) ? `draws reach down to ${shortest}; expected min` : `found ${shortest}; expected`;
    report(path, `a prompt must be longer than the prefix it shares (shared_prefix.tokens): ${where} above ${tokens}`);
  }
}

function shortestOf(tokens: unknown): number | null {
  if (typeof tokens === 'number') return tokens;
  if (!isObject(tokens)) return null;
  const range = isObject(tokens['uniform']) ? tokens['uniform'] : tokens;
  const min = range['min'] ?? 1;
  return typeof min === 'number' ? min : null;
}
