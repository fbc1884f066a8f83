import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bufferSource, openFileSource, rangeOf } from '../../../engine/tensor-files/byte-source.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'byte-source-'));
});
afterAll(() => rm(folder, { recursive: true }));

const content = Uint8Array.from({ length: 100 }, (_, i) => i);

describe.each(['file', 'buffer', 'range'] as const)('a %s', (kind) => {
  const open = async () => {
    if (kind === 'buffer') return bufferSource('x', content);
    if (kind === 'range') return rangeOf(bufferSource('x', new Uint8Array([9, 9, ...content, 9])), 2, 100);
    const path = join(folder, 'file');
    await writeFile(path, content);
    return openFileSource(path);
  };

  it('reads any range, and nothing past its end', async () => {
    const source = await open();
    expect(source.bytes).toBe(100);
    expect([...(await source.read(10, 3))]).toEqual([10, 11, 12]);
    expect(await source.read(100, 0)).toHaveLength(0);
    await expect(source.read(98, 3)).rejects.toThrow('expected 3 bytes at 98, found the end at 100');
    for (const [at, count] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
      [0, 2 ** 52],
      [2 ** 60, 1],
    ] as const) {
      await expect(source.read(at, count)).rejects.toThrow(FileError);
    }
    await source.close();
  });

  it('gives bytes that are the reader’s own', async () => {
    const source = await open();
    (await source.read(0, 4)).fill(255);
    expect([...(await source.read(0, 4))]).toEqual([0, 1, 2, 3]);
    await source.close();
  });
});

it('says what is at a path that is no file', async () => {
  await expect(openFileSource(join(folder, 'none'))).rejects.toThrow('there is no such file');
  await expect(openFileSource(folder)).rejects.toThrow('expected a file, found a folder');
  await expect(openFileSource('/dev/null')).rejects.toThrow('expected a file, found a device or a pipe');
});

it('notices a file that is cut short while it is open', async () => {
  const path = join(folder, 'shrinking');
  await writeFile(path, content);
  const source = await openFileSource(path);
  await truncate(path, 50);
  await expect(source.read(40, 20)).rejects.toThrow('expected 20 bytes at 40, found 10');
  await source.close();
  await source.close();
});

it('refuses a range that leaves its whole', () => {
  expect(() => rangeOf(bufferSource('x', content), 90, 11)).toThrow(FileError);
});
