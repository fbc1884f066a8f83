/**
 * Reads what torch.save writes since torch 1.6 (.bin, .pt, .ckpt): a zip of stored entries with one folder, in which
 * `data.pkl` says which tensors there are and `data/<key>` holds their storages.
 *
 * Nothing of the pickle is executed (pickle.ts). A dict of tensors is taken, or one under the key `state_dict`, as
 * training checkpoints have it. Values are read when asked for.
 * Source of the format: torch/serialization.py, _save and _load.
 */
import { type ByteSource, openFileSource } from './byte-source.ts';
import { FileError } from './file-error.ts';
import { PickleError, type PickleValue, Tuple, unpickle } from './pickle.ts';
import { quoted, shapeText, told } from './problems.ts';
import { storedTensor } from './stored-tensor.ts';
import { isContiguous, reachOf, stridedTensor } from './strided-tensor.ts';
import type { OtherTensor, StoredTensor, TensorFile } from './tensor.ts';
import { storageOfId, TensorReference, TORCH_GLOBALS } from './torch-pickle.ts';
import { openZip } from './zip-archive.ts';

/** About 200 bytes a tensor: room for 80,000. */
const PICKLE_BYTES = 2 ** 24;

/** A source given stays open when this throws; else close() closes it. @throws FileError with every problem found */
export async function openTorchFile(from: string | ByteSource): Promise<TensorFile> {
  if (typeof from !== 'string') return readTorchFile(from);
  const source = await openFileSource(from);
  try {
    return await readTorchFile(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function readTorchFile(source: ByteSource): Promise<TensorFile> {
  await checkMagic(source);
  const entries = contentOf(source, (await openZip(source)).entries);
  await checkByteOrder(source, entries);
  const dict = stateDict(source.path, await readPickle(source, entries));
  const tensors = new Map<string, StoredTensor>();
  const others = new Map<string, OtherTensor>();
  const problems: string[] = [];
  for (const [key, value] of dict) {
    const name = String(key);
    if (tensors.has(name) || others.has(name)) problems.push(`two tensors are named ${quoted(name)}`);
    else if (!(value instanceof TensorReference)) others.set(name, { name, dtype: typeText(value), shape: [] });
    else {
      const tensor = tensorOf(name, value, entries);
      if (typeof tensor === 'string') problems.push(`tensor ${quoted(name)}: ${tensor}`);
      else if ('read' in tensor) tensors.set(name, tensor);
      else others.set(name, tensor);
    }
  }
  if (problems.length > 0) throw new FileError(source.path, told(problems));
  return { path: source.path, bytes: source.bytes, tensors, others, metadata: {}, close: () => source.close() };
}

async function checkMagic(source: ByteSource): Promise<void> {
  const bytes = await source.read(0, Math.min(4, source.bytes));
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return;
  const legacy = bytes[0] === 0x80;
  const found = legacy
    ? 'the form torch used before 1.6: load it and save it again with torch 1.6 or later, or as safetensors'
    : 'none (it does not begin with "PK")';
  throw new FileError(source.path, `expected a zip as torch.save writes it, found ${found}`);
}

/** The entries by their names within the archive's one folder. */
function contentOf(source: ByteSource, entries: ReadonlyMap<string, ByteSource>): Map<string, ByteSource> {
  const folders = new Set([...entries.keys()].map((name) => name.split('/', 1)[0]!));
  const [folder] = folders;
  if (folders.size !== 1 || folder === undefined) {
    throw new FileError(source.path, `expected one folder in the zip, as torch.save writes it, found ${folders.size}`);
  }
  return new Map([...entries].map(([name, entry]) => [name.slice(folder.length + 1), entry]));
}

async function checkByteOrder(source: ByteSource, entries: ReadonlyMap<string, ByteSource>): Promise<void> {
  const entry = entries.get('byteorder');
  if (!entry) return; // before torch 2.1: of the machine that wrote it
  const text = entry.bytes <= 16 ? Buffer.from(await entry.read(0, entry.bytes)).toString() : 'a long text';
  if (text !== 'little') throw new FileError(source.path, `expected the byte order "little", found ${quoted(text)}`);
}

async function readPickle(source: ByteSource, entries: ReadonlyMap<string, ByteSource>): Promise<PickleValue> {
  const entry = entries.get('data.pkl');
  if (!entry || entries.has('constants.pkl')) {
    const found = entry ? 'a TorchScript program' : 'none';
    throw new FileError(source.path, `expected data.pkl of a dict of tensors in the zip, found ${found}`);
  }
  if (entry.bytes > PICKLE_BYTES) {
    throw new FileError(source.path, `expected data.pkl to have at most ${PICKLE_BYTES} bytes, found ${entry.bytes}`);
  }
  try {
    return unpickle(await entry.read(0, entry.bytes), { globals: TORCH_GLOBALS, persistent: storageOfId });
  } catch (error) {
    if (error instanceof PickleError) throw new FileError(source.path, error.message, { cause: error });
    throw error;
  }
}

function stateDict(path: string, value: PickleValue): Map<string | number, PickleValue> {
  if (!(value instanceof Map)) throw new FileError(path, `expected a dict of tensors, found a ${typeText(value)}`);
  const inner = value.get('state_dict');
  return inner instanceof Map ? inner : value;
}

/** What a value is, as Python would say. */
function typeText(value: PickleValue): string {
  if (value === null) return 'NoneType';
  if (value instanceof Map) return 'dict';
  if (value instanceof Tuple) return 'tuple';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return typeof value === 'string' ? 'str' : 'object';
}

/** The tensor, or what is wrong with it. */
function tensorOf(
  name: string,
  { storage, shape, strides, offset }: TensorReference,
  entries: ReadonlyMap<string, ByteSource>,
): StoredTensor | OtherTensor | string {
  const { type, key } = storage;
  const entry = entries.get(`data/${key}`);
  if (!entry) return `expected its storage data/${key} in the zip, found none`;
  if (entry.bytes !== storage.elements * type.elementBytes) {
    const expected = `${storage.elements * type.elementBytes} bytes for ${storage.elements} elements of ${type.opaque}`;
    return `expected data/${key} to have ${expected}, found ${entry.bytes}`;
  }
  // Exact: the product of hostile sizes passes what a number can count.
  const elements = shape.reduce((product, size) => product * BigInt(size), 1n);
  if (elements > BigInt(storage.elements)) {
    return `expected at most the ${storage.elements} elements of its storage, found shape ${shapeText(shape)}`;
  }
  const last = elements === 0n ? offset : offset + reachOf(shape, strides) + 1;
  if (last > storage.elements) {
    return `expected it within the ${storage.elements} elements of its storage, found it to end at ${last}`;
  }
  if (!type.dtype) return { name, dtype: type.opaque, shape };
  const { dtype } = type;
  return isContiguous(shape, strides)
    ? storedTensor(entry, { name, dtype, shape, at: offset * type.elementBytes })
    : stridedTensor(entry, { name, dtype, shape, strides, offset });
}
