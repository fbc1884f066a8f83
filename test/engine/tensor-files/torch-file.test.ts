import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { bufferSource } from '../../../engine/tensor-files/byte-source.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { DTYPE_BYTES, DTYPES, type TensorFile } from '../../../engine/tensor-files/tensor.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { openTorchFile } from '../../../engine/tensor-files/torch-file.ts';
import { pickleOfTensors } from '../../../engine/tensor-files/write-pickle.ts';
import { writeTorchFile } from '../../../engine/tensor-files/write-torch-file.ts';
import { countingSource, damaged, damages } from './damage.ts';
import { torchMade } from './torch-made.ts';
import { type ZipEntry, zipOf } from './zip-bytes.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

const open = (bytes: Uint8Array) => openTorchFile(bufferSource('f.bin', bytes));
const valuesOf = async (file: TensorFile, name: string) => [...(await file.tensors.get(name)!.read())];

describe('a file that torch made', () => {
  it('gives its tensors, transposed ones and views of one storage too', async () => {
    const file = await open(torchMade());
    expect([...file.tensors.values()].map(({ name, dtype, shape }) => [name, dtype, shape])).toEqual([
      ['t', 'f32', [3, 2]],
      ['row', 'f32', [3]],
      ['h', 'f16', [2]],
      ['b', 'bf16', [2]],
      ['p', 'f32', [1, 1]],
    ]);
    expect(await valuesOf(file, 't')).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await valuesOf(file, 'row')).toEqual([3, 4, 5]);
    expect(await valuesOf(file, 'h')).toEqual([0.5, -2]);
    expect(await valuesOf(file, 'b')).toEqual([1, -0.25]);
    expect(await valuesOf(file, 'p')).toEqual([3]);
    expect([...file.others.values()]).toEqual([{ name: 'i', dtype: 'LongStorage', shape: [1] }]);
  });

  it('reads any part of a transposed tensor', async () => {
    const t = (await open(torchMade())).tensors.get('t')!;
    for (let first = 0; first <= 6; first++) {
      for (let count = 0; first + count <= 6; count++) {
        expect([...(await t.read(first, count))]).toEqual([0, 3, 1, 4, 2, 5].slice(first, first + count));
      }
    }
    await expect(t.read(5, 2)).rejects.toThrow(RangeError);
  });
});

/** A file of one pickle and storages. */
const torchZip = (pickle: Uint8Array | string, storages: Record<string, Uint8Array> = {}, more: ZipEntry[] = []) =>
  zipOf([
    { name: 'x/data.pkl', data: typeof pickle === 'string' ? Buffer.from(pickle, 'latin1') : pickle },
    ...Object.entries(storages).map(([key, data]) => ({ name: `x/data/${key}`, data })),
    ...more,
  ]);

const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const int = (value: number) =>
  Buffer.from(`J${'\0'.repeat(4)}`)
    .fill(Buffer.from(Int32Array.of(value).buffer), 1)
    .toString('latin1');
const sizes = (values: number[]) => `(${values.map(int).join('')}t`;
/** The pickle of a tensor of storage 0. */
const tensorPickle = (o: { type?: string; numel: number; offset?: number; shape: number[]; strides: number[] }) =>
  `ctorch._utils\n_rebuild_tensor_v2\n((${text('storage')}ctorch\n${o.type ?? 'FloatStorage'}\n${text('0')}${text('cpu')}${int(o.numel)}tQ` +
  `${int(o.offset ?? 0)}${sizes(o.shape)}${sizes(o.strides)}\x89NtR`;
const dict = (...items: string[]) => `}(${items.join('')}u.`;
const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

describe('forms', () => {
  const one = tensorPickle({ numel: 2, shape: [2], strides: [1] });
  const storage = { 0: floats(1, 2) };

  it('a dict under state_dict, with other things beside it', async () => {
    const file = await open(torchZip(dict(text('state_dict'), `}${text('w')}${one}s`, text('epoch'), int(3)), storage));
    expect([...file.tensors.keys()]).toEqual(['w']);
    expect(await valuesOf(file, 'w')).toEqual([1, 2]);
  });

  it('lists values that are no tensors', async () => {
    const items = [
      text('w'),
      one,
      text('n'),
      'N',
      text('s'),
      text('a'),
      text('f'),
      'G?\xf8\0\0\0\0\0\0',
      text('l'),
      ']',
      text('d'),
      '}',
    ];
    const file = await open(torchZip(dict(...items), storage));
    expect([...file.others.values()].map(({ name, dtype }) => `${name}: ${dtype}`)).toEqual([
      'n: NoneType',
      's: str',
      'f: float',
      'l: list',
      'd: dict',
    ]);
  });

  it.each([
    ['a column', { numel: 6, offset: 1, shape: [2], strides: [3] }, [1, 4]],
    ['one value repeated', { numel: 6, offset: 2, shape: [2, 2], strides: [0, 0] }, [2, 2, 2, 2]],
    ['three axes, permuted', { numel: 6, shape: [3, 1, 2], strides: [1, 9, 3] }, [0, 3, 1, 4, 2, 5]],
    ['a scalar', { numel: 6, offset: 5, shape: [], strides: [] }, [5]],
    ['none at all', { numel: 6, offset: 6, shape: [0, 3], strides: [3, 1] }, []],
  ])('strides: %s', async (_, layout, expected) => {
    const file = await open(torchZip(dict(text('w'), tensorPickle(layout)), { 0: floats(0, 1, 2, 3, 4, 5) }));
    expect(await valuesOf(file, 'w')).toEqual(expected);
  });

  it('any strides gather what an index would, whole and in parts', async () => {
    const layout = fc
      .array(fc.record({ size: fc.integer({ min: 0, max: 4 }), stride: fc.integer({ min: 0, max: 9 }) }), {
        maxLength: 4,
      })
      .filter((axes) => axes.reduce((product, { size }) => product * size, 1) <= 128);
    await fc.assert(
      fc.asyncProperty(layout, fc.integer({ min: 0, max: 4 }), fc.gen(), async (axes, offset, gen) => {
        const storage = Float32Array.from({ length: 128 }, (_, i) => i * 3);
        const [shape, strides] = [axes.map(({ size }) => size), axes.map(({ stride }) => stride)];
        let expected = [offset];
        for (const { size, stride } of axes) {
          expected = expected.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * stride));
        }
        const file = await open(
          torchZip(dict(text('w'), tensorPickle({ numel: 128, offset, shape, strides })), {
            0: new Uint8Array(storage.buffer),
          }),
        );
        const tensor = file.tensors.get('w')!;
        const first = gen(fc.integer, { min: 0, max: expected.length });
        const count = gen(fc.integer, { min: 0, max: expected.length - first });
        expect([...(await tensor.read())]).toEqual(expected.map((at) => at * 3));
        expect([...(await tensor.read(first, count))]).toEqual(
          expected.slice(first, first + count).map((at) => at * 3),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('refusals', () => {
  const one = tensorPickle({ numel: 2, shape: [2], strides: [1] });
  const good = dict(text('w'), one);
  const storage = { 0: floats(1, 2) };
  const of = (layout: Parameters<typeof tensorPickle>[0]) => torchZip(dict(text('w'), tensorPickle(layout)), storage);
  it.each<[string, Uint8Array, string]>([
    [
      'an empty file',
      new Uint8Array(0),
      'expected a zip as torch.save writes it, found none (it does not begin with "PK")',
    ],
    [
      'the form before torch 1.6',
      Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'),
      'save it again with torch 1.6 or later',
    ],
    ['a text', Buffer.from('version https://git-lfs.github.com/spec/v1'), 'found none'],
    [
      'a zip without a pickle',
      zipOf([{ name: 'x/a' }]),
      'expected data.pkl of a dict of tensors in the zip, found none',
    ],
    ['a TorchScript program', torchZip(good, storage, [{ name: 'x/constants.pkl' }]), 'found a TorchScript program'],
    [
      'two folders',
      torchZip(good, storage, [{ name: 'y/data.pkl' }]),
      'expected one folder in the zip, as torch.save writes it, found 2',
    ],
    [
      'big-endian values',
      torchZip(good, storage, [{ name: 'x/byteorder', data: 'big' }]),
      'expected the byte order "little", found "big"',
    ],
    ['a hostile pickle', torchZip('cos\nsystem\n(X\x02\0\0\0lstR.'), 'refused the global "os.system"'],
    ['a list', torchZip('].'), 'expected a dict of tensors, found a list'],
    ['a module', torchZip('c__main__\nModel\n.'), 'refused the global "__main__.Model"'],
    ['a storage that is not there', torchZip(good), 'tensor "w": expected its storage data/0 in the zip, found none'],
    [
      'a storage of another size',
      torchZip(good, { 0: floats(1, 2, 3) }),
      'tensor "w": expected data/0 to have 8 bytes for 2 elements of FloatStorage, found 12',
    ],
    [
      'an offset past the storage',
      of({ numel: 2, offset: 1, shape: [2], strides: [1] }),
      'tensor "w": expected it within the 2 elements of its storage, found it to end at 3',
    ],
    ['strides past the storage', of({ numel: 2, shape: [2], strides: [2] }), 'found it to end at 3'],
    [
      'more elements than the storage',
      of({ numel: 2, shape: [1 << 30, 1 << 30], strides: [0, 0] }),
      'expected at most the 2 elements of its storage',
    ],
    [
      'as many strides as sizes',
      of({ numel: 2, shape: [2], strides: [] }),
      'expected as many strides as sizes, found 0 and 1',
    ],
    [
      'a negative size',
      of({ numel: 2, shape: [-2], strides: [1] }),
      "expected a tensor's shape to be a tuple of at most 32 sizes",
    ],
    ['a negative stride', of({ numel: 2, shape: [2], strides: [-1] }), "expected a tensor's strides to be"],
    [
      'a negative offset',
      of({ numel: 2, offset: -1, shape: [2], strides: [1] }),
      "expected a tensor's offset to be a size",
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(FileError);
    await expect(open(bytes)).rejects.toThrow(message);
  });

  it.each<[string, ZipEntry[], string]>([
    [
      'a compressed entry',
      [{ name: 'x/data.pkl', data: 'abc', method: 8 }],
      'zip entry "x/data.pkl": expected it stored, as torch.save does, found it compressed (method 8)',
    ],
    [
      'an encrypted entry',
      [{ name: 'x/data.pkl', data: 'abcabcabcabc!', flags: 1, uncompressed: 1 }],
      'expected plain bytes, found it encrypted',
    ],
    ['a size that lies', [{ name: 'x/data.pkl', data: 'abc', uncompressed: 4_000_000_000 }], 'size mismatch'],
    [
      'a size past the file',
      [{ name: 'x/data.pkl', data: 'abc', compressed: 1000, uncompressed: 1000 }],
      'overflows file bounds',
    ],
    [
      'entries that overlap',
      [
        { name: 'x/data.pkl', data: 'abc' },
        { name: 'x/data/0', data: 'abc', offset: 0 },
      ],
      'zip entries "x/data.pkl" and "x/data/0" overlap',
    ],
    ['a name twice', [{ name: 'x/data.pkl' }, { name: 'x/data.pkl' }], 'two entries of the zip have the same name'],
    ['a path that leads out', [{ name: '../data.pkl' }], 'invalid relative path: ../data.pkl'],
    ['an absolute path', [{ name: '/data.pkl' }], 'absolute path: /data.pkl'],
    [
      'damaged content',
      [{ name: 'x/data.pkl', data: 'N.', crc: 0x12345678 }],
      'expected a CRC-32 of 0x12345678, found 0x',
    ],
  ])('%s', async (_, entries, message) => {
    await expect(open(zipOf(entries))).rejects.toThrow(FileError);
    await expect(open(zipOf(entries))).rejects.toThrow(message);
  });

  it('a zip bomb, before any of it is unpacked', async () => {
    const zip = new ZipFile();
    zip.addBuffer(Buffer.alloc(50_000_000), 'x/data.pkl', { compress: true });
    zip.end();
    const chunks: Uint8Array[] = [];
    for await (const chunk of zip.outputStream as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
    const source = countingSource(Buffer.concat(chunks));
    await expect(openTorchFile(source)).rejects.toThrow('found it compressed (method 8)');
    expect(source.total()).toBeLessThan(300_000);
  });

  it('a pickle too large to be one of tensors, unread', async () => {
    const source = countingSource(torchZip(new Uint8Array(16_777_217)));
    await expect(openTorchFile(source)).rejects.toThrow(
      'expected data.pkl to have at most 16777216 bytes, found 16777217',
    );
    expect(source.total()).toBeLessThan(300_000);
  });

  it('a count of entries that lies', async () => {
    await expect(open(zipOf([{ name: 'x/data.pkl' }], { count: 9 }))).rejects.toThrow(FileError);
  });

  it('a value damaged since it was written, when the tensor is read', async () => {
    const bytes = torchZip(good, { 0: floats(1, 2) });
    const at = Buffer.from(bytes).indexOf(Buffer.from(floats(1, 2)));
    bytes[at] = 1;
    const file = await open(bytes);
    await expect(file.tensors.get('w')!.read()).rejects.toThrow('f.bin!x/data/0: expected a CRC-32 of');
  });

  it('not a checksum that torch was told not to compute', async () => {
    const file = await open(torchZip(good, {}, [{ name: 'x/data/0', data: floats(1, 2), crc: 0 }]));
    expect(await valuesOf(file, 'w')).toEqual([1, 2]);
  });

  it('a path that is none', async () => {
    await expect(openTorchFile(join(folder, 'none.bin'))).rejects.toThrow('there is no such file');
  });
});

describe('writing', () => {
  it('writes what it reads, of any type and shape', async () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string({ unit: 'binary', maxLength: 20 }),
        dtype: fc.constantFrom(...DTYPES),
        shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      }),
      { maxLength: 6, selector: ({ name }) => name },
    );
    const path = join(folder, 'round.bin');
    await fc.assert(
      fc.asyncProperty(tensors, async (list) => {
        const written = list.map((one, i) => {
          const count = one.shape.reduce((a, b) => a * b, 1) * DTYPE_BYTES[one.dtype];
          const bytes = Uint8Array.from({ length: count }, (_, at) => (at * 7 + i) & 0xff);
          return { ...one, bytes, data: i % 2 === 0 ? bytes : async () => bytes };
        });
        await writeTorchFile(path, written);
        const file = await openTorchFile(path);
        expect([...file.tensors.keys()]).toEqual(list.map(({ name }) => name));
        for (const { name, dtype, shape, bytes } of written) {
          const tensor = file.tensors.get(name)!;
          expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape]);
          expect(await tensor.readBytes(0, tensor.elements)).toEqual(bytes);
        }
        await file.close();
      }),
      { numRuns: 60 },
    );
  });

  it('asks for a tensor when its turn comes, one at a time', async () => {
    let open = 0;
    const order: number[] = [];
    const tensors: TensorToWrite[] = [0, 1, 2].map((i) => ({
      ...{ name: `t${i}`, dtype: 'f32', shape: [100_000] },
      data: async () => {
        order.push(i, ++open);
        await new Promise((resolve) => setTimeout(resolve, 1));
        open--;
        return new Float32Array(100_000).fill(i);
      },
    }));
    await writeTorchFile(join(folder, 'lazy.bin'), tensors);
    expect(order).toEqual([0, 1, 1, 1, 2, 1]);
    const file = await openTorchFile(join(folder, 'lazy.bin'));
    expect((await file.tensors.get('t2')!.read(99_999, 1))[0]).toBe(2);
    await file.close();
  });

  it('fails as the values do, and leaves what was there', async () => {
    const path = join(folder, 'failing.bin');
    await writeFile(path, 'before');
    const failing = () => Promise.reject(new Error('no values'));
    await expect(writeTorchFile(path, [{ name: 'a', dtype: 'f32', shape: [1], data: failing }])).rejects.toThrow(
      'no values',
    );
    await expect(
      writeTorchFile(path, [{ name: 'a', dtype: 'f32', shape: [2], data: new Float32Array(1) }]),
    ).rejects.toThrow('expected 8 bytes, found 4');
    expect(await readFile(path, 'utf8')).toBe('before');
  });

  it('pickles a tensor as torch does', () => {
    const expected =
      '\x80\x02}(X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nHalfStorage\n' +
      'X\x01\0\0\x000X\x03\0\0\0cpuJ\x06\0\0\0tQJ\0\0\0\0(J\x02\0\0\0J\x03\0\0\0t(J\x03\0\0\0J\x01\0\0\0t\x89' +
      'ccollections\nOrderedDict\n)RtRu.';
    expect(pickleOfTensors([{ name: 'a', dtype: 'f16', shape: [2, 3] }]).toString('latin1')).toBe(expected);
  });
});

describe('fuzz', () => {
  async function outcome(bytes: Uint8Array): Promise<Map<string, number[]> | null> {
    const source = countingSource(bytes);
    const values = new Map<string, number[]>();
    try {
      const file = await openTorchFile(source);
      for (const tensor of file.tensors.values()) values.set(tensor.name, [...(await tensor.read())]);
      return values;
    } catch (error) {
      expect(error).toBeInstanceOf(FileError);
      return null;
    } finally {
      expect(source.largest()).toBeLessThanOrEqual(bytes.length);
      // The zip's end, its directory, and per tensor at most its storage.
      expect(source.total()).toBeLessThanOrEqual(20 * bytes.length);
    }
  }

  it('one place damaged ends in an error or in the right tensors', async () => {
    const whole = torchMade();
    const right = await outcome(whole);
    await fc.assert(
      fc.asyncProperty(damages(whole.length, 1), async (edits) => {
        const bytes = damaged(whole, edits);
        const found = await outcome(bytes);
        if (found) expect(found).toEqual(right);
      }),
      { numRuns: 400 },
    );
  });

  it('many places damaged end in an error or in tensors', async () => {
    await fc.assert(
      fc.asyncProperty(damages(torchMade().length, 12), async (edits) => {
        const bytes = damaged(torchMade(), edits);
        await outcome(bytes);
      }),
      { numRuns: 200 },
    );
  });

  it('a damaged pickle behind a right checksum does too', async () => {
    const pickle = Buffer.from(dict(text('w'), tensorPickle({ numel: 6, shape: [2, 3], strides: [3, 1] })), 'latin1');
    await fc.assert(
      fc.asyncProperty(damages(pickle.length), async (edits) => {
        const bytes = damaged(pickle, edits);
        await outcome(torchZip(bytes, { 0: floats(1, 2, 3, 4, 5, 6) }));
      }),
      { numRuns: 500 },
    );
  });
});
