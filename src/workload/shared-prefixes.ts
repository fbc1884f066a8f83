/**
 * What prompts of a cell begin with alike, as those with a system prompt do. In: how many prefixes there are and whether each
 * adapter has its own; out: a function that gives the next request's, drawn with equal shares.
 *
 * Each prefix has the nonce in it and its exact tokens; within a run it is one text. Adapters count by their place in the
 * cell, not by their name, so that two servers get the same load.
 */
import type { Cell, SharedPrefix } from '../plan/plan.ts';
import type { PromptSource } from './prompts.ts';
import { rngOf } from './rng.ts';

export function sharedPrefixes(
  { adapters }: Pick<Cell, 'adapters'>,
  { tokens, groups, perAdapter }: SharedPrefix,
  seed: number,
  made: PromptSource,
): (adapter: string | null) => string {
  const rng = rngOf(seed, 'prefix groups');
  const places = new Map(adapters.map(({ name }, place) => [name, place + 1]));
  const known = new Map<number, string>();
  return (adapter) => {
    const group = groups === 1 ? 0 : rng.below(groups);
    const owner = perAdapter && adapter !== null ? (places.get(adapter) ?? 0) : 0;
    const number = owner * groups + group;
    const text = known.get(number) ?? made.prompt('prefix', number, tokens);
    known.set(number, text);
    return text;
  };
}
