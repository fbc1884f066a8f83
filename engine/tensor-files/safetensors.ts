/**
 * Reads safetensors files: a u64 length, a JSON header of that length, then the tensors' bytes without gaps.
 *
 * Everything the header says is checked before a tensor is given out; the payload is read when asked for.
 * Source of the format: github.com/huggingface/safetensors, README, section "Format".
 */
import { type ByteSource, openFileSource } from './byte-source.ts';
import { FileError } from './file-error.ts';
import { duplicateMember } from './json-header.ts';
import { quoted, shapeText, told, valueText } from './problems.ts';
import { storedTensor } from './stored-tensor.ts';
import type { DType, OtherTensor, StoredTensor, TensorFile } from './tensor.ts';

/**
 * The reference implementation's own bound is 100 MB, which takes 20 seconds and 2 GB to parse. About 120 bytes a tensor:
 * room for 100,000, where the largest Llama has 1,200.
 */
const HEADER_BYTES = 2 ** 24;
const DIMENSIONS = 32;

const READABLE: Readonly<Record<string, DType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };
/** Bits of an element of every type the format knows. */
const BITS: Readonly<Record<string, number>> = {
  ...{ F64: 64, F32: 32, F16: 16, BF16: 16, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
  ...{ F6_E2M3: 6, F6_E3M2: 6, F4: 4, C64: 64 },
  ...{ I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8 },
};

interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  from: number;
  to: number;
}

/** @throws FileError with every problem of the header */
export async function openSafetensors(path: string): Promise<TensorFile> {
  const source = await openFileSource(path);
  try {
    return await readSafetensors(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The same of an open source, which the TensorFile's close() closes. @throws FileError; the source stays open then */
export async function readSafetensors(source: ByteSource): Promise<TensorFile> {
  const { header, dataStart } = await readHeader(source);
  const { entries, metadata, problems } = checkHeader(header);
  if (problems.length === 0) problems.push(...rangeProblems(entries, source.bytes - dataStart));
  if (problems.length > 0) throw new FileError(source.path, told(problems));
  const tensors = new Map<string, StoredTensor>();
  const others = new Map<string, OtherTensor>();
  for (const { name, dtype, shape, from } of entries) {
    const readable = Object.hasOwn(READABLE, dtype) ? READABLE[dtype] : undefined;
    if (readable) tensors.set(name, storedTensor(source, { name, dtype: readable, shape, at: dataStart + from }));
    else others.set(name, { name, dtype, shape });
  }
  return { path: source.path, bytes: source.bytes, tensors, others, metadata, close: () => source.close() };
}

async function readHeader(source: ByteSource): Promise<{ header: object; dataStart: number }> {
  const fail = (problem: string, cause?: unknown) => new FileError(source.path, problem, { cause });
  if (source.bytes < 8) throw fail(`expected a safetensors file of at least 8 bytes, found ${source.bytes}`);
  const lengthBytes = await source.read(0, 8);
  const length = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  const room = Math.min(HEADER_BYTES, source.bytes - 8);
  if (length > BigInt(room)) {
    const limit = room === HEADER_BYTES ? 'room for 100,000 tensors' : 'what the file has left';
    throw fail(`expected a header of at most ${room} bytes (${limit}), found a length of ${length}`);
  }
  const bytes = await source.read(8, Number(length));
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw fail(
      `expected a JSON header of ${length} bytes, found text that is none (${(error as Error).message})`,
      error,
    );
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw fail(`expected the header to be a JSON object, found ${valueText(header)}`);
  }
  const twice = duplicateMember(text);
  if (twice !== null) throw fail(`the header names ${quoted(twice)} twice`);
  return { header, dataStart: 8 + Number(length) };
}

function checkHeader(header: object): { entries: Entry[]; metadata: Record<string, string>; problems: string[] } {
  const entries: Entry[] = [];
  const problems: string[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header) as [string, unknown][]) {
    if (name === '__metadata__') {
      if (isTexts(value)) metadata = value;
      else problems.push(`expected __metadata__ to hold texts by name, found ${valueText(value)} with other values`);
      continue;
    }
    const entry = checkEntry(name, value);
    if (typeof entry === 'string') problems.push(entry);
    else entries.push(entry);
  }
  return { entries, metadata, problems };
}

function checkEntry(name: string, value: unknown): Entry | string {
  const tensor = `tensor ${quoted(name)}`;
  if (typeof value !== 'object' || value === null) return `${tensor}: expected an object, found ${valueText(value)}`;
  const { dtype, shape, data_offsets: range } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(BITS, dtype)) {
    return `${tensor}: expected a dtype of ${Object.keys(BITS).join(', ')}, found ${valueText(dtype)}`;
  }
  if (!isSizes(shape) || shape.length > DIMENSIONS) {
    return `${tensor}: expected a shape of at most ${DIMENSIONS} whole numbers, found ${valueText(shape)} of others`;
  }
  if (!isSizes(range) || range.length !== 2 || range[0]! > range[1]!) {
    return `${tensor}: expected data_offsets [from, to], found ${isSizes(range) ? shapeText(range) : valueText(range)}`;
  }
  // In exact integers: the product of a hostile shape passes what a number can count.
  const bits = shape.reduce((product, size) => product * BigInt(size), BigInt(BITS[dtype]!));
  const [from, to] = range as [number, number];
  if (bits !== BigInt(to - from) * 8n) {
    const expected = bits % 8n === 0n ? `${bits / 8n} bytes` : `a whole number of bytes, not ${bits} bits`;
    return `${tensor}: expected ${expected} for shape ${shapeText(shape)} in ${dtype}, found ${to - from}`;
  }
  return { name, dtype, shape, from, to };
}

/** The format wants every byte after the header to belong to exactly one tensor. */
function rangeProblems(entries: readonly Entry[], payload: number): string[] {
  const problems: string[] = [];
  let end = 0;
  let before = 'the header';
  for (const { name, from, to } of entries.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end) {
      const what = from < end ? 'overlaps' : 'leaves a gap after';
      problems.push(`tensor ${quoted(name)} ${what} ${before}: expected it to start at ${end}, found ${from}`);
    }
    end = Math.max(end, to);
    before = `tensor ${quoted(name)}`;
  }
  if (end !== payload) {
    const what = end > payload ? 'the file is cut short' : 'the file goes on after the last tensor';
    problems.push(`expected ${end} bytes of tensors after the header, found ${payload}: ${what}`);
  }
  return problems;
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

const isTexts = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((text) => typeof text === 'string');
