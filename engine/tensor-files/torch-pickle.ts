/**
 * What the pickle of a torch file may name: the ways torch rebuilds a tensor, and its storage types. Gives references to
 * tensors, which hold no values yet.
 * Source: torch/_utils.py (_rebuild_tensor_v2 and _rebuild_parameter) and torch/serialization.py (persistent ids).
 */
import { type Callable, type Opaque, PickleError, type PickleValue, Tuple } from './pickle.ts';
import { quoted } from './problems.ts';
import type { DType } from './tensor.ts';

export class StorageType implements Opaque {
  /** "FloatStorage". */
  readonly opaque: string;
  readonly dtype: DType | null;
  readonly elementBytes: number;
  constructor(name: string, elementBytes: number, dtype: DType | null) {
    this.opaque = name;
    this.elementBytes = elementBytes;
    this.dtype = dtype;
  }
}

export class StorageReference implements Opaque {
  readonly opaque = 'storage';
  readonly type: StorageType;
  /** Names the entry data/<key>. */
  readonly key: string;
  readonly elements: number;
  constructor(type: StorageType, key: string, elements: number) {
    this.type = type;
    this.key = key;
    this.elements = elements;
  }
}

export class TensorReference implements Opaque {
  readonly opaque = 'tensor';
  readonly storage: StorageReference;
  /** All in elements. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: StorageReference, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const STORAGE_TYPES = [
  new StorageType('FloatStorage', 4, 'f32'),
  new StorageType('HalfStorage', 2, 'f16'),
  new StorageType('BFloat16Storage', 2, 'bf16'),
  new StorageType('DoubleStorage', 8, null),
  new StorageType('LongStorage', 8, null),
  new StorageType('IntStorage', 4, null),
  new StorageType('ShortStorage', 2, null),
  new StorageType('CharStorage', 1, null),
  new StorageType('ByteStorage', 1, null),
  new StorageType('BoolStorage', 1, null),
];

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const sizesOf = (value: PickleValue | undefined, what: string): number[] => {
  if (!(value instanceof Tuple) || !value.items.every(isSize) || value.items.length > 32) {
    throw new PickleError(`expected a tensor's ${what} to be a tuple of at most 32 sizes`);
  }
  return value.items as number[];
};

/** (storage, offset, size, stride, requires_grad, backward_hooks[, metadata]) */
const rebuildTensor: Callable = ([storage, offset, size, stride]) => {
  if (!(storage instanceof StorageReference)) throw new PickleError('expected a tensor to have a storage');
  if (!isSize(offset)) throw new PickleError("expected a tensor's offset to be a size");
  const shape = sizesOf(size, 'shape');
  const strides = sizesOf(stride, 'strides');
  if (shape.length !== strides.length) {
    throw new PickleError(`expected as many strides as sizes, found ${strides.length} and ${shape.length}`);
  }
  return new TensorReference(storage, offset, shape, strides);
};

/** (data, requires_grad, backward_hooks[, state]) */
const rebuildParameter: Callable = ([data]) => {
  if (!(data instanceof TensorReference)) throw new PickleError('expected a parameter to hold a tensor');
  return data;
};

/** Its items come by SETITEMS. */
const orderedDict: Callable = (args) => {
  if (args.length === 0) return new Map();
  throw new PickleError('expected an OrderedDict without arguments');
};

export const TORCH_GLOBALS: ReadonlyMap<string, Opaque | Callable> = new Map<string, Opaque | Callable>([
  ['collections.OrderedDict', orderedDict],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ...STORAGE_TYPES.map((type) => [`torch.${type.opaque}`, type] as const),
]);

/** ('storage', type, key, location, elements) */
export function storageOfId(id: PickleValue): StorageReference {
  const [kind, type, key, , elements] = id instanceof Tuple ? id.items : [];
  const sane = kind === 'storage' && type instanceof StorageType && typeof key === 'string' && isSize(elements);
  if (!sane) throw new PickleError('expected a persistent id of a storage: its type, key, location and size');
  if (!/^[\w.-]{1,64}$/.test(key)) throw new PickleError(`expected a storage's key, found ${quoted(key)}`);
  return new StorageReference(type, key, elements);
}
