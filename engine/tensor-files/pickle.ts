/**
 * Reads the pickles that a dict of tensors needs, and runs nothing: what a GLOBAL names is looked up in a table that the
 * caller gives, and any name that is not in it ends the reading. There is no way from a pickle to a call that is not there.
 *
 * Covers what CPython's pickler emits for None, bool, int, float, str, bytes, tuples, lists, dicts, OrderedDicts and
 * persistent ids in protocols 2 to 5. Values nest in memory but nothing here walks them, so depth costs no stack.
 * Source of the opcodes: CPython's Lib/pickle.py and Lib/pickletools.py.
 */
import { quoted } from './problems.ts';

/** Why a pickle was refused; openTorchFile() makes it a FileError. */
export class PickleError extends Error {
  override readonly name = 'PickleError';
}

export class Tuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** Something that a table of globals or a persistent id stands for; what it is, only the caller knows. */
export interface Opaque {
  readonly opaque: string;
}

/** Takes a REDUCE's arguments. @throws PickleError when they are not what it takes */
export type Callable = (args: readonly PickleValue[]) => PickleValue;

export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Tuple
  | PickleValue[]
  | Map<string | number, PickleValue>
  | Opaque
  | Callable;

export interface PickleContext {
  /** By "module.name": what a pickle may name. */
  globals: ReadonlyMap<string, Opaque | Callable>;
  /** What a persistent id stands for. */
  persistent: (id: PickleValue) => PickleValue;
}

/** @throws PickleError when it is cut short, malformed, or names or does what is not known here */
export function unpickle(bytes: Uint8Array, context: PickleContext): PickleValue {
  return new Machine(bytes, context).run();
}

/**
 * A byte can make a dict, which takes a hundred times its size; what is made is bounded by how much is done. A tensor takes
 * torch's pickler about 40 opcodes, so that this is room for 50,000 of them.
 */
const OPCODES = 2 ** 21;
const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** CPython's stack machine, with a stack that its input's length bounds: no opcode pushes more than one value. */
class Machine {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly context: PickleContext;
  private readonly stack: Slot[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private at = 0;

  constructor(bytes: Uint8Array, context: PickleContext) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.context = context;
  }

  run(): PickleValue {
    for (let opcodes = 0; ; opcodes++) {
      if (opcodes === OPCODES) throw this.error(`expected at most ${OPCODES} opcodes, found more`);
      const opcode = this.unsigned(1);
      if (opcode === 0x2e) break; // STOP
      if (!this.scalar(opcode) && !this.container(opcode) && !this.reference(opcode)) {
        throw this.error(`expected an opcode of a dict of tensors, found 0x${opcode.toString(16).padStart(2, '0')}`);
      }
    }
    const value = this.pop();
    if (this.stack.length > 0) throw this.error(`expected one value at the end, found ${this.stack.length} more`);
    return value;
  }

  /** Opcodes that push a plain value. */
  private scalar(opcode: number): boolean {
    switch (opcode) {
      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE
        return this.push(true);
      case 0x89: // NEWFALSE
        return this.push(false);
      case 0x4a: // BININT
        return this.push(this.take(4, () => this.view.getInt32(this.at, true)));
      case 0x4b: // BININT1
        return this.push(this.unsigned(1));
      case 0x4d: // BININT2
        return this.push(this.unsigned(2));
      case 0x8a: // LONG1
        return this.push(this.long(this.unsigned(1)));
      case 0x47: // BINFLOAT
        return this.push(this.take(8, () => this.view.getFloat64(this.at)));
      case 0x8c: // SHORT_BINUNICODE
        return this.push(this.text(this.unsigned(1)));
      case 0x58: // BINUNICODE
        return this.push(this.text(this.unsigned(4)));
      case 0x8d: // BINUNICODE8
        return this.push(this.text(this.unsigned(8)));
      case 0x43: // SHORT_BINBYTES
        return this.push(this.slice(this.unsigned(1)));
      case 0x42: // BINBYTES
        return this.push(this.slice(this.unsigned(4)));
      default:
        return false;
    }
  }

  /** Opcodes that make or fill tuples, lists and dicts. */
  private container(opcode: number): boolean {
    switch (opcode) {
      case 0x28: // MARK
        this.stack.push(MARK);
        return true;
      case 0x29: // EMPTY_TUPLE
        return this.push(new Tuple([]));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.push(new Tuple(Array.from({ length: opcode - 0x84 }, () => this.pop()).reverse()));
      case 0x74: // TUPLE
        return this.push(new Tuple(this.popToMark()));
      case 0x5d: // EMPTY_LIST
        return this.push([]);
      case 0x61: // APPEND
        return this.append([this.pop()]);
      case 0x65: // APPENDS
        return this.append(this.popToMark());
      case 0x7d: // EMPTY_DICT
        return this.push(new Map());
      case 0x73: // SETITEM
        return this.setItems([this.pop(), this.pop()].reverse());
      case 0x75: // SETITEMS
        return this.setItems(this.popToMark());
      default:
        return false;
    }
  }

  /** Opcodes about the memo, names, calls and the stream itself. */
  private reference(opcode: number): boolean {
    switch (opcode) {
      case 0x80: // PROTO
        return this.protocol(this.unsigned(1));
      case 0x95: // FRAME: how much to read ahead
        this.unsigned(8);
        return true;
      case 0x71: // BINPUT
        return this.remember(this.unsigned(1));
      case 0x72: // LONG_BINPUT
        return this.remember(this.unsigned(4));
      case 0x94: // MEMOIZE
        return this.remember(this.memo.size);
      case 0x68: // BINGET
        return this.recall(this.unsigned(1));
      case 0x6a: // LONG_BINGET
        return this.recall(this.unsigned(4));
      case 0x63: // GLOBAL
        return this.global(this.line(), this.line());
      case 0x93: // STACK_GLOBAL
        return this.stackGlobal();
      case 0x52: // REDUCE
        return this.reduce();
      case 0x62: // BUILD
        return this.build();
      case 0x51: // BINPERSID
        return this.push(this.context.persistent(this.pop()));
      default:
        return false;
    }
  }

  private error(problem: string): PickleError {
    return new PickleError(`pickle at byte ${this.at}: ${problem}`);
  }

  private push(value: PickleValue): true {
    this.stack.push(value);
    return true;
  }

  private pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw this.error('expected a value on the stack, found none');
    return value;
  }

  private popToMark(): PickleValue[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark === -1) throw this.error('expected a mark on the stack, found none');
    const values = this.stack.splice(mark + 1) as PickleValue[];
    this.stack.pop();
    return values;
  }

  private top(): PickleValue {
    const value = this.pop();
    this.stack.push(value);
    return value;
  }

  private take<T>(count: number, read: () => T): T {
    if (count > this.bytes.length - this.at) {
      throw this.error(`expected ${count} bytes more, found ${this.bytes.length - this.at}`);
    }
    const value = read();
    this.at += count;
    return value;
  }

  /** A little-endian length or index of 1, 2, 4 or 8 bytes. */
  private unsigned(size: 1 | 2 | 4 | 8): number {
    return this.take(size, () => {
      if (size === 1) return this.view.getUint8(this.at);
      if (size === 2) return this.view.getUint16(this.at, true);
      if (size === 4) return this.view.getUint32(this.at, true);
      return Number(this.view.getBigUint64(this.at, true));
    });
  }

  private slice(count: number): Uint8Array {
    return this.take(count, () => this.bytes.subarray(this.at, this.at + count));
  }

  private text(count: number): string {
    const bytes = this.slice(count);
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.error('expected text in UTF-8, found bytes that are none');
    }
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end === -1 || end - this.at > 256) throw this.error('expected a name of at most 256 bytes, found none');
    const name = this.text(end - this.at);
    this.at++;
    return name;
  }

  /** A two's complement integer of up to 8 bytes. */
  private long(count: number): number {
    if (count > 8) throw this.error(`expected an integer of at most 8 bytes, found one of ${count}`);
    let value = 0n;
    for (const [i, byte] of this.slice(count).entries()) value |= BigInt(byte) << BigInt(8 * i);
    const signed = Number(BigInt.asIntN(8 * count, value));
    if (!Number.isSafeInteger(signed)) throw this.error(`expected an integer below 2^53, found ${signed}`);
    return signed;
  }

  private append(values: readonly PickleValue[]): true {
    const list = this.top();
    if (!Array.isArray(list)) throw this.error('expected a list to append to, found another value');
    for (const value of values) list.push(value);
    return true;
  }

  private setItems(values: readonly PickleValue[]): true {
    const dict = this.top();
    if (!(dict instanceof Map)) throw this.error('expected a dict to put items into, found another value');
    if (values.length % 2 === 1) throw this.error('expected keys and values in turn, found a key without a value');
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i];
      if (typeof key !== 'string' && typeof key !== 'number')
        throw this.error('expected a key that is a str or an int');
      if (dict.has(key)) throw this.error(`the key ${quoted(String(key))} is there twice`);
      dict.set(key, values[i + 1]!);
    }
    return true;
  }

  private protocol(version: number): true {
    if (version > 5) throw this.error(`expected a protocol of at most 5, found ${version}`);
    return true;
  }

  private remember(index: number): true {
    this.memo.set(index, this.top());
    return true;
  }

  private recall(index: number): true {
    const value = this.memo.get(index);
    if (value === undefined) throw this.error(`expected memo entry ${index}, found none`);
    return this.push(value);
  }

  private stackGlobal(): true {
    const name = this.pop();
    const module = this.pop();
    if (typeof name !== 'string' || typeof module !== 'string')
      throw this.error('expected a global to be named by texts');
    return this.global(module, name);
  }

  private global(module: string, name: string): true {
    const value = this.context.globals.get(`${module}.${name}`);
    if (value === undefined) {
      const known = 'only what a dict of tensors needs is read, nothing is executed';
      throw this.error(`refused the global ${quoted(`${module}.${name}`)}: ${known}`);
    }
    return this.push(value);
  }

  private reduce(): true {
    const args = this.pop();
    const callable = this.pop();
    if (typeof callable !== 'function') throw this.error('refused to call what is no known function');
    if (!(args instanceof Tuple)) throw this.error('expected arguments in a tuple');
    return this.push(callable(args.items));
  }

  /** State set on an object: torch puts `_metadata` on a state dict's OrderedDict. It changes no item, and is dropped. */
  private build(): true {
    const state = this.pop();
    if (!(this.top() instanceof Map) || !(state instanceof Map)) {
      throw this.error('refused to set state on what is no dict');
    }
    return true;
  }
}
