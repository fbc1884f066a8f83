/**
 * Which of an endpoint's models is measured, and with which adapters. In: what the endpoint lists, and what is asked for.
 * Out: names, or a sentence that says what there is instead. Pure.
 *
 * A list tells an adapter by its parent (vLLM, SGLang, NIM 2, the engine). Where no model has one, only the user knows, and
 * the adapters that he names are not taken for base models.
 */
import { BenchError } from '../errors.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import type { AdapterLoad, EndpointFacts } from './endpoint-probe.ts';

/**
 * The model to measure: the one asked for, or the only base model.
 * @param adapters those that scenario or flags name
 * @param flag the one that names a model
 * @throws BenchError that lists those it has
 */
export function chooseModel(
  facts: EndpointFacts,
  asked: string | null,
  adapters: readonly string[] = [],
  flag = '--model',
): string {
  const { baseUrl, baseModels } = facts;
  const all = [...baseModels, ...facts.adapters.map(({ name }) => name)];
  if (asked !== null) {
    if (all.includes(asked)) return asked;
    throw new BenchError('PLAN_INVALID', `${baseUrl} does not serve "${asked}"; it has ${listed(all)}`);
  }
  const candidates = baseModels.filter((name) => !adapters.includes(name));
  if (candidates.length === 1) return candidates[0]!;
  if (candidates.length > 1 && facts.adapters.length === 0) {
    throw new BenchError(
      'PLAN_INVALID',
      `${baseUrl} serves ${listed(candidates)}, and does not say which of them are adapters (none has a parent)`,
      { hint: `name the base model with ${flag} NAME, and the adapters with --adapters a,b or adapters.names` },
    );
  }
  const what = candidates.length === 0 ? 'no base model' : listed(candidates);
  throw new BenchError('PLAN_INVALID', `${baseUrl} serves ${what}`, { hint: `choose with ${flag} NAME` });
}

/** Adapters of this base model. Where there is one base model, all are its own, however the server names the parent. */
export function adaptersOf(facts: EndpointFacts, model: string): string[] {
  const own = facts.adapters.filter(({ parent }) => facts.baseModels.length === 1 || parent === model);
  return own.map(({ name }) => name);
}

/** Those that are not on the server, and are to be loaded onto it. */
export function toBeLoaded(facts: EndpointFacts, names: readonly string[], load: AdapterLoad | null): string[] {
  const there = new Set([...facts.baseModels, ...facts.adapters.map(({ name }) => name)]);
  return names.filter((name) => !there.has(name) && load !== null && load.pathOf(name) !== null);
}

/**
 * Adapters that the scenario or a flag names must be there, or be loadable, and be this model's. A server that lists none of
 * them, nor any other, may still serve them by name; what the first requests meet then tells.
 * @throws BenchError that names those it lacks and lists those it has
 */
export function requireAdapters(
  facts: EndpointFacts,
  model: string,
  names: readonly string[],
  load: AdapterLoad | null = null,
): void {
  const parentOf = new Map(facts.adapters.map(({ name, parent }) => [name, parent]));
  const there = new Set([...facts.baseModels, ...parentOf.keys()]);
  const listsAdapters = parentOf.size > 0 || names.some((name) => name !== model && there.has(name));
  const loaded = new Set(toBeLoaded(facts, names, load));
  const missing = names.filter((name) => !there.has(name) && !loaded.has(name));
  if (missing.length > 0 && (listsAdapters || load !== null)) throw lacking(facts, model, missing, load);
  // A parent that is no model of the server's (a path, say) cannot be held against anyone.
  const own = adaptersOf(facts, model);
  const foreign = names.find((name) => !own.includes(name) && facts.baseModels.includes(parentOf.get(name) ?? ''));
  if (foreign !== undefined) {
    throw new BenchError(
      'PLAN_INVALID',
      `adapter ${foreign} belongs to ${parentOf.get(foreign)}, not to ${model}, whose adapters are ${listed(own)}`,
      { hint: 'measure one model at a time, or leave the names out: each model then gets its own adapters' },
    );
  }
}

function lacking(facts: EndpointFacts, model: string, missing: string[], load: AdapterLoad | null): BenchError {
  const own = adaptersOf(facts, model);
  const all = facts.adapters.length > 0 ? facts.adapters.map(({ name }) => name) : facts.baseModels;
  const unloadable = load === null ? '' : ', and nothing says where it could load them from';
  const message = `${facts.baseUrl} has no adapter ${missing.join(', ')}${unloadable}; it has ${listed(all)}`;
  // "base:adapter" is how SGLang's clients write it; here the base model is named apart.
  const bare = missing.find((name) => name.startsWith(`${model}:`))?.slice(model.length + 1);
  const near = bare ?? missing.map((name) => didYouMean(name, own)).find((name) => name !== null);
  return new BenchError(
    'PLAN_INVALID',
    message,
    near === undefined || near === null ? {} : { hint: `did you mean ${near}?` },
  );
}

const SHOWN = 20;
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names.slice(0, SHOWN).join(', ')}${more}`;
}
