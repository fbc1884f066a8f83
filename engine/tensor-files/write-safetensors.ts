/** Writes a safetensors file, one tensor in memory at a time. Format: see safetensors.ts. */
import { DTYPE_BYTES, type DType } from './tensor.ts';
import { bytesOf, bytesToWrite, checkTensorsToWrite, type TensorToWrite } from './tensor-to-write.ts';
import { writeAll, writeWhole } from './write-whole.ts';

const NAMES: Readonly<Record<DType, string>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };

/**
 * Writes the file whole or not at all. Tensors of wider types come first, as the reference implementation orders them, so
 * that each is aligned to its own type.
 * @throws RangeError when two tensors share a name or one's values do not fill its shape
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkTensorsToWrite(tensors);
  const ordered = tensors.toSorted((a, b) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype]);
  const header = headerOf(ordered, metadata);
  await writeWhole(path, async (file) => {
    await writeAll(file, header, 0);
    let at = header.length;
    for (const tensor of ordered) {
      const bytes = await bytesToWrite(tensor);
      await writeAll(file, bytes, at);
      at += bytes.length;
    }
  });
}

/** Length and JSON, padded with spaces so that the payload starts at a multiple of 8. */
function headerOf(tensors: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let at = 0;
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  for (const tensor of tensors) {
    const end = at + bytesOf(tensor);
    entries.push([tensor.name, { dtype: NAMES[tensor.dtype], shape: tensor.shape, data_offsets: [at, end] }]);
    at = end;
  }
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const header = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  return header;
}
