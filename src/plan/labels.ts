/** How a cell's coordinates are written where they are no plain numbers: in result.json, charts and messages. */
import { normalBounds } from '../scenario/defaults.ts';
import type { Kinds, Lengths, Modules, Popularity, Rank } from '../scenario/scenario.ts';

/** 200, "normal(200,20)" (with its clamps if they are not the default ones), "uniform(100,300)". */
export function lengthsLabel(lengths: Lengths): number | string {
  if (lengths.kind === 'fixed') return lengths.tokens;
  const { min, max } = lengths;
  if (lengths.kind === 'uniform') return `uniform(${min},${max})`;
  const { mean, stddev } = lengths;
  const usual = normalBounds(mean, stddev);
  const clamps = min === usual.min && max === usual.max ? '' : `,${min}..${max}`;
  return `normal(${mean},${stddev}${clamps})`;
}

/** "uniform", "zipf(1.5)", "weights(a:2,b:1)". */
export function popularityLabel(popularity: Popularity): string {
  if (popularity.kind === 'zipf') return `zipf(${popularity.s})`;
  if (popularity.kind !== 'weights') return popularity.kind;
  const parts = Object.entries(popularity.weights).map(([name, weight]) => `${name}:${weight}`);
  return `weights(${parts.join(',')})`;
}

/** 16 or "mix(8:1,64:1)"; null when the scenario declares no rank. */
export function rankLabel(rank: Rank | null): number | string | null {
  if (rank === null) return null;
  if (rank.kind === 'one') return rank.rank;
  return `mix(${rank.shares.map((share) => `${share.rank}:${share.weight}`).join(',')})`;
}

/** "lora" or "mix(lora:1,dora:1)". */
export function kindLabel(kinds: Kinds): string {
  if (kinds.kind === 'one') return kinds.name;
  return `mix(${kinds.shares.map((share) => `${share.name}:${share.weight}`).join(',')})`;
}

/** "all" or "q,v". */
export const modulesLabel = (modules: Modules): string => (modules === 'all' ? modules : modules.join(','));
