/**
 * The pickle of a dict of contiguous tensors, in protocol 2, as torch.save writes it and torch.load(weights_only=True)
 * reads it. The inverse of torch-pickle.ts.
 */
import type { DType } from './tensor.ts';
import { elementsOf } from './tensor-to-write.ts';

const STORAGE: Readonly<Record<DType, string>> = { f32: 'FloatStorage', f16: 'HalfStorage', bf16: 'BFloat16Storage' };

const MARK = '(';
const TUPLE = 't';
const global = (module: string, name: string): string => `c${module}\n${name}\n`;

/** Tensor number i is in storage data/<i>. */
export function pickleOfTensors(tensors: readonly { name: string; dtype: DType; shape: readonly number[] }[]): Buffer {
  const parts: (string | Buffer)[] = ['\x80\x02', '}', MARK];
  for (const [i, { name, dtype, shape }] of tensors.entries()) {
    parts.push(text(name), global('torch._utils', '_rebuild_tensor_v2'), MARK);
    parts.push(MARK, text('storage'), global('torch', STORAGE[dtype]), text(String(i)), text('cpu'));
    parts.push(integer(elementsOf(shape)), TUPLE, 'Q');
    parts.push(integer(0), sizes(shape), sizes(stridesOf(shape)), '\x89', global('collections', 'OrderedDict'), ')R');
    parts.push(TUPLE, 'R');
  }
  parts.push('u.');
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
}

/** Row-major, in elements. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementsOf(shape.slice(axis + 1).map((size) => Math.max(1, size))));
}

/** BINUNICODE. */
function text(value: string): Buffer {
  const utf8 = Buffer.from(value);
  const head = Buffer.from('X\0\0\0\0', 'latin1');
  head.writeUInt32LE(utf8.length, 1);
  return Buffer.concat([head, utf8]);
}

/** BININT, or LONG1 of 8 bytes from 2^31 on. */
function integer(value: number): Buffer {
  if (value < 2 ** 31) {
    const bytes = Buffer.from('J\0\0\0\0', 'latin1');
    bytes.writeInt32LE(value, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(10);
  bytes.set([0x8a, 8]);
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

const sizes = (values: readonly number[]): Buffer =>
  Buffer.concat([Buffer.from(MARK), ...values.map(integer), Buffer.from(TUPLE)]);
