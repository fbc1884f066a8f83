/** Adapters made from a seed instead of a file: "synthetic:rank=16,seed=3". Nobody needs trained ones to measure what they cost. */

export interface SyntheticSpec {
  rank: number;
  seed: number;
}

/** The spec, or what is wrong with the path. */
export function parseSynthetic(path: string): SyntheticSpec | string {
  const accepted = 'accepted: "synthetic:rank=R,seed=S", for example "synthetic:rank=16,seed=3"';
  const match = /^synthetic:(?<fields>.*)$/.exec(path);
  if (!match) return `"${path}" is not a synthetic adapter, and files are not supported yet; ${accepted}`;
  const fields = new Map(
    (match.groups?.['fields'] ?? '').split(',').map((field) => {
      const [key = '', value = ''] = field.split('=');
      return [key.trim(), value.trim()];
    }),
  );
  const unknown = [...fields.keys()].find((key) => key !== 'rank' && key !== 'seed');
  if (unknown !== undefined) return `"${path}" has an unknown field "${unknown}"; ${accepted}`;
  const rank = fields.get('rank') ?? '';
  const seed = fields.get('seed') ?? '0';
  if (!/^[1-9]\d{0,3}$/.test(rank)) return `"${path}" needs a rank from 1 to 9999; ${accepted}`;
  if (!/^\d{1,9}$/.test(seed)) return `"${path}" needs a seed of at most nine digits; ${accepted}`;
  return { rank: Number(rank), seed: Number(seed) };
}

/**
 * alpha / rank of a synthetic adapter. With A and B of unit gain (random-f16.ts) the LoRA term is then half as large as
 * the projection it is added to: enough to change the text, not enough to drown the base.
 */
export const SYNTHETIC_SCALE = 0.5;
