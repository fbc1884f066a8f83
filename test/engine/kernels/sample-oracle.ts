/**
 * What sample.wgsl has to choose, in float64: the ids that the end mask, top-k and top-p leave, found by sorting, and each
 * one's score under the Gumbel-max trick. In: a row of logits and the request. Out: the ids kept, and their scores.
 */
import { lowbias32 } from '../../../engine/lora/random-f16.ts';

export interface Choice {
  temperature: number;
  topP: number;
  topK: number;
  /** The request's seed, and which of its output tokens is drawn. */
  seed: number;
  index: number;
  masked: readonly number[];
}

export interface Kept {
  ids: number[];
  /** Probability of each id among those kept. */
  probabilities: number[];
  /** Score of each: its logit over temperature and its own noise. The largest wins. */
  scores: number[];
}

const drawOf = (seed: number, index: number): number => lowbias32((lowbias32(seed >>> 0) + index) >>> 0);

/** Ids of the logits that are numbers, in order of the logits. */
export function sampleOracle(
  logits: ArrayLike<number>,
  { temperature, topP, topK, seed, index, masked }: Choice,
): Kept {
  const all = Array.from(logits, (logit, id) => ({ logit, id }))
    .filter(({ logit, id }) => !Number.isNaN(logit) && !masked.includes(id))
    .sort((a, b) => b.logit - a.logit || a.id - b.id);
  const largest = all[0]?.logit ?? 0;
  const mass = (logit: number) => Math.exp((logit - largest) / temperature);
  const total = all.reduce((sum, { logit }) => sum + mass(logit), 0);
  let lowest = -Infinity;
  if (topK > 0) lowest = Math.max(lowest, all[topK - 1]?.logit ?? -Infinity);
  if (topP < 1) {
    let sum = 0;
    const last = all.find(({ logit }) => {
      sum += mass(logit);
      return sum >= topP * total;
    });
    lowest = Math.max(lowest, last?.logit ?? -Infinity);
  }
  const kept = all.filter(({ logit }) => logit >= lowest);
  const keptMass = kept.reduce((sum, { logit }) => sum + mass(logit), 0);
  return {
    ids: kept.map(({ id }) => id),
    probabilities: kept.map(({ logit }) => mass(logit) / keptMass),
    scores: kept.map(({ logit, id }) => {
      const uniform = (lowbias32((id ^ drawOf(seed, index)) >>> 0) + 0.5) / 2 ** 32;
      return (logit - largest) / temperature - Math.log(-Math.log1p(-uniform));
    }),
  };
}

/** The inverse of lowbias32: finds seeds whose noise is as extreme as it can be. */
export function inverseLowbias32(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x43021123);
  x ^= (x >>> 15) ^ (x >>> 30);
  x = Math.imul(x, 0x1d69e2a5);
  x ^= x >>> 16;
  return x >>> 0;
}

/** A seed whose hash for `id` at output token `index` is `hash`. */
export const seedFor = (id: number, index: number, hash: number): number =>
  inverseLowbias32((inverseLowbias32((inverseLowbias32(hash) ^ id) >>> 0) - index) >>> 0);
