import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openShardedSafetensors } from '../../../engine/tensor-files/sharded.ts';
import { writeSafetensors } from '../../../engine/tensor-files/write-safetensors.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sharded-'));
});
afterEach(() => rm(folder, { recursive: true }));

const shard = (file: string, values: Record<string, number>) =>
  writeSafetensors(
    join(folder, file),
    Object.entries(values).map(([name, value]) => ({
      name,
      dtype: 'f32',
      shape: [1],
      data: new Float32Array([value]),
    })),
  );
const index = (map: unknown) =>
  writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: { total_size: 8 }, weight_map: map }),
  );
const [first, second] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

it('joins the shards of an index', async () => {
  await shard(first, { a: 1, b: 2 });
  await shard(second, { c: 3 });
  await index({ a: first, b: first, c: second });
  const file = await openShardedSafetensors(folder);
  const values: [string, number][] = [];
  for (const [name, tensor] of file.tensors) values.push([name, (await tensor.read())[0]!]);
  expect(values).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ]);
  const sizes = await Promise.all([first, second].map(async (name) => (await readFile(join(folder, name))).length));
  expect(file.bytes).toBe(sizes[0]! + sizes[1]!);
  await file.close();
});

it('takes the single file where there is one, as transformers does', async () => {
  await shard('model.safetensors', { a: 5 });
  await index({ a: first });
  const file = await openShardedSafetensors(folder);
  expect([...(await file.tensors.get('a')!.read())]).toEqual([5]);
  await file.close();
});

it('says what a folder without either needs', async () => {
  await expect(openShardedSafetensors(folder)).rejects.toThrow(
    'expected model.safetensors or model.safetensors.index.json in the folder, found neither',
  );
});

it('names every tensor that is not where the index says', async () => {
  await shard(first, { a: 1, b: 2 });
  await shard(second, { c: 3 });
  await index({ a: first, b: second, c: second, d: first });
  const error = await openShardedSafetensors(folder).catch((e) => e);
  expect(error.problems).toEqual([
    `tensor "b": expected it in shard "${second}", as the index says, found it in "${first}"`,
    `tensor "d": expected it in shard "${first}", as the index says, found it in no shard`,
  ]);
});

it('names a tensor that is in two shards', async () => {
  await shard(first, { a: 1 });
  await shard(second, { a: 2, c: 3 });
  await index({ a: first, c: second });
  await expect(openShardedSafetensors(folder)).rejects.toThrow(`tensor "a" is in two shards: ${first} and ${second}`);
});

it('names every shard that is missing or broken', async () => {
  await writeFile(join(folder, first), 'not it');
  await index({ a: first, c: second });
  const error = await openShardedSafetensors(folder).catch((e) => e);
  expect(error.problems).toEqual([
    `shard "${first}": expected a safetensors file of at least 8 bytes, found 6`,
    `shard "${second}": there is no such file`,
  ]);
});

it.each([
  '../x.safetensors',
  '/etc/x.safetensors',
  'sub/x.safetensors',
  'sub\\x.safetensors',
  '.hidden.safetensors',
  'x.bin',
  7,
  null,
])('refuses %s as the name of a shard', async (name) => {
  await mkdir(join(folder, 'sub'));
  await index({ a: name });
  await expect(openShardedSafetensors(folder)).rejects.toThrow(
    'tensor "a": expected the name of a .safetensors file in this folder, found',
  );
});

it('refuses an index that is none', async () => {
  const path = join(folder, 'model.safetensors.index.json');
  for (const [text, message] of [
    ['{', 'expected JSON'],
    ['null', 'expected "weight_map"'],
    ['{"weight_map":{}}', 'expected "weight_map"'],
    [`{"weight_map":{"a":"${first}","a":"${second}"}}`, 'names "a" twice'],
  ] as const) {
    await writeFile(path, text);
    await expect(openShardedSafetensors(folder)).rejects.toThrow(message);
  }
});
