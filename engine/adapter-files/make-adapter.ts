/**
 * Makes a random adapter that fits a base model, as a folder that any server can load: PEFT's (LoRA, DoRA, VeRA), a NeMo
 * 1.x archive (LoRA), or Tied-LoRA in our own form. Nobody needs trained adapters to measure what they cost.
 *
 * In: geometry and, where the base is a folder, its weights; kind, rank, modules, strength, seed. Out: one folder, which
 * appears whole or not at all: a store that is scanned meanwhile never meets half an adapter. The same options give the
 * same bytes.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Geometry } from '../models/geometry.ts';
import type { ModuleName } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { elementsOf, type TensorToWrite } from '../tensor-files/tensor-to-write.ts';
import { writeNemo } from '../tensor-files/write-nemo.ts';
import { writeSafetensors } from '../tensor-files/write-safetensors.ts';
import type { AdapterKind } from './adapter.ts';
import { type BaseNorms, openBaseNorms } from './make-base-norms.ts';
import { adapterConfig, NEMO_TARGETS, nemoConfig, nemoTargets } from './make-config.ts';
import { nemoTensors } from './make-nemo.ts';
import { adapterTensors, type TensorOptions } from './make-tensors.ts';

export const MAKE_FORMATS = ['peft', 'nemo'] as const;
export type MakeFormat = (typeof MAKE_FORMATS)[number];

/** ‖ΔW‖ / ‖W‖ when nobody says: it changes what the model answers, and leaves it able to. */
export const DEFAULT_SCALE = 0.1;

export interface MakeOptions {
  geometry: Geometry;
  /** The base's folder, by whose weights the adapter is sized; null for a preset, whose weights are random. */
  folder: string | null;
  kind: AdapterKind;
  format: MakeFormat;
  rank: number;
  modules: readonly ModuleName[];
  /** How large the change of each projection is beside it: ‖ΔW‖ / ‖W‖ (Frobenius). */
  scale: number;
  seed: number;
  /** The folder to make; its name is the adapter's. It must not exist. */
  out: string;
  /** Shared between several adapters of one base, so that its weights are read once. The caller closes it. */
  norms?: BaseNorms;
}

export interface MadeAdapter {
  path: string;
  /** Names of the files in it. */
  files: string[];
  /** On disk. */
  bytes: number;
  parameters: number;
}

/** What cannot be made, each a sentence; empty when it can. */
export function makeProblems({
  kind,
  format,
  rank,
  modules,
}: Omit<MakeOptions, 'geometry' | 'folder' | 'out' | 'seed'>) {
  const problems: string[] = [];
  if (!Number.isSafeInteger(rank) || rank < 1 || rank > 9999) problems.push(`rank: expected 1 to 9999, found ${rank}`);
  if (modules.length === 0) problems.push('modules: expected at least one');
  if (format !== 'nemo') return problems;
  if (kind !== 'lora') problems.push(`NeMo 1.x archives hold LoRA only, not ${kind}; expected --format peft`);
  if (nemoTargets(modules) === null) {
    const together = Object.values(NEMO_TARGETS).map((parts) => parts.join(','));
    problems.push(`NeMo adapters take these modules together: ${together.join(' | ')}; found ${modules.join(',')}`);
  }
  return problems;
}

/** Values in one adapter; at 2 bytes each but for vectors, about the size of its file. */
export function parametersOf(options: Pick<MakeOptions, 'geometry' | 'kind' | 'format' | 'rank' | 'modules'>): number {
  const never = () => Promise.reject(new Error('no value is asked for'));
  const norms = { rows: never, typical: never, close: never };
  const tensors = tensorsOf({ ...options, share: 1, seed: 0, norms }, options.format);
  return tensors.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
}

/** @throws FileError when it cannot be made, or something is in its place */
export async function makeAdapter(options: MakeOptions): Promise<MadeAdapter> {
  const { geometry, kind, format, rank, modules, scale: share, seed, out } = options;
  const problems = makeProblems(options);
  if (existsSync(out)) problems.push('is there already; nothing is ever overwritten');
  if (problems.length > 0) throw new FileError(out, problems);

  const norms = options.norms ?? (await openBaseNorms(geometry, options.folder));
  const parent = dirname(out);
  await mkdir(parent, { recursive: true });
  // Hidden, since a store that scans the parent takes every other folder for an adapter.
  const unfinished = await mkdtemp(join(parent, '.making-'));
  try {
    const tensors = tensorsOf({ geometry, kind, rank, modules, share, seed, norms }, format);
    if (format === 'nemo') {
      const config = nemoConfig(geometry, rank, nemoTargets(modules) ?? []);
      await writeNemo(join(unfinished, `${basename(out)}.nemo`), config, tensors);
    } else {
      await writeFile(join(unfinished, 'adapter_config.json'), adapterConfig({ geometry, kind, rank, modules }));
      await writeSafetensors(join(unfinished, 'adapter_model.safetensors'), tensors, { format: 'pt' });
    }
    await chmod(unfinished, 0o777 & ~process.umask()); // mkdtemp's is closed to others, such as a server in a container
    await rename(unfinished, out);
    const files = await readdir(out);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(out, file))).size));
    return {
      path: out,
      files: files.sort(),
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      parameters: tensors.reduce((sum, { shape }) => sum + elementsOf(shape), 0),
    };
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    if (options.norms === undefined) await norms.close();
  }
}

function tensorsOf(options: TensorOptions, format: MakeFormat): TensorToWrite[] {
  return format === 'nemo' ? nemoTensors(options, nemoTargets(options.modules) ?? []) : adapterTensors(options);
}
