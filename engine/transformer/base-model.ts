/**
 * The base model that a configuration names: a preset, whose weights are made from a seed on the device, or a Hugging Face
 * folder, whose weights are read. In: the configuration. Out: its geometry and what fills its weights; a folder's files are
 * checked whole here, before the device is asked for anything.
 */
import type { EngineConfig } from '../config.ts';
import type { RandomWeights } from '../kernels/random-weights.ts';
import { findModel } from '../models/find-model.ts';
import type { Geometry } from '../models/geometry.ts';
import { openShardedSafetensors } from '../tensor-files/sharded.ts';
import { asUsage } from './as-usage.ts';
import { type Checkpoint, checkTiedHead, mapCheckpoint } from './checkpoint.ts';
import { uploadCheckpoint } from './upload-checkpoint.ts';
import { fillWeights, type Norms, type Weights } from './weights.ts';

export interface BaseModel {
  geometry: Geometry;
  norms: Norms;
  /** Resolves when the weights are on the device, or queued before whatever is submitted later. @throws EngineError usage */
  fill(device: GPUDevice, random: RandomWeights, weights: Weights, report: (line: string) => void): Promise<void>;
  /** Lets go of the files. */
  close(): Promise<void>;
}

/** @throws EngineError usage with all that is wrong with the name or with the folder's files */
export async function openBaseModel({ model, servedModelName, seed }: EngineConfig): Promise<BaseModel> {
  const { geometry, folder } = await asUsage(() => findModel(model, servedModelName));
  if (folder !== null) return openFolder(folder, geometry);
  return {
    geometry,
    norms: 'shared',
    fill: async (device, random, weights) => fillWeights(device, random, weights, geometry, seed),
    close: async () => {},
  };
}

async function openFolder(folder: string, geometry: Geometry): Promise<BaseModel> {
  const file = await asUsage(() => openShardedSafetensors(folder));
  const checked = async (): Promise<Checkpoint> => {
    const checkpoint = mapCheckpoint(file, geometry);
    await checkTiedHead(file, geometry);
    return checkpoint;
  };
  try {
    const checkpoint = await asUsage(checked);
    return {
      geometry,
      norms: 'own',
      fill: (device, _, weights, report) =>
        asUsage(() => uploadCheckpoint(device, weights, checkpoint, geometry, { report })),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
