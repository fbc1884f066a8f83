/** What tokenizer.json may not hold, by name, and that a broken one never gives more than an error or a tokenizer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../../engine/models/tokenizer.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { byteLevelTokenizer, folderWith, metaspaceTokenizer } from './folders.ts';

const loaded = async (json: object): Promise<Tokenizer> =>
  loadTokenizer({ folder: await folderWith({ 'tokenizer.json': json }) });

describe('what is refused, by name', () => {
  const model = (changes: object) => ({ model: { ...byteLevelTokenizer().model, ...changes } });
  const steps = (...pretokenizers: object[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });
  const bytesLast = { type: 'ByteLevel', add_prefix_space: false };

  it.each<[string, object, RegExp]>([
    [
      'WordPiece',
      { model: { type: 'WordPiece', vocab: {}, unk_token: '[UNK]' } },
      /type "WordPiece" is not supported; expected "BPE"/,
    ],
    ['Unigram', { model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 0 } }, /type "Unigram"/],
    ['words', { model: { type: 'WordLevel', vocab: { a: 0 } } }, /type "WordLevel"/],
    ['no model', { model: undefined }, /model is missing/],
    ['dropout', model({ dropout: 0.1 }), /model\.dropout is 0\.1/],
    ['a suffix', model({ end_of_word_suffix: '</w>' }), /model\.end_of_word_suffix is "<\/w>"/],
    ['a vocabulary that is a list', model({ vocab: ['a'] }), /model\.vocab is \["a"\]/],
    ['an id that is none', model({ vocab: { a: -1 } }), /gives "a" the id -1/],
    ['an id beyond reason', model({ vocab: { a: 2 ** 31 } }), /gives "a" the id 2147483648/],
    ['a merge of one', model({ merges: ['h e', 'll'] }), /model\.merges\[1\] is "ll"; expected two tokens/],
    ['lower-casing', { normalizer: { type: 'Lowercase' } }, /normalizer \{"type":"Lowercase"\} is not supported/],
    ['punctuation', steps({ type: 'Punctuation' }, bytesLast), /pre_tokenizer "Punctuation" is not supported/],
    [
      'a split that joins',
      steps({ type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithNext' }, bytesLast),
      /behavior "MergedWithNext"/,
    ],
    [
      'a pattern that is none',
      steps({ type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' }, bytesLast),
      /cannot be used/,
    ],
    [
      'a space in front of bytes',
      steps({ type: 'ByteLevel', add_prefix_space: true }),
      /expected add_prefix_space false/,
    ],
    [
      'steps after bytes',
      steps(bytesLast, { type: 'Split', pattern: { String: 'x' }, behavior: 'Isolated' }),
      /expected it to be the last step/,
    ],
    ['another decoder', { decoder: { type: 'WordPiece', prefix: '##' } }, /decoder \{"type":"WordPiece"/],
    ['no decoder', { decoder: null }, /there is no decoder; expected ByteLevel/],
    ['characters alone', { pre_tokenizer: null }, /can write neither every byte nor every text/],
    ['added tokens without a text', { added_tokens: [{ id: 5 }] }, /added_tokens\[0\] is \{"id":5\}/],
    [
      'whole words only',
      { added_tokens: [{ id: 5, content: 'x', single_word: true }] },
      /single_word is not supported/,
    ],
    [
      'two tokens before a text',
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'a' } }, { Sequence: {} }],
          special_tokens: { a: { ids: [1, 2] } },
        },
      },
      /puts \[1,2\] before a text/,
    ],
  ])('%s', async (_, changes, words) => {
    const error = await loaded(byteLevelTokenizer(changes)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).message).toMatch(words);
  });

  it('split spaces and missing bytes, over text', async () => {
    const split = { normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' } };
    await expect(loaded(metaspaceTokenizer(split))).rejects.toThrow(/Metaspace: expected split false/);
    const json = metaspaceTokenizer();
    delete (json.model.vocab as Record<string, number>)['<0x41>'];
    await expect(loaded(json)).rejects.toThrow(/lacks 1 of 256 byte tokens, <0x41> first/);
  });

  it('no file, with what makes one', async () => {
    await expect(loadTokenizer({ folder: await folderWith({}) })).rejects.toThrow(
      /no tokenizer\.json.*save_pretrained/,
    );
  });
});

describe('a broken file', () => {
  type Json = null | number | string | boolean | Json[] | { [key: string]: Json };

  /** Every place in it, lists and objects by their first few. */
  function places(value: unknown, path: (string | number)[] = []): (string | number)[][] {
    const inside = Array.isArray(value)
      ? value.slice(0, 3).flatMap((one, i) => places(one, [...path, i]))
      : typeof value === 'object' && value !== null
        ? Object.entries(value)
            .slice(0, 8)
            .flatMap(([key, one]) => places(one, [...path, key]))
        : [];
    return [...(path.length > 0 ? [path] : []), ...inside];
  }

  function replaced(json: unknown, path: (string | number)[], by: Json): Json {
    const copy = structuredClone(json) as Json;
    let at = copy as { [key: string]: Json };
    for (const key of path.slice(0, -1)) at = at[key] as { [key: string]: Json };
    at[path.at(-1)!] = by;
    return copy;
  }

  it.each([
    ['bytes', byteLevelTokenizer()],
    ['text', metaspaceTokenizer()],
  ])('is refused, or is a tokenizer: %s', async (_, json) => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places(json)),
        fc.oneof(
          fc.jsonValue() as fc.Arbitrary<Json>,
          fc.constantFrom<Json>({ type: 'ByteLevel' }, { type: 'Sequence' }, 'Split', '(?', [[]], -1, 2 ** 40),
        ),
        async (path, by) => {
          const tokenizer = await loaded(replaced(json, path, by) as object).catch((error: unknown) => {
            if (!(error instanceof FileError)) throw error;
            return null;
          });
          if (tokenizer === null) return;
          const ids = tokenizer.encode('hello world, 42 <|im_end|> é');
          expect(Math.max(0, ...ids)).toBeLessThan(tokenizer.vocab);
          tokenizer.decode(ids);
        },
      ),
      { numRuns: 250 },
    );
  });
});
