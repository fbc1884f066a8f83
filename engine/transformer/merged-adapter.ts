/**
 * Merged mode (deployment option 1): the adapter that a configuration names, read before the device is asked for anything, and
 * folded into the weights once they are there. In: the configuration's name and path. Out: changed weights, and what to
 * tell of it.
 */
import { readAdapter } from '../adapter-files/read-adapter.ts';
import type { EngineConfig } from '../config.ts';
import type { EngineInfo } from '../core.ts';
import { EngineError } from '../errors.ts';
import { type FoldParts, foldAdapter } from '../lora/merge.ts';
import { packAdapter, packSynthetic } from '../lora/pack.ts';
import type { PackedAdapter } from '../lora/packed-adapter.ts';
import { parseSynthetic } from '../lora/synthetic.ts';
import type { Geometry } from '../models/geometry.ts';
import { asUsage } from './as-usage.ts';
import { Progress } from './progress.ts';

export interface MergedAdapter {
  info: NonNullable<EngineInfo['merged']>;
  /** Changes the weights in place. @throws EngineError usage when f16 cannot hold the result; they are of no use then */
  fold(parts: Omit<FoldParts, 'geometry' | 'path' | 'report'>, report: (line: string) => void): Promise<void>;
}

/** @throws EngineError usage with all that is wrong with the adapter, or when the base's weights are not f16 */
export async function openMergedAdapter(
  { merge, weights }: Pick<EngineConfig, 'merge' | 'weights'>,
  geometry: Geometry,
): Promise<MergedAdapter | null> {
  if (merge === null) return null;
  const { name, path } = merge;
  if (weights !== 'f16') {
    throw new EngineError(
      'usage',
      `--merge-lora ${name}=${path}: an adapter is folded into f16 weights, and these are ${weights}: rounded to so few steps, little of it would be left`,
      { hint: 'accepted: --weights f16, or the adapter beside the base, with --max-gpu-loras' },
    );
  }
  const packed = await asUsage(() => pack(path, geometry));
  const { kind, rank } = packed;
  return {
    info: { name, path, kind, rank },
    fold: async (parts, tell) => {
      const progress = new Progress(`folding ${name} into the weights`, geometry.layers, 'layers', tell);
      const report = () => progress.add(1);
      await asUsage(() => foldAdapter({ ...parts, geometry, path, report }, packed));
      progress.end();
    },
  };
}

async function pack(path: string, geometry: Geometry): Promise<PackedAdapter> {
  if (path.startsWith('synthetic:')) {
    const spec = parseSynthetic(path);
    if (typeof spec === 'string') throw new EngineError('usage', spec);
    return packSynthetic(spec, geometry);
  }
  const file = await readAdapter(path, geometry);
  try {
    return await packAdapter(file, geometry);
  } finally {
    await file.close();
  }
}
