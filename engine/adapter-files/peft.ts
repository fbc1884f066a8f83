/**
 * A folder that Hugging Face PEFT saved -> an AdapterFile: LoRA, DoRA and VeRA. Its config has been read (read-adapter.ts).
 *
 * The tensors that are there and the projections that the config means must be the same set, part by part and shape by
 * shape; anything else is refused, with every problem told. Only the headers of the weights are read here.
 */
import { join } from 'node:path';
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES } from '../models/projections.ts';
import { isFile } from '../tensor-files/byte-source.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { told } from '../tensor-files/problems.ts';
import { openSafetensors } from '../tensor-files/safetensors.ts';
import type { TensorFile } from '../tensor-files/tensor.ts';
import { openTorchFile } from '../tensor-files/torch-file.ts';
import type { AdapterFile, AdapterModule } from './adapter.ts';
import { type PeftConfig, peftConfig } from './peft-config.ts';
import { loraModules } from './peft-lora.ts';
import { inLayers } from './peft-problems.ts';
import { type TargetedModule, targetsOf } from './peft-targets.ts';
import { moduleKey, type Parts, type SortedTensors, sortTensors } from './peft-tensors.ts';
import { veraModules } from './vera.ts';

export const CONFIG_NAME = 'adapter_config.json';
export const SAFETENSORS_NAME = 'adapter_model.safetensors';
export const TORCH_NAME = 'adapter_model.bin';

/** What is read of adapter_config.json, by read-adapter.ts. */
export interface ConfigText {
  fields: Record<string, unknown>;
  bytes: number;
}

/** @throws FileError with every problem */
export async function readPeft(folder: string, text: ConfigText, geometry: Geometry | null): Promise<AdapterFile> {
  const config = peftConfig(text.fields);
  if ('problems' in config)
    throw new FileError(folder, told(config.problems.map((problem) => `${CONFIG_NAME}: ${problem}`)));
  const { file, notes } = await openWeights(folder);
  try {
    const sorted = sortTensors(folder, file);
    return assemble(folder, config, sorted, file, geometry, text.bytes, [...config.notes, ...notes, ...sorted.notes]);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The weights beside a config: safetensors first, as PEFT looks. @throws FileError when there are none or they are broken */
export async function openWeights(folder: string): Promise<{ file: TensorFile; notes: string[] }> {
  const safetensors = join(folder, SAFETENSORS_NAME);
  const torch = join(folder, TORCH_NAME);
  const [hasSafetensors, hasTorch] = await Promise.all([isFile(safetensors), isFile(torch)]);
  if (hasSafetensors) {
    const notes = hasTorch ? [`${TORCH_NAME} is there too, and not read: ${SAFETENSORS_NAME} comes first`] : [];
    return { file: await openSafetensors(safetensors), notes };
  }
  if (hasTorch) return { file: await openTorchFile(torch), notes: [] };
  throw new FileError(folder, `expected ${SAFETENSORS_NAME} or ${TORCH_NAME} beside ${CONFIG_NAME}, found neither`);
}

function assemble(
  folder: string,
  config: PeftConfig,
  sorted: SortedTensors,
  file: TensorFile,
  geometry: Geometry | null,
  configBytes: number,
  notes: string[],
): AdapterFile {
  const problems = [...sorted.problems];
  const targets = targetsOf(config, geometry?.layers ?? sorted.layers, geometry !== null);
  problems.push(...targets.problems.map((problem) => `${CONFIG_NAME}: ${problem}`));
  const pairs = matched(targets.modules, sorted, geometry, problems);
  if (config.kind !== 'vera' && (sorted.shared.a || sorted.shared.b)) {
    problems.push("tensor base_model.vera_A or vera_B is VeRA's, but peft_type is not VERA");
  }
  let modules: AdapterModule[];
  let forget = () => {};
  if (config.kind === 'vera') ({ modules, forget } = veraModules(folder, sorted.shared, pairs, geometry, problems));
  else modules = loraModules(folder, config, pairs, geometry, problems);
  if (problems.length > 0) throw new FileError(folder, told(problems));
  return {
    path: folder,
    format: 'peft',
    kind: config.kind,
    base: config.base,
    rank: Math.max(...modules.map((module) => module.rank)),
    modules,
    bytes: file.bytes + configBytes,
    notes: [...notes, ...targets.notes],
    async close() {
      forget();
      await file.close();
    },
  };
}

/** The targeted modules with their tensors; those that only the config or only the file has are problems. */
function matched(
  targeted: readonly TargetedModule[],
  sorted: SortedTensors,
  geometry: Geometry | null,
  problems: string[],
): { target: TargetedModule; parts: Parts }[] {
  const pairs: { target: TargetedModule; parts: Parts }[] = [];
  const left = new Map(sorted.modules);
  const missing: TargetedModule[] = [];
  for (const target of targeted) {
    const key = moduleKey(target.layer, target.module);
    const parts = left.get(key);
    left.delete(key);
    if (parts) pairs.push({ target, parts });
    else missing.push(target);
  }
  // Of what no target took, layers that the base lacks are one thing and modules that the config leaves out another.
  const beyond = [...left.values()].filter((parts) => geometry !== null && parts.layer >= geometry.layers);
  const untargeted = [...left.values()].filter((parts) => !beyond.includes(parts));
  if (beyond.length > 0 && geometry) {
    const found = inLayers(beyond.map((parts) => parts.layer));
    problems.push(`tensors of ${found}: expected layers 0-${geometry.layers - 1} of the base ${geometry.name}`);
  }
  for (const [module, list] of byModule(untargeted)) {
    problems.push(`tensors of ${module} in ${inLayers(list)} are there, but ${CONFIG_NAME} does not target them`);
  }
  for (const [module, list] of byModule(missing)) {
    problems.push(`tensors of ${module} in ${inLayers(list)} are missing, which ${CONFIG_NAME} targets`);
  }
  return pairs;
}

/** Hugging Face's name of each module that is there -> its layers. */
function byModule(entries: readonly { layer: number; module: (typeof MODULES)[number] }[]): [string, number[]][] {
  return MODULES.map((module): [string, number[]] => [
    HUGGING_FACE_NAMES[module],
    entries.filter((entry) => entry.module === module).map((entry) => entry.layer),
  ]).filter(([, layers]) => layers.length > 0);
}
