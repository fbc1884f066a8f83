/**
 * Rules between the keys of `adapters`, and between them and the target. In: a scenario as plain data, perhaps a wrong one;
 * out: reports of what cannot go together, each with what would be accepted.
 */
import { axisValues, isObject, type Plain } from './plain-data.ts';
import { type Path, shown } from './problems.ts';

export type Report = (path: Path, text: string, unsupported?: boolean) => void;

const valuesOf = (plain: Plain, key: string) => axisValues(plain, ['adapters', key]);

export function adapterRules(plain: Plain, onEngine: boolean, report: Report): void {
  const { adapters } = plain;
  if (!isObject(adapters)) return;
  countAndRank(plain, adapters, onEngine, report);
  mixes(plain, report);
  popularities(plain, report);
  names(adapters['names'], report);
  if (Array.isArray(adapters['modules'])) noneTwice(adapters['modules'], ['adapters', 'modules'], report);
  mergedRules(plain, report);
  if (!onEngine) endpointRules(plain, report);
}

function countAndRank(plain: Plain, adapters: Plain, onEngine: boolean, report: Report): void {
  const counts = valuesOf(plain, 'count');
  if (counts.length === 0) report(['adapters'], 'count is missing; expected a number of adapters, or a list of such');
  if (adapters['rank'] !== undefined) return;
  const some = counts.some(({ value }) => typeof value === 'number' && value > 0);
  if (some && onEngine) report(['adapters'], 'rank is missing; expected a rank such as 16, or a list of such');
  if (isObject(adapters['names'])) report(['adapters', 'names'], 'names are given by rank, but rank is missing');
}

function mixes(plain: Plain, report: Report): void {
  for (const key of ['rank', 'kind']) {
    for (const { path, value } of valuesOf(plain, key)) {
      if (isObject(value) && isObject(value['mix']) && Object.keys(value['mix']).length === 0) {
        report(path, `expected at least one ${key} in the mix`);
      }
    }
  }
}

function popularities(plain: Plain, report: Report): void {
  for (const { path, value } of valuesOf(plain, 'popularity')) {
    if (isObject(value) && Object.keys(value).length === 0)
      report(path, 'expected at least one adapter with its weight');
    if (typeof value === 'string' && /^zipf\([0.]+\)$/.test(value))
      report(path, 'expected an exponent above 0; 0 is uniform');
  }
}

function names(value: unknown, report: Report): void {
  const lists = Array.isArray(value) ? [value] : isObject(value) ? Object.values(value) : [];
  noneTwice(lists.flat(), ['adapters', 'names'], report);
}

function noneTwice(values: readonly unknown[], path: Path, report: Report): void {
  const seen = new Set<unknown>();
  for (const value of values) {
    if (seen.has(value)) report(path, `${shown(value)} is listed twice`);
    seen.add(value);
  }
}

/** A server with an adapter in its weights has that one and no base. */
function mergedRules(plain: Plain, report: Report): void {
  const modes = valuesOf(plain, 'mode').map(({ value }) => value);
  if (!modes.includes('merged')) return;
  for (const { path, value } of valuesOf(plain, 'count')) {
    if (typeof value !== 'number' || value <= 1) continue;
    report(path, `mode merged folds one adapter into the weights; expected 1 (or 0, the base alone), found ${value}`);
  }
  for (const { path, value } of valuesOf(plain, 'base_share')) {
    if (typeof value !== 'number' || value === 0) continue;
    report(path, `mode merged leaves no base model to ask; expected 0, found ${value}`);
  }
  if (modes.some((mode) => mode !== 'merged')) return;
  for (const { path, value } of valuesOf(plain, 'residency')) {
    if (isCold(value)) {
      report(path, `mode merged has its adapter in the weights; expected warm, or leave it out, found ${shown(value)}`);
    }
  }
}

const isCold = (value: unknown): boolean => value === 'cold_host' || value === 'cold_disk';

/** A server that runs already decides where its adapters are; kind and modules only say what they are called here. */
function endpointRules(plain: Plain, report: Report): void {
  for (const { path, value } of valuesOf(plain, 'mode')) {
    if (value !== 'merged') continue;
    report(
      path,
      'merged is for the engine: nothing can be folded into a running server. To measure a deployment that was ' +
        'merged before it started, name its URL with adapters.count 0; expected dynamic (--set adapters.mode=dynamic)',
    );
  }
  for (const { path, value } of valuesOf(plain, 'residency')) {
    if (!isCold(value)) continue;
    report(
      path,
      `${String(value)} is for the engine: how another server moves its adapters is not known; expected warm ` +
        '(--set adapters.residency=warm), or leave it out',
    );
  }
}
