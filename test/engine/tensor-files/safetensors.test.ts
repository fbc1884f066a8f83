import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bufferSource } from '../../../engine/tensor-files/byte-source.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { openSafetensors, readSafetensors } from '../../../engine/tensor-files/safetensors.ts';
import { DTYPE_BYTES, DTYPES } from '../../../engine/tensor-files/tensor.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { writeSafetensors } from '../../../engine/tensor-files/write-safetensors.ts';
import { countingSource, damaged, damages } from './damage.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file of this header (text, or made from an object) and payload. */
function fileOf(header: string | object, payload: Uint8Array | number = 0, length?: bigint): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([size, text, typeof payload === 'number' ? Buffer.alloc(payload) : payload]);
}
const open = (bytes: Uint8Array) => readSafetensors(bufferSource('f.safetensors', bytes));
const entry = (dtype: string, shape: number[], from: number, to: number) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe('reading', () => {
  const payload = new Uint8Array([...new Uint8Array(new Float32Array([1, 2, 3, -4]).buffer), 0x00, 0x3c, 0x80, 0x3f]);
  const header = {
    __metadata__: { format: 'pt' },
    bf: entry('BF16', [1], 18, 20),
    'a.weight': entry('F32', [2, 2], 0, 16),
    h: entry('F16', [], 16, 18),
  };

  it('gives tensors by name, whole or in parts', async () => {
    const file = await open(fileOf(header, payload));
    expect(file.metadata).toEqual({ format: 'pt' });
    expect(file.bytes).toBe(8 + JSON.stringify(header).length + 20);
    const a = file.tensors.get('a.weight')!;
    expect({ dtype: a.dtype, shape: a.shape, elements: a.elements }).toEqual({
      dtype: 'f32',
      shape: [2, 2],
      elements: 4,
    });
    expect([...(await a.read())]).toEqual([1, 2, 3, -4]);
    expect([...(await a.read(1, 2))]).toEqual([2, 3]);
    expect([...(await a.read(3))]).toEqual([-4]);
    expect(await a.readBytes(1, 1)).toEqual(new Uint8Array(new Float32Array([2]).buffer));
    expect([...(await file.tensors.get('h')!.read())]).toEqual([1]);
    expect([...(await file.tensors.get('bf')!.read())]).toEqual([1]);
    await expect(a.read(2, 3)).rejects.toThrow(RangeError);
  });

  it('lists what it cannot read', async () => {
    const file = await open(fileOf({ ids: entry('I64', [2], 0, 16), f8: entry('F8_E4M3', [3], 16, 19) }, 19));
    expect(file.tensors.size).toBe(0);
    expect([...file.others.values()]).toEqual([
      { name: 'ids', dtype: 'I64', shape: [2] },
      { name: 'f8', dtype: 'F8_E4M3', shape: [3] },
    ]);
  });

  it('takes a header padded with spaces, no tensors, and empty ones', async () => {
    expect((await open(fileOf('{}      '))).tensors.size).toBe(0);
    const empty = await open(fileOf({ none: entry('F32', [0, 2 ** 40, 2 ** 40], 0, 0) }));
    expect(empty.tensors.get('none')!.elements).toBe(0);
    expect(await empty.tensors.get('none')!.read()).toHaveLength(0);
  });

  it('holds no more of a large file than is asked for', async () => {
    const bytes = fileOf({ a: entry('F32', [1 << 18], 0, 1 << 20) }, 1 << 20);
    const source = countingSource(bytes);
    const file = await readSafetensors(source);
    expect(source.total()).toBeLessThan(200);
    await file.tensors.get('a')!.read(1000, 10);
    expect(source.largest()).toBeLessThan(200);
  });
});

describe('refusals', () => {
  const two = (a: object, b: object, payload: number) => fileOf({ a, b }, payload);
  it.each<[string, Uint8Array, string]>([
    ['an empty file', new Uint8Array(0), 'expected a safetensors file of at least 8 bytes, found 0'],
    [
      'a huge header',
      fileOf('{}', 0, 2n ** 63n),
      'expected a header of at most 2 bytes (what the file has left), found a length of 9223372036854775808',
    ],
    [
      'a header that would take seconds and gigabytes to parse',
      fileOf('{}', 2 ** 24, 2n ** 24n + 1n),
      'expected a header of at most 16777216 bytes (room for 100,000 tensors), found a length of 16777217',
    ],
    ['text that is no JSON', fileOf('{"a":'), 'expected a JSON header of 5 bytes, found text that is none'],
    ['bytes that are no UTF-8', fileOf('{}', 0).map((byte, i) => (i === 8 ? 0xff : byte)), 'found text that is none'],
    ['a list', fileOf('[]'), 'expected the header to be a JSON object, found a list'],
    [
      'a name twice',
      fileOf(
        `{"a":${JSON.stringify(entry('F32', [1], 0, 4))},"\\u0061":${JSON.stringify(entry('F32', [1], 0, 4))}}`,
        4,
      ),
      'the header names "a" twice',
    ],
    ['metadata that is no texts', fileOf({ __metadata__: { a: 1 } }), 'expected __metadata__ to hold texts by name'],
    ['no entry', fileOf({ a: 3 }), 'tensor "a": expected an object, found 3'],
    ['an unknown type', fileOf({ a: entry('Q4', [1], 0, 4) }, 4), 'tensor "a": expected a dtype of F64, F32,'],
    ['a type from the prototype', fileOf({ a: entry('toString', [1], 0, 4) }, 4), 'found "toString"'],
    ['a shape that is none', fileOf({ a: entry('F32', [1.5], 0, 4) }, 4), 'tensor "a": expected a shape of'],
    ['a negative size', fileOf({ a: entry('F32', [-1], 0, 4) }, 4), 'tensor "a": expected a shape of'],
    ['too many axes', fileOf({ a: entry('F32', new Array(40).fill(1), 0, 4) }, 4), 'of at most 32 whole numbers'],
    [
      'a range backwards',
      fileOf({ a: entry('F32', [1], 4, 0) }, 4),
      'tensor "a": expected data_offsets [from, to], found [4, 0]',
    ],
    [
      'a range that is none',
      fileOf({ a: { dtype: 'F32', shape: [1] } }, 4),
      'expected data_offsets [from, to], found nothing',
    ],
    [
      'a misshapen tensor',
      fileOf({ a: entry('F32', [3], 0, 8) }, 8),
      'tensor "a": expected 12 bytes for shape [3] in F32, found 8',
    ],
    ['a product past what counts', fileOf({ a: entry('F32', [2 ** 40, 2 ** 40], 0, 8) }, 8), 'found 8'],
    [
      'a gap',
      two(entry('F32', [1], 0, 4), entry('F32', [1], 8, 12), 12),
      'tensor "b" leaves a gap after tensor "a": expected it to start at 4, found 8',
    ],
    [
      'an overlap',
      two(entry('F32', [2], 0, 8), entry('F32', [1], 4, 8), 8),
      'tensor "b" overlaps tensor "a": expected it to start at 8, found 4',
    ],
    [
      'a file cut short',
      fileOf({ a: entry('F32', [4], 0, 16) }, 12),
      'expected 16 bytes of tensors after the header, found 12: the file is cut short',
    ],
    [
      'a file that goes on',
      fileOf({ a: entry('F32', [4], 0, 16) }, 20),
      'expected 16 bytes of tensors after the header, found 20: the file goes on',
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(FileError);
    await expect(open(bytes)).rejects.toThrow(message);
  });

  it('tells all problems at once, and where they are', async () => {
    const error = await open(fileOf({ a: entry('F32', [3], 0, 8), b: 1, c: entry('X', [], 8, 9) }, 9)).catch((e) => e);
    expect(error.path).toBe('f.safetensors');
    expect(error.problems).toHaveLength(3);
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`t${i}`, 1]));
    const told = await open(fileOf(many)).catch((e) => e);
    expect(told.problems).toHaveLength(21);
    expect(told.problems[20]).toBe('and 980 more problems');
  });
});

describe('writing', () => {
  it('writes what it reads, of any type and shape', async () => {
    const tensors = fc.uniqueArray(
      fc.record({
        name: fc.string({ unit: 'binary', maxLength: 20 }).filter((name) => name !== '__metadata__'),
        dtype: fc.constantFrom(...DTYPES),
        shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      }),
      { maxLength: 6, selector: ({ name }) => name },
    );
    const path = join(folder, 'round.safetensors');
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }), async (list, metadata) => {
        const written: TensorToWrite[] = list.map((one, i) => {
          const count = one.shape.reduce((a, b) => a * b, 1);
          const bytes = Uint8Array.from({ length: count * DTYPE_BYTES[one.dtype] }, (_, at) => (at * 7 + i) & 0xff);
          return { ...one, data: i % 2 === 0 ? bytes : async () => bytes };
        });
        await writeSafetensors(path, written, metadata);
        const file = await openSafetensors(path);
        expect(file.metadata).toEqual(metadata);
        expect([...file.tensors.keys()].sort()).toEqual(list.map(({ name }) => name).sort());
        for (const { name, dtype, shape, data } of written) {
          const tensor = file.tensors.get(name)!;
          expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape]);
          const bytes = typeof data === 'function' ? await data() : data;
          expect(await tensor.readBytes(0, tensor.elements)).toEqual(bytes);
        }
        await file.close();
      }),
      { numRuns: 60 },
    );
  });

  it('lays a small file out as the format says', async () => {
    const path = join(folder, 'small.safetensors');
    await writeSafetensors(path, [
      { name: 'h', dtype: 'f16', shape: [1], data: new Float32Array([1]) },
      { name: 'f', dtype: 'f32', shape: [1], data: new Float32Array([2]) },
    ]);
    const bytes = await readFile(path);
    const header =
      '{"f":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"h":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(bytes.readBigUInt64LE(0)).toBe(BigInt(padded.length));
    expect(bytes.subarray(8, 8 + padded.length).toString()).toBe(padded);
    expect([...bytes.subarray(8 + padded.length)]).toEqual([0, 0, 0, 0x40, 0x00, 0x3c]);
  });

  it('leaves nothing behind, and what was there as it was, when it fails', async () => {
    const path = join(folder, 'failing.safetensors');
    await writeSafetensors(path, [{ name: 'a', dtype: 'f32', shape: [1], data: new Float32Array([1]) }]);
    const before = await readFile(path);
    const wrong: TensorToWrite = { name: 'a', dtype: 'f32', shape: [3], data: new Float32Array([1]) };
    await expect(writeSafetensors(path, [wrong])).rejects.toThrow('expected 12 bytes, found 4');
    await expect(
      writeSafetensors(path, [
        { ...wrong, shape: [1] },
        { ...wrong, shape: [1] },
      ]),
    ).rejects.toThrow('named "a"');
    expect(await readFile(path)).toEqual(before);
    expect((await readdir(folder)).filter((name) => name.includes('part'))).toEqual([]);
  });
});

describe('fuzz', () => {
  it('a damaged file ends in an error, or in tensors that fill it exactly', async () => {
    const header = {
      __metadata__: { format: 'pt' },
      'model.a': entry('F32', [3, 4], 0, 48),
      'model.b': entry('BF16', [8], 48, 64),
      'model.c': entry('I32', [2], 64, 72),
    };
    const whole = fileOf(header, 72);
    await fc.assert(
      fc.asyncProperty(damages(whole.length), async (edits) => {
        const bytes = damaged(whole, edits);
        const source = countingSource(bytes);
        try {
          const file = await readSafetensors(source);
          let payload = 0;
          for (const tensor of file.tensors.values()) {
            expect(await tensor.read()).toHaveLength(tensor.elements);
            payload += tensor.elements * DTYPE_BYTES[tensor.dtype];
          }
          expect(payload).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(FileError);
        }
        expect(source.total()).toBeLessThanOrEqual(2 * bytes.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('any header ends in an error or in tensors', async () => {
    const size = fc.oneof(fc.integer({ min: -2, max: 9 }), fc.constantFrom(2 ** 31, 2 ** 53, 1e300, 0.5));
    const value = fc.record({
      dtype: fc.constantFrom('F32', 'F16', 'BF16', 'I64', 'F4', 'X'),
      shape: fc.array(size, { maxLength: 4 }),
      data_offsets: fc.array(size, { maxLength: 3 }),
    });
    const header = fc.dictionary(
      fc.constantFrom('a', 'b', '__proto__', '__metadata__'),
      fc.oneof(value, fc.jsonValue()),
    );
    await fc.assert(
      fc.asyncProperty(header, fc.integer({ min: 0, max: 40 }), async (object, payload) => {
        const outcome = await open(fileOf(object, payload)).catch((error) => error);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(FileError);
        else for (const tensor of outcome.tensors.values()) expect(await tensor.read()).toHaveLength(tensor.elements);
      }),
      { numRuns: 500 },
    );
  });
});
