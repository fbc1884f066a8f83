import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PickleContext, PickleError, Tuple, unpickle } from '../../../engine/tensor-files/pickle.ts';
import { storageOfId, TensorReference, TORCH_GLOBALS } from '../../../engine/tensor-files/torch-pickle.ts';
import { pickleOfTensors } from '../../../engine/tensor-files/write-pickle.ts';

const CONTEXT: PickleContext = { globals: TORCH_GLOBALS, persistent: storageOfId };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const read = (text: string) => unpickle(bytes(text), CONTEXT);

describe('values that CPython pickled', () => {
  // pickle.dumps({"a": [1, -2, 300, 70000, 2**40, -1], "b": (True, None, 1.5), "c": {"d": b"xy"}, 3: "é", "t": (1,2,3,4)}, n)
  const BY_PROTOCOL = {
    2: '\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01J\x70\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01J\xff\xff\xff\xffeX\x01\x00\x00\x00bq\x03\x88NG?\xf8\x00\x00\x00\x00\x00\x00\x87q\x04X\x01\x00\x00\x00tq\x05(K\x01K\x02K\x03K\x04tq\x06K\x03X\x02\x00\x00\x00\xc3\xa9q\x07u.',
    5: '\x80\x05\x95\x4a\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM\x2c\x01J\x70\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01J\xff\xff\xff\xffe\x8c\x01b\x94\x88NG?\xf8\x00\x00\x00\x00\x00\x00\x87\x94\x8c\x01t\x94(K\x01K\x02K\x03K\x04t\x94K\x03\x8c\x02\xc3\xa9\x94u.',
  };
  it.each(Object.entries(BY_PROTOCOL))('protocol %s', (_, text) => {
    const expected = new Map<string | number, unknown>([
      ['a', [1, -2, 300, 70000, 2 ** 40, -1]],
      ['b', new Tuple([true, null, 1.5])],
      ['t', new Tuple([1, 2, 3, 4])],
      [3, 'é'],
    ]);
    expect(read(text)).toEqual(expected);
  });

  it('memo, bytes and single items', () => {
    expect(read('X\x02\x00\x00\x00hiq\x05]h\x05ah\x05a\x86.')).toEqual(new Tuple(['hi', ['hi', 'hi']]));
    expect(read('}X\x01\x00\x00\x00aC\x02xys.')).toEqual(new Map([['a', new Uint8Array([0x78, 0x79])]]));
    expect(read('\x8a\x00.')).toBe(0);
    expect(read('\x8a\x01\xff.')).toBe(-1);
  });

  it('drops the state of an OrderedDict, as a state dict has', () => {
    const dict = 'ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00aK\x01u}X\x09\x00\x00\x00_metadata}sb.';
    expect(read(dict)).toEqual(new Map([['a', 1]]));
  });
});

describe('tensors', () => {
  it('are references to their storages', () => {
    const dict = unpickle(pickleOfTensors([{ name: 'w', dtype: 'bf16', shape: [2, 3] }]), CONTEXT) as Map<
      string,
      unknown
    >;
    const tensor = dict.get('w') as TensorReference;
    expect(tensor).toBeInstanceOf(TensorReference);
    expect([tensor.offset, tensor.shape, tensor.strides]).toEqual([0, [2, 3], [3, 1]]);
    expect([tensor.storage.key, tensor.storage.elements, tensor.storage.type.dtype]).toEqual(['0', 6, 'bf16']);
  });

  it('of 2^31 elements and more keep their size', () => {
    const dict = unpickle(pickleOfTensors([{ name: 'w', dtype: 'f16', shape: [2 ** 20, 2 ** 12] }]), CONTEXT);
    expect((dict as Map<string, TensorReference>).get('w')!.storage.elements).toBe(2 ** 32);
  });
});

describe('refusals', () => {
  it.each([
    // What `pickle.dumps` gives for an object whose __reduce__ is (os.system, ("echo pwned",)).
    [
      'os.system',
      '\x80\x02cposix\nsystem\nq\x00X\x0a\x00\x00\x00echo pwnedq\x01\x85q\x02Rq\x03.',
      'refused the global "posix.system"',
    ],
    [
      'builtins.eval by STACK_GLOBAL',
      '\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.',
      'refused the global "builtins.eval"',
    ],
    [
      'a name that JavaScript objects have',
      'cconstructor\nconstructor\n.',
      'refused the global "constructor.constructor"',
    ],
    ['a nested name', '\x8c\x05torch\x8c\x0e_utils.Storage\x93.', 'refused the global "torch._utils.Storage"'],
    ['an instance (NEWOBJ)', 'ccollections\nOrderedDict\n)\x81.', 'found 0x81'],
    ['INST', '(iposix\nsystem\n.', 'found 0x69'],
    ['OBJ', '(o.', 'found 0x6f'],
    ['an extension', '\x82\x01.', 'found 0x82'],
    ['a buffer', '\x97.', 'found 0x97'],
    ['a call of what is no function', 'ctorch\nFloatStorage\n)R.', 'refused to call what is no known function'],
    ['a call without a tuple', 'ccollections\nOrderedDict\n]R.', 'expected arguments in a tuple'],
    [
      'an OrderedDict with arguments',
      'ccollections\nOrderedDict\nK\x01\x85R.',
      'expected an OrderedDict without arguments',
    ],
    ['state on a list', ']}b.', 'refused to set state on what is no dict'],
    ['a key twice', '}X\x01\x00\x00\x00aK\x01sX\x01\x00\x00\x00aK\x02s.', 'the key "a" is there twice'],
    ['a key that is a dict', '}}K\x01s.', 'expected a key that is a str or an int'],
    ['keys without values', '}(K\x01u.', 'found a key without a value'],
    ['items of a list', '](K\x01K\x02u.', 'expected a dict to put items into'],
    ['an append to a dict', '}K\x01a.', 'expected a list to append to'],
    ['a pop of nothing', '\x85.', 'expected a value on the stack'],
    ['no mark', 't.', 'expected a mark on the stack'],
    ['a value that is a mark', '(\x85.', 'expected a value on the stack'],
    ['nothing at the end', '.', 'expected a value on the stack'],
    ['two values at the end', 'K\x01K\x02.', 'expected one value at the end, found 1 more'],
    ['a memo entry that is not there', 'h\x07.', 'expected memo entry 7, found none'],
    ['a protocol to come', '\x80\x06N.', 'expected a protocol of at most 5, found 6'],
    ['no STOP', 'N', 'expected 1 bytes more, found 0'],
    ['a text cut short', 'X\xff\xff\xff\xffab.', 'expected 4294967295 bytes more, found 3'],
    ['a text that is no UTF-8', 'X\x01\x00\x00\x00\xff.', 'expected text in UTF-8'],
    [
      'an integer of 9 bytes',
      '\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.',
      'expected an integer of at most 8 bytes',
    ],
    ['an integer past 2^53', '\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.', 'expected an integer below 2^53'],
    ['an endless name', `c${'a'.repeat(300)}\nb\n.`, 'expected a name of at most 256 bytes'],
    ['a persistent id that is none', 'K\x01Q.', 'expected a persistent id of a storage'],
    [
      'a storage whose key is a path',
      '(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x05\x00\x00\x00../xyX\x03\x00\x00\x00cpuK\x01tQ.',
      'expected a storage\'s key, found "../xy"',
    ],
    [
      'a tensor without a storage',
      'ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))\x89NtR.',
      'expected a tensor to have a storage',
    ],
  ])('%s', (_, text, message) => {
    expect(() => read(text)).toThrow(PickleError);
    expect(() => read(text)).toThrow(message);
  });

  it.each([
    ['dicts', `${'}'.repeat(2_200_000)}.`],
    ['memo entries', `N${'\x94'.repeat(2_200_000)}.`],
  ])('%s without end, which would take a hundred times their bytes', (_, text) => {
    expect(() => read(text)).toThrow('expected at most 2097152 opcodes');
  });

  it('takes nesting of any depth without running out of stack', () => {
    expect(() => read(`${']'.repeat(200_000)}${'a'.repeat(199_999)}.`)).not.toThrow();
    // t = (t, t), 200 times over in 1,200 bytes: 2^200 leaves, if something walked them. The dict's value is the last of them.
    const doubled = `)q\x00${'h\x00h\x00\x86q\x00'.repeat(200)}`;
    expect(() => read(`}X\x01\x00\x00\x00a(${doubled}ts.`)).not.toThrow();
  });
});

it('any bytes end in a value or a PickleError', () => {
  const opcodes = fc.constantFrom(...'(.)]}aesutbRQNq\x00h\x00K\x01\x85\x86\x87\x88\x8c\x93\x94');
  const stream = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(opcodes, { maxLength: 60 }).map((list) => bytes(list.join(''))),
  );
  fc.assert(
    fc.property(stream, (data) => {
      try {
        unpickle(data, CONTEXT);
      } catch (error) {
        expect(error).toBeInstanceOf(PickleError);
      }
    }),
    { numRuns: 5000 },
  );
});
