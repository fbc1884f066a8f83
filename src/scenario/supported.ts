/**
 * What the format knows and this version does not do: refused by name, never ignored. Each refusal says what is accepted
 * instead. In: a scenario as plain data with the tree it came from; out: problems marked `unsupported`.
 */
import { PRESETS } from '../../engine/models/geometry.ts';
import type { Located } from './located.ts';
import { type Path, type Problem, problemAt, shown } from './problems.ts';
import { TOKENIZER_PRESETS } from './tokenizers.ts';

type Plain = Record<string, unknown>;

const isObject = (value: unknown): value is Plain =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** The values of an axis with their paths: the entries of a list, or the one value. */
export function axisValues(plain: Plain, path: readonly string[]): { path: Path; value: unknown }[] {
  const value = path.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), plain);
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map((item, i) => ({ path: [...path, i], value: item })) : [{ path, value }];
}

const WEIGHTS_LATER = ['int8', 'int4'];
const KINDS_LATER = ['dora', 'vera', 'tied'];

export function unsupportedIn(plain: Plain, tree: Located): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Path, what: string, accepted: string) =>
    problems.push({ ...problemAt(tree, path, `${what} not supported yet; accepted: ${accepted}`), unsupported: true });
  const refuseValues = (path: string[], isLater: (value: unknown) => boolean, accepted: string) => {
    for (const { path: at, value } of axisValues(plain, path)) {
      if (isLater(value)) refuse(at, `${shown(value)} is`, accepted);
    }
  };

  refuseValues(['weights'], (value) => WEIGHTS_LATER.includes(value as string), 'f16');
  refuseValues(['adapters', 'kind'], (value) => KINDS_LATER.includes(value as string) || isMix(value), 'lora');
  refuseValues(['adapters', 'mode'], (value) => value === 'merged', 'dynamic');
  const { adapters, prompt, load, target } = plain;
  if (isObject(adapters)) {
    if (adapters['residency'] !== undefined) {
      const accepted = 'leave it out (every adapter is loaded before the run and stays)';
      refuse(['adapters', 'residency'], 'choosing the residency is', accepted);
    }
    if (Array.isArray(adapters['modules'])) refuse(['adapters', 'modules'], 'a list of modules is', 'all');
  }
  if (isObject(prompt)) {
    for (const key of ['dataset', 'trace']) {
      if (prompt[key] !== undefined) refuse(['prompt', key], `a ${key} is`, '{tokens: ..}');
    }
  }
  if (isObject(load)) {
    if (load['trace'] !== undefined)
      refuse(['load', 'trace'], 'replaying a trace is', '{concurrency: ..} or {rate: ..}');
    if (typeof load['arrivals'] === 'string' && /^gamma\(/.test(load['arrivals'])) {
      refuse(['load', 'arrivals'], `${load['arrivals']} is`, 'poisson, constant');
    }
  }
  if (plain['gate'] !== undefined) refuse(['gate'], 'a gate is', 'leave it out');
  if (isObject(target)) {
    if (target['command'] !== undefined) refuse(['target', 'command'], 'starting a server is', 'engine or {url: ..}');
    const tokenizer = target['tokenizer'];
    if (typeof tokenizer === 'string' && !TOKENIZER_PRESETS.includes(tokenizer)) {
      const kind = PRESETS[tokenizer] === undefined ? "a directory, or the server's" : 'not in this package';
      refuse(['target', 'tokenizer'], `the tokenizer ${shown(tokenizer)} (${kind}) is`, TOKENIZER_PRESETS.join(', '));
    }
  }
  return problems;
}

const isMix = (value: unknown): boolean => isObject(value) && isObject(value['mix']);
