/**
 * Reads NeMo 1.x LoRA adapters: a `.nemo` file (or a folder with exactly one) -> an AdapterFile. Both variants are read,
 * fused and canonical, saved by one rank or by several of tensor and pipeline parallelism; alpha / adapter_dim is applied,
 * which some servers leave out. The archive is not unpacked: tensors are read from where they lie in it.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Geometry } from '../models/geometry.ts';
import { type ByteSource, openFileSource } from '../tensor-files/byte-source.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted, told } from '../tensor-files/problems.ts';
import type { AdapterFile } from './adapter.ts';
import { type NemoArchive, openNemoArchive } from './nemo-archive.ts';
import { type NemoConfig, nemoGeometryProblems, parseNemoConfig } from './nemo-config.ts';
import { collectParts, coverageProblems, modulesOf } from './nemo-modules.ts';

/**
 * Checks the adapter whole, without reading its weights.
 * @param geometry of the base it is for; null checks it against its own configuration alone
 * @throws FileError with every problem
 */
export async function readNemo(path: string, geometry: Geometry | null): Promise<AdapterFile> {
  const source = await openFileSource(await archiveAt(path));
  try {
    return await readArchive(source, geometry);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The error that says what to do with a NeMo 2 checkpoint (a folder with weights/ and context/). */
export function refuseNemo2(path: string): FileError {
  const command = `llm.export_ckpt(path=${JSON.stringify(path)}, target="hf-peft", output_path="adapter")`;
  return new FileError(
    path,
    `expected a .nemo archive or a Hugging Face PEFT folder, found a NeMo 2 distributed checkpoint: export it, in Python ` +
      `with NeMo 2 ("from nemo.collections import llm"), by ${command} and give the folder that makes`,
  );
}

/** @throws FileError when a folder does not hold exactly one archive */
async function archiveAt(path: string): Promise<string> {
  const facts = await stat(path).catch(() => null);
  if (!facts?.isDirectory()) return path;
  const names = await readdir(path);
  if (names.includes('weights') && names.includes('context')) throw refuseNemo2(path);
  const archives = names.filter((name) => name.endsWith('.nemo')).sort();
  const [only] = archives;
  if (archives.length !== 1 || only === undefined) {
    const found = archives.length === 0 ? 'none' : archives.slice(0, 8).map(quoted).join(', ');
    throw new FileError(path, `expected exactly one .nemo file in the folder, found ${found}`);
  }
  return join(path, only);
}

async function readArchive(source: ByteSource, geometry: Geometry | null): Promise<AdapterFile> {
  const { path, bytes } = source;
  const archive = await openNemoArchive(source);
  const config = await parseNemoConfig(archive.configText);
  if (Array.isArray(config)) throw new FileError(path, told(config));
  const problems = [...parallelProblems(config, archive), ...(geometry ? nemoGeometryProblems(config, geometry) : [])];
  const collected = collectParts(archive, config.layers);
  problems.push(...collected.problems);
  const { modules, problems: misshapen } = modulesOf(collected.byLayer, config, {
    path,
    tensorParallel: archive.tensorParallel,
  });
  problems.push(...misshapen);
  if (modules.length === 0 && problems.length === 0) problems.push('expected tensors of a LoRA, found none');
  // A problem above makes parts look absent that are there under a wrong name.
  if (problems.length === 0) problems.push(...coverageProblems(collected.byLayer, config));
  if (problems.length > 0) throw new FileError(path, told(problems));
  const { base, dim } = config;
  const notes = notesOf(config, archive);
  const kind = 'lora';
  return { path, format: 'nemo', kind, base, rank: dim, modules, bytes, notes, close: () => source.close() };
}

/** An archive of one checkpoint may have been merged after training in parallel; its tensors' shapes tell whether it was. */
function parallelProblems(config: NemoConfig, { tensorParallel, pipelineParallel }: NemoArchive): string[] {
  if (tensorParallel === 1 && pipelineParallel === 1) return [];
  const problems: string[] = [];
  const compare = (key: string, expected: number | null, found: number) => {
    if (expected !== null && expected !== found) {
      problems.push(`expected checkpoints of ${expected} ranks, as ${key} says, found ${found}`);
    }
  };
  compare('tensor_model_parallel_size', config.tensorParallel, tensorParallel);
  compare('pipeline_model_parallel_size', config.pipelineParallel, pipelineParallel);
  if (config.groups % tensorParallel !== 0) {
    problems.push(
      `expected tensor-parallel ranks to divide the ${config.groups} query groups, found ${tensorParallel}`,
    );
  }
  return problems;
}

function notesOf({ alpha, dim, dropout }: NemoConfig, { tensorParallel, pipelineParallel }: NemoArchive): string[] {
  const notes = [`alpha ${alpha} over adapter_dim ${dim} gives the scale ${alpha / dim}, which is applied`];
  if (dropout > 0) notes.push(`adapter_dropout ${dropout} is of training and does not apply`);
  if (tensorParallel * pipelineParallel > 1) {
    notes.push(`joined from ${tensorParallel} tensor-parallel ranks in ${pipelineParallel} pipeline stages`);
  }
  return notes;
}
