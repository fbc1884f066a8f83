/**
 * Writes a `.nemo` archive: an uncompressed tar with model_config.yaml and model_weights.ckpt, which is a torch file. The
 * weights are streamed into their place and the tar header, which needs their size, is filled in afterwards.
 */
import type { FileHandle } from 'node:fs/promises';
import { checkTensorsToWrite, type TensorToWrite } from './tensor-to-write.ts';
import { writeTorchZip } from './write-torch-file.ts';
import { writeAll, writeWhole } from './write-whole.ts';

const BLOCK = 512;
const padded = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/** Writes the file whole or not at all. @throws RangeError when two tensors share a name or values do not fill a shape */
export async function writeNemo(path: string, configYaml: string, tensors: readonly TensorToWrite[]): Promise<void> {
  checkTensorsToWrite(tensors);
  const config = Buffer.from(configYaml);
  await writeWhole(path, async (file) => {
    await writeHeader(file, 0, './model_config.yaml', config.length);
    await writeAll(file, config, BLOCK);
    const weightsAt = BLOCK + padded(config.length);
    const bytes = await writeTorchZip(file, weightsAt + BLOCK, tensors);
    await writeHeader(file, weightsAt, './model_weights.ckpt', bytes);
    // Two blocks of zeros end a tar.
    await file.truncate(weightsAt + BLOCK + padded(bytes) + 2 * BLOCK);
  });
}

async function writeHeader(file: FileHandle, at: number, path: string, size: number): Promise<void> {
  const { Header } = await import('tar');
  const block = Buffer.alloc(BLOCK);
  new Header({ path, size, type: 'File', mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) }).encode(block, 0);
  await writeAll(file, block, at);
}
