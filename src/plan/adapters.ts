/**
 * Which adapters a cell has: their names, ranks and seeds. In: rank and count of a cell, and what the target offers.
 * Out: planned adapters, or how many are lacking.
 *
 * The engine's are made for it, so they are named here by rank, kind and number ("r16-a3", "r16-dora-a1"): an adapter is
 * the same one in every cell that has it. An endpoint's come from the scenario's names or from what the server shows.
 */
import { type Geometry, servedRank } from '../../engine/models/geometry.ts';
import { BenchError } from '../errors.ts';
import type { Kinds, Rank, Scenario } from '../scenario/scenario.ts';
import type { EndpointModel, TargetFacts } from './facts.ts';
import type { PlannedAdapter } from './plan.ts';
import { dealtKinds, dealtRanks } from './ranks.ts';

export interface Shortage {
  model: string;
  rank: number | null;
  needed: number;
  names: string[];
}

export const isShortage = (found: PlannedAdapter[] | Shortage): found is Shortage => 'needed' in found;

/** Far more adapters of one rank than any server holds, so that seeds of different ranks never meet. */
const SEEDS_PER_RANK = 2 ** 16;

/**
 * The engine's adapters: "r16-a1", "r16-a2", .., "r16-dora-a1", ..; a seed belongs to a name for good. Kinds are dealt to the
 * adapters of each rank apart, so that a mix of both has every rank in every kind.
 */
export function engineAdapters(rank: Rank, kinds: Kinds, count: number, geometry: Geometry): PlannedAdapter[] {
  const kindOfNth = dealtKinds(kinds, count);
  const ofRank = new Map<number, number>();
  const ofName = new Map<string, number>();
  const next = <K>(counts: Map<K, number>, key: K): number => {
    const number = (counts.get(key) ?? 0) + 1;
    counts.set(key, number);
    return number;
  };
  return dealtRanks(rank, count).map((declared) => {
    const kind = kindOfNth[next(ofRank, declared) - 1]!;
    const name = `r${declared}${kind === 'lora' ? '' : `-${kind}`}-a`;
    const number = next(ofName, name);
    return {
      name: `${name}${number}`,
      rank: declared,
      servedRank: servedRank(geometry, declared),
      kind,
      seed: declared * SEEDS_PER_RANK + number,
    };
  });
}

type EndpointFacts = Extract<TargetFacts, { kind: 'endpoint' }>;

/** The first `count` adapters of an endpoint, by rank where the scenario names them so. */
export function endpointAdapters(
  scenario: Scenario,
  { name: model, adapters }: EndpointModel,
  rank: Rank | null,
  count: number,
): PlannedAdapter[] | Shortage {
  const names = scenario.adapters?.names ?? [];
  if (!Array.isArray(names)) return namedByRank(names, model, rank, count);
  const list = names.length > 0 ? names : adapters;
  if (rank?.kind === 'mix' || (scenario.adapters?.ranks.length ?? 0) > 1) {
    throw new BenchError('PLAN_INVALID', 'the scenario has several ranks, and nothing says which adapter has which', {
      hint: 'give adapters.names by rank, such as {8: [a1, a2], 64: [b1, b2]}, or one rank (--set adapters.rank=16)',
    });
  }
  const declared = rank?.rank ?? null;
  if (list.length < count) return { model, rank: declared, needed: count, names: list };
  return list.slice(0, count).map((name) => ({ name, rank: declared, servedRank: declared, kind: null, seed: 0 }));
}

function namedByRank(
  names: Readonly<Record<number, string[]>>,
  model: string,
  rank: Rank | null,
  count: number,
): PlannedAdapter[] | Shortage {
  if (rank === null) throw new TypeError('names by rank without a rank passed validation');
  const ranks = dealtRanks(rank, count);
  const taken = new Map<number, number>();
  const found: PlannedAdapter[] = [];
  for (const declared of ranks) {
    const index = taken.get(declared) ?? 0;
    taken.set(declared, index + 1);
    const name = names[declared]?.[index];
    if (name === undefined) {
      const needed = ranks.filter((r) => r === declared).length;
      return { model, rank: declared, needed, names: names[declared] ?? [] };
    }
    found.push({ name, rank: declared, servedRank: declared, kind: null, seed: 0 });
  }
  return found;
}

/** One line that says what is lacking; of which model, where there are several. */
export function shortageText({ model, rank, needed, names }: Shortage, { models }: EndpointFacts): string {
  const which = `${rank === null ? '' : ` of rank ${rank}`}${models.length > 1 ? ` for ${model}` : ''}`;
  const known = names.length === 0 ? 'none is known' : `only ${names.length} known: ${names.join(', ')}`;
  return `${needed} adapters${which} are needed, ${known}`;
}

/** The plan error for the largest shortage, with the commands that would end it. */
export function shortageError(shortages: readonly Shortage[], facts: EndpointFacts): BenchError {
  const worst = shortages.reduce((a, b) => (b.needed > a.needed ? b : a));
  const rank = worst.rank ?? 16;
  return new BenchError('PLAN_INVALID', `too few adapters at the endpoint: ${shortageText(worst, facts)}`, {
    hint: [
      'make them:    bench adapters make --base PRESET_OR_DIR ' +
        `--rank ${rank} --count ${worst.needed} --format peft --out adapters`,
      `serve them:   vllm serve ${worst.model} --enable-lora --max-loras ${worst.needed} --max-lora-rank ${rank} ` +
        '--lora-modules NAME=adapters/NAME ..  (NIM: NIM_PEFT_SOURCE=adapters)',
      'name them:    --adapters a,b,..  or adapters.names in the scenario',
      'or leave those cells out: --allow-fewer',
    ].join('\n'),
  });
}
