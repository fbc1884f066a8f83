/**
 * The shape of a Llama-architecture model, the presets with their published geometry, and their stand-ins.
 *
 * Pure: both the engine (to build the model) and the harness (to plan, to name, to scale ranks) read it.
 * Sources: the config.json each model is published with (Meta's Llama 3, 3.1, 3.2; Hugging Face's SmolLM2).
 */

export interface RopeScaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxPosition: number;
}

export interface Geometry {
  /** Preset name, with "@1/N" for a stand-in. */
  name: string;
  hidden: number;
  intermediate: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  vocab: number;
  normEps: number;
  ropeTheta: number;
  /** Llama 3.1's frequency scaling, or null. */
  ropeScaling: RopeScaling | null;
  maxPosition: number;
  /** The output head is the embedding table. */
  tied: boolean;
  /** Ids that end a sequence, in this model's own (folded) vocabulary. */
  eosIds: number[];
  standIn: { for: string; scale: string; divisor: number } | null;
}

const LLAMA3_EOS = [128001, 128009];
const LLAMA31_ROPE: RopeScaling = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 };
const LLAMA32_ROPE: RopeScaling = { ...LLAMA31_ROPE, factor: 32 };
const llama = { vocab: 128256, normEps: 1e-5, ropeTheta: 500000, eosIds: LLAMA3_EOS, standIn: null };

export const PRESETS: Readonly<Record<string, Geometry>> = Object.fromEntries(
  (
    [
      // biome-ignore format: a table
      { ...llama, name: 'llama-3-8b', hidden: 4096, intermediate: 14336, layers: 32, heads: 32, kvHeads: 8, headDim: 128, ropeScaling: null, maxPosition: 8192, tied: false },
      // biome-ignore format: a table
      { ...llama, name: 'llama-3-70b', hidden: 8192, intermediate: 28672, layers: 80, heads: 64, kvHeads: 8, headDim: 128, ropeScaling: null, maxPosition: 8192, tied: false },
      // biome-ignore format: a table
      { ...llama, name: 'llama-3.1-8b', hidden: 4096, intermediate: 14336, layers: 32, heads: 32, kvHeads: 8, headDim: 128, ropeScaling: LLAMA31_ROPE, maxPosition: 131072, tied: false },
      // biome-ignore format: a table
      { ...llama, name: 'llama-3.2-1b', hidden: 2048, intermediate: 8192, layers: 16, heads: 32, kvHeads: 8, headDim: 64, ropeScaling: LLAMA32_ROPE, maxPosition: 131072, tied: true },
      // biome-ignore format: a table
      { ...llama, name: 'llama-3.2-3b', hidden: 3072, intermediate: 8192, layers: 28, heads: 24, kvHeads: 8, headDim: 128, ropeScaling: LLAMA32_ROPE, maxPosition: 131072, tied: true },
      // biome-ignore format: a table
      { name: 'smollm2-135m', hidden: 576, intermediate: 1536, layers: 30, heads: 9, kvHeads: 3, headDim: 64, vocab: 49152, normEps: 1e-5, ropeTheta: 100000, ropeScaling: null, maxPosition: 8192, tied: true, eosIds: [0, 2], standIn: null },
    ] satisfies Geometry[]
  ).map((g) => [g.name, g]),
);

export type GeometryProblem = { message: string; accepted: string[] };

/** Divisors a stand-in of this preset can have: those of its KV heads, greater than 1. */
export const standInDivisors = (g: Geometry): number[] =>
  Array.from({ length: g.kvHeads - 1 }, (_, i) => i + 2).filter((n) => g.kvHeads % n === 0);

/**
 * The geometry of a preset ("llama-3-8b") or of its stand-in ("llama-3-8b@1/8"), or what is wrong with the name.
 *
 * A stand-in divides widths, depth (rounded up) and vocabulary by N and keeps the head size; N must divide the KV heads.
 */
export function geometryOf(name: string): Geometry | GeometryProblem {
  const match = /^(?<preset>[^@]+)(?:@1\/(?<n>\d+))?$/.exec(name);
  const asked = match?.groups?.['preset'] ?? '';
  const preset = Object.hasOwn(PRESETS, asked) ? PRESETS[asked] : undefined;
  if (!match || !preset) return { message: `unknown model "${name}"`, accepted: Object.keys(PRESETS) };
  const n = Number(match.groups?.['n'] ?? 1);
  if (match.groups?.['n'] === undefined) return preset;
  const divisors = standInDivisors(preset);
  if (!divisors.includes(n)) {
    return {
      message: `"${name}": ${n} does not divide the ${preset.kvHeads} KV heads of ${preset.name}`,
      accepted: divisors.map((d) => `${preset.name}@1/${d}`),
    };
  }
  const vocab = Math.floor(preset.vocab / n);
  return {
    ...preset,
    name,
    hidden: Math.floor(preset.hidden / n),
    intermediate: Math.floor(preset.intermediate / n),
    layers: Math.ceil(preset.layers / n),
    heads: Math.floor(preset.heads / n),
    kvHeads: Math.floor(preset.kvHeads / n),
    vocab,
    eosIds: preset.eosIds.map((id) => id % vocab),
    standIn: { for: preset.name, scale: `1/${n}`, divisor: n },
  };
}

export const isGeometry = (g: Geometry | GeometryProblem): g is Geometry => 'hidden' in g;

/** The rank a stand-in serves for a declared one: divided like the widths, at least 1. */
export const servedRank = (g: Geometry, rank: number): number =>
  Math.max(1, Math.floor(rank / (g.standIn?.divisor ?? 1)));

/** Number of weights, embeddings and head included. */
export function parameterCount(g: Geometry): number {
  const q = g.heads * g.headDim;
  const kv = g.kvHeads * g.headDim;
  const layer = g.hidden * (q + 2 * kv) + q * g.hidden + 3 * g.hidden * g.intermediate + 2 * g.hidden;
  return g.layers * layer + g.hidden + g.vocab * g.hidden * (g.tied ? 1 : 2);
}
