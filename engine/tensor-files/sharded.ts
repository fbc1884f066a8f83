/**
 * The weights of a Hugging Face folder as one tensor file: `model.safetensors`, or the shards that
 * `model.safetensors.index.json` maps tensors to. Only headers are read here.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFile } from './byte-source.ts';
import { FileError } from './file-error.ts';
import { duplicateMember } from './json-header.ts';
import { quoted, told, valueText } from './problems.ts';
import { openSafetensors } from './safetensors.ts';
import type { OtherTensor, StoredTensor, TensorFile } from './tensor.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const INDEX_BYTES = 2 ** 24;
const SHARDS = 4096;

/** @throws FileError when neither form is there, or with every problem of the index and its shards */
export async function openShardedSafetensors(folder: string): Promise<TensorFile> {
  if (await isFile(join(folder, SINGLE))) return openSafetensors(join(folder, SINGLE));
  const index = join(folder, INDEX);
  if (!(await isFile(index))) {
    throw new FileError(folder, `expected ${SINGLE} or ${INDEX} in the folder, found neither`);
  }
  const shardOf = await readIndex(index);
  const names = [...new Set(shardOf.values())].sort();
  const shards: { name: string; file: TensorFile }[] = [];
  const problems: string[] = [];
  try {
    for (const name of names) {
      try {
        shards.push({ name, file: await openSafetensors(join(folder, name)) });
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        problems.push(...error.problems.map((problem) => `shard ${quoted(name)}: ${problem}`));
      }
    }
    if (problems.length > 0) throw new FileError(index, told(problems));
    return mergeShards(folder, index, shardOf, shards);
  } catch (error) {
    await Promise.all(shards.map(({ file }) => file.close()));
    throw error;
  }
}

/** Shard by tensor name. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const { size } = await stat(path);
  if (size > INDEX_BYTES) throw new FileError(path, `expected at most ${INDEX_BYTES} bytes, found ${size}`);
  const text = await readFile(path, 'utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new FileError(path, `expected JSON, found text that is none (${(error as Error).message})`, { cause: error });
  }
  const twice = duplicateMember(text);
  if (twice !== null) throw new FileError(path, `names ${quoted(twice)} twice`);
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    throw new FileError(path, `expected "weight_map" with file names by tensor name, found ${valueText(map)}`);
  }
  const entries = Object.entries(map) as [string, unknown][];
  const problems = entries.flatMap(([tensor, shard]) =>
    isShardName(shard)
      ? []
      : `tensor ${quoted(tensor)}: expected the name of a .safetensors file in this folder, found ${valueText(shard)}`,
  );
  const count = new Set(entries.map(([, shard]) => shard)).size;
  if (count > SHARDS) problems.push(`expected at most ${SHARDS} shards, found ${count}`);
  if (problems.length > 0) throw new FileError(path, told(problems));
  return new Map(entries as [string, string][]);
}

/** A plain file name: nothing that leads out of the folder, or to a file of another kind. */
const isShardName = (name: unknown): name is string =>
  typeof name === 'string' && name.length <= 255 && /^[^./\\\0][^/\\\0]*\.safetensors$/.test(name);

function mergeShards(
  folder: string,
  index: string,
  shardOf: ReadonlyMap<string, string>,
  shards: readonly { name: string; file: TensorFile }[],
): TensorFile {
  const tensors = new Map<string, StoredTensor>();
  const others = new Map<string, OtherTensor>();
  const metadata: Record<string, string> = {};
  const foundIn = new Map<string, string>();
  const problems: string[] = [];
  for (const { name: shard, file } of shards) {
    for (const name of [...file.tensors.keys(), ...file.others.keys()]) {
      const first = foundIn.get(name);
      if (first !== undefined) problems.push(`tensor ${quoted(name)} is in two shards: ${first} and ${shard}`);
      foundIn.set(name, shard);
    }
    for (const [name, tensor] of file.tensors) tensors.set(name, tensor);
    for (const [name, tensor] of file.others) others.set(name, tensor);
    Object.assign(metadata, file.metadata);
  }
  for (const [name, shard] of shardOf) {
    const found = foundIn.get(name);
    if (found === shard) continue;
    const where = found === undefined ? 'it in no shard' : `it in ${quoted(found)}`;
    problems.push(`tensor ${quoted(name)}: expected it in shard ${quoted(shard)}, as the index says, found ${where}`);
  }
  if (problems.length > 0) throw new FileError(index, told(problems));
  return {
    path: folder,
    bytes: shards.reduce((sum, { file }) => sum + file.bytes, 0),
    tensors,
    others,
    metadata,
    async close() {
      await Promise.all(shards.map(({ file }) => file.close()));
    },
  };
}
