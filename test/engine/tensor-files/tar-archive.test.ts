import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { create, Header, Pax } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bufferSource } from '../../../engine/tensor-files/byte-source.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { openTar } from '../../../engine/tensor-files/tar-archive.ts';
import { openTorchFile } from '../../../engine/tensor-files/torch-file.ts';
import { writeNemo } from '../../../engine/tensor-files/write-nemo.ts';
import { countingSource, damaged, damages } from './damage.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-archive-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Block = ConstructorParameters<typeof Header>[0];
/** One entry: header, content, padding. */
function entry(path: string, content: string | Uint8Array = '', more: Exclude<Block, Buffer | undefined> = {}): Buffer {
  const data = Buffer.from(content as string);
  const block = Buffer.alloc(512);
  new Header({ path, size: data.length, type: 'File', mode: 0o644, mtime: new Date(0), ...more }).encode(block, 0);
  return Buffer.concat([block, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}
const END = Buffer.alloc(1024);
const tarOf = (...entries: Buffer[]): Buffer => Buffer.concat([...entries, END]);
const open = (bytes: Uint8Array) => openTar(bufferSource('f.nemo', bytes));

async function contents(files: Awaited<ReturnType<typeof openTar>>): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [name, source] of files) texts[name] = Buffer.from(await source.read(0, source.bytes)).toString();
  return texts;
}

describe('reading', () => {
  it('gives files as ranges, with "./" dropped and folders left out', async () => {
    const files = await open(
      tarOf(entry('./', '', { type: 'Directory' }), entry('./a', 'hello'), entry('b/', ''), entry('b/c', 'x')),
    );
    expect(await contents(files)).toEqual({ a: 'hello', 'b/c': 'x' });
    expect(files.get('a')!.path).toBe('f.nemo!a');
  });

  it('reads what tar writes', async () => {
    await mkdir(join(folder, 'in/mp_rank_00'), { recursive: true });
    await writeFile(join(folder, 'in/model_config.yaml'), 'a: 1');
    await writeFile(join(folder, 'in/mp_rank_00/model_weights.ckpt'), 'w'.repeat(2000));
    await create({ file: join(folder, 'out.tar'), cwd: join(folder, 'in') }, ['.']);
    expect(await contents(await open(await readFile(join(folder, 'out.tar'))))).toEqual({
      'model_config.yaml': 'a: 1',
      'mp_rank_00/model_weights.ckpt': 'w'.repeat(2000),
    });
  });

  it('takes long names, in pax and in GNU form', async () => {
    const long = `${'d'.repeat(120)}/${'n'.repeat(150)}`;
    const pax = new Pax({ path: long }).encode();
    const gnu = entry('././@LongLink', `${long}\0`, { type: 'NextFileHasLongPath' });
    for (const extension of [pax, gnu]) {
      expect(await contents(await open(tarOf(extension, entry('short', 'content'))))).toEqual({ [long]: 'content' });
    }
  });

  it('reads headers only', async () => {
    const source = countingSource(tarOf(entry('big', new Uint8Array(1 << 20)), entry('after', 'x')));
    const files = await openTar(source);
    expect(source.total()).toBe(3 * 512);
    expect(Buffer.from(await files.get('after')!.read(0, 1)).toString()).toBe('x');
  });
});

describe('refusals', () => {
  const wrongSum = entry('a', 'x');
  wrongSum[0] = 0x62;
  it.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'expected a tar of at least 512 bytes, found 0'],
    ['something else', Buffer.from('PK\x03\x04'.padEnd(2000)), 'expected a tar header at 0, found none'],
    ['no files', END, 'expected files in the tar, found none'],
    ['a damaged header', tarOf(entry('z'), wrongSum), 'expected a tar header at 512, found a wrong checksum'],
    [
      'a path that leads out',
      tarOf(entry('a/../../b')),
      'tar entry "a/../../b": expected a relative path within the archive',
    ],
    [
      'a path that leads out through a pax record',
      tarOf(new Pax({ path: '../b' }).encode(), entry('a')),
      'tar entry "../b": expected a relative path',
    ],
    ['an absolute path', tarOf(entry('/etc/passwd')), 'tar entry "/etc/passwd": expected a relative path'],
    ['a path of Windows', tarOf(entry('C:/x')), 'tar entry "C:/x": expected a relative path'],
    ['a backslash', tarOf(entry('a\\b')), 'expected a relative path'],
    [
      'a symbolic link',
      tarOf(entry('a', '', { type: 'SymbolicLink', linkpath: '/etc/passwd' })),
      'tar entry "a": expected a file or a folder, found a SymbolicLink',
    ],
    ['a hard link', tarOf(entry('a', '', { type: 'Link', linkpath: 'b' })), 'found a Link'],
    ['a device', tarOf(entry('a', '', { type: 'BlockDevice', devmaj: 8, devmin: 0 })), 'found a BlockDevice'],
    ['a pipe', tarOf(entry('a', '', { type: 'FIFO' })), 'found a FIFO'],
    ['a sparse file', tarOf(entry('a', '', { type: 'SparseFile' })), 'found a SparseFile'],
    ['a name twice', tarOf(entry('a'), entry('./a')), 'two entries are named "a"'],
    [
      'a size past the end',
      tarOf(entry('a', 'x', { size: 1e9 })),
      'tar entry "a": expected at most the 1536 bytes that the file has left, found 1000000000',
    ],
    [
      'a size past the end through a pax record',
      tarOf(new Pax({ size: 1e15 }).encode(), entry('a', 'x')),
      'found 1000000000000000',
    ],
    [
      'an end without the blocks of zeros',
      entry('a', 'x'),
      "expected a tar header or the archive's end at 1024, found the file cut short",
    ],
    [
      'a large extension',
      tarOf(entry('x', new Uint8Array(70_000), { type: 'ExtendedHeader' }), entry('a')),
      'expected a tar extension of at most 65536 bytes, found 70000',
    ],
    [
      'extensions without end',
      tarOf(...Array.from({ length: 9 }, () => new Pax({ path: 'b' }).encode()), entry('a')),
      'expected an entry after at most 8 tar extensions',
    ],
    [
      'an extension of nothing',
      tarOf(new Pax({ path: 'b' }).encode()),
      'expected an entry after the tar extension, found the end',
    ],
    [
      '10,001 entries',
      tarOf(...Array.from({ length: 10_001 }, (_, i) => entry(`f${i}`))),
      'expected at most 10000 entries in the tar, found more',
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(FileError);
    await expect(open(bytes)).rejects.toThrow(message);
  });

  it('a link that tar wrote', async () => {
    await mkdir(join(folder, 'links'));
    await symlink('/etc/hostname', join(folder, 'links/a'));
    await create({ file: join(folder, 'links.tar'), cwd: join(folder, 'links') }, ['a']);
    await expect(open(await readFile(join(folder, 'links.tar')))).rejects.toThrow('found a SymbolicLink');
  });
});

it('writeNemo writes an archive of the two files', async () => {
  const path = join(folder, 'w.nemo');
  await writeNemo(path, 'a: 1\n', [{ name: 'w', dtype: 'f32', shape: [3], data: new Float32Array([1, 2, 3]) }]);
  const files = await open(await readFile(path));
  expect([...files.keys()]).toEqual(['model_config.yaml', 'model_weights.ckpt']);
  const config = files.get('model_config.yaml')!;
  expect(Buffer.from(await config.read(0, config.bytes)).toString()).toBe('a: 1\n');
  const weights = await openTorchFile(files.get('model_weights.ckpt')!);
  expect([...(await weights.tensors.get('w')!.read())]).toEqual([1, 2, 3]);
  expect((await readFile(path)).length % 512).toBe(0);
});

it('a damaged archive ends in an error or in files that lie in it', async () => {
  const whole = tarOf(
    new Pax({ path: 'long/name', mtime: new Date(1e12) }).encode(),
    entry('a', 'config'),
    entry('b/', ''),
    entry('b/c', 'weights'.repeat(100)),
  );
  await fc.assert(
    fc.asyncProperty(damages(whole.length), async (edits) => {
      const bytes = damaged(whole, edits);
      const source = countingSource(bytes);
      try {
        for (const file of (await openTar(source)).values())
          expect(await file.read(0, file.bytes)).toHaveLength(file.bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FileError);
      }
      expect(source.total()).toBeLessThanOrEqual(3 * bytes.length);
    }),
    { numRuns: 400 },
  );
});
