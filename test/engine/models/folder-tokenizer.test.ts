/** Tokenizers of folders: known ids, pieces that equal the whole, and bytes of single tokens. */
import { Tokenizer as PackageTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import llama3 from 'llama3-tokenizer-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { mergedInTurns } from '../../../engine/models/byte-pairs.ts';
import { joined, loadTokenizer, type Tokenizer } from '../../../engine/models/tokenizer.ts';
import { byteLevelTokenizer, folderWith, ID, metaspaceTokenizer } from './folders.ts';

const loaded = async (json: object, more: Record<string, unknown> = {}): Promise<Tokenizer> =>
  loadTokenizer({ folder: await folderWith({ 'tokenizer.json': json, ...more }) });

const bytes = (text: string): number[] => [...Buffer.from(text)];

let byteLevel: Tokenizer;
let metaspace: Tokenizer;
beforeAll(async () => {
  byteLevel = await loaded(byteLevelTokenizer());
  metaspace = await loaded(metaspaceTokenizer());
});

/** Text that puts every kind of boundary next to every other. */
const fragments = fc.array(
  fc.constantFrom(
    ...[' ', '  ', '\n', ' \n\n', "don't", 'hello', ' hello', ' world', '42', ' 7', '...', '中文', '，', '\t', '🦙'],
    ...['É', 'e\u0301', '\r\n ', '\ufeff', '\u0085', '▁', '<|im_end|>', '<think>', '</s>', '\0', '²', 'ab', '<0x41>'],
  ),
  { minLength: 1, maxLength: 40 },
);

describe('a byte-level vocabulary', () => {
  it.each([
    ['hello', [ID.hello]],
    ['hello world', [ID.hello, ID._wo, ID.rld]],
    [' hello  he', [...bytes(' '), ID.hello, ...bytes('  '), ID.he]], // "h e" ranks before "Ġ h"
    [' ha', [ID._h, ...bytes('a')]],
    ['   x', [ID.__, ...bytes(' x')]],
    ['12', bytes('12')],
    ['é', bytes('é')],
    ['', []],
  ])('encodes %j', (text, ids) => {
    expect([...byteLevel.encode(text)]).toEqual(ids);
  });

  it('splits all digits, Roman numerals and fractions too, and at white space as Unicode has it', () => {
    // Before a digit of any script the space is a token of its own; U+FEFF is no white space, U+0085 is.
    expect([...byteLevel.encode('  ²')]).toEqual([ID.__, ...bytes('²')]);
    expect([...byteLevel.encode('  \ufeff')]).toEqual([...bytes('  '), ...bytes('\ufeff')]);
    expect([...byteLevel.encode(' \u0085x')]).toEqual(bytes(' \u0085x'));
  });

  it('takes special tokens in text as text, and finds the added words that are none', () => {
    for (const text of ['<|im_end|>', 'a<|endoftext|>b', '<|im_start|>system\n']) {
      const ids = byteLevel.encode(text);
      expect(Math.max(...ids)).toBeLessThan(300);
      expect(byteLevel.decode(ids)).toBe(text);
    }
    expect([...byteLevel.encode('hello<think>he')]).toEqual([ID.hello, 303, ID.he]);
  });

  it('is undone by decode, for any well-formed text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fragments.map((f) => f.join('')),
    );
    fc.assert(
      fc.property(text, (t) => {
        expect(byteLevel.decode(byteLevel.encode(t))).toBe(t);
      }),
      { numRuns: 300 },
    );
  });

  it('gives the bytes of a character that lies in two tokens, and none of special ones', () => {
    const ids = byteLevel.encode('🦙');
    expect([...ids].map((id) => [...byteLevel.bytesOf(id)])).toEqual([[0xf0, 0x9f], [0xa6], [0x99]]);
    expect(byteLevel.decode(ids.subarray(0, 1))).toBe('\ufffd');
    expect(byteLevel.bytesOf(302)).toHaveLength(0);
    expect(byteLevel.decode([ID.he, 302, 303])).toBe('he<think>');
  });

  it('knows its size and its longest token', () => {
    expect(byteLevel.vocab).toBe(304);
    expect(byteLevel.longestTokenBytes).toBe('<think>'.length);
    expect(byteLevel.beginOfText).toBeNull();
    expect(() => byteLevel.bytesOf(304)).toThrow(/304.*0\.\.303/);
  });
});

describe('a vocabulary over text, as SentencePiece makes them', () => {
  const id = (token: string): number => (metaspaceTokenizer().model.vocab as Record<string, number>)[token]!;
  const ids = (...tokens: string[]) => tokens.map(id);

  it.each([
    ['hello world', ['▁hello', '▁world']],
    ['hello  world', ['▁hello', '▁', '▁world']],
    [' hello', ['▁', '▁hello']],
    ['wor', ['▁wor']],
    ['é!', ['▁', '<0xC3>', '<0xA9>', '!']],
    ['</s>', ['▁', '<0x3C>', '<0x2F>', '<0x73>', '<0x3E>']],
    ['\n', ['▁', '<0x0A>']],
  ])('encodes %j', (text, tokens) => {
    expect([...metaspace.encode(text)]).toEqual(ids(...tokens));
  });

  it('puts the space in front only where its scheme says so', async () => {
    const withScheme = (prepend_scheme: string) =>
      loaded(
        metaspaceTokenizer({
          normalizer: null,
          pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme, split: false },
        }),
      );
    expect([...(await withScheme('never')).encode('wor')]).toEqual(ids('w', 'or'));
    expect([...(await withScheme('first')).encode('wor')]).toEqual(ids('▁wor'));
    expect([...(await withScheme('always')).encode(' wor')]).toEqual(ids('▁wor'));
  });

  it('is undone by decode, which drops the space in front; single tokens keep theirs', () => {
    fc.assert(
      fc.property(fragments, (parts) => {
        const text = parts.join('').replaceAll('▁', '_'); // U+2581 itself comes back as a space, as published
        expect(metaspace.decode(metaspace.encode(text))).toBe(text);
      }),
    );
    expect(Buffer.from(metaspace.bytesOf(id('▁world'))).toString()).toBe(' world');
    expect([...metaspace.bytesOf(id('<0xC3>'))]).toEqual([0xc3]);
    expect(metaspace.decode(ids('▁hello', '▁world'))).toBe('hello world');
  });

  it('begins texts as its post-processor does', () => {
    expect(metaspace.beginOfText).toBe(1);
  });
});

describe('pieces', () => {
  const unknownSplit = {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '[a-z ]+|[^a-z ]+' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
    ],
  };

  it.each<[string, object]>([
    ['bytes', byteLevelTokenizer()],
    ['text', metaspaceTokenizer()],
    ['normalized', byteLevelTokenizer({ normalizer: { type: 'NFC' } })],
    ['another split', byteLevelTokenizer({ pre_tokenizer: unknownSplit })],
  ])('have the ids of the whole text, wherever the cuts fall: %s', async (_, json) => {
    const { added_tokens, ...rest } = json as ReturnType<typeof byteLevelTokenizer>;
    const plain = added_tokens.filter(({ special }) => !special);
    const whole = new PackageTokenizer({ ...rest, added_tokens: plain }, {});
    const tokenizer = await loaded(json);
    // In these the package differs from the published library (digits and white space that are not ASCII).
    const usual = fragments.map((parts) => parts.filter((part) => !/[\u0085\ufeff²]/.test(part)));
    fc.assert(
      fc.property(usual, fc.integer({ min: 1, max: 200 }), (parts, times) => {
        // Repeating an odd-sized part moves the cuts over every position in it.
        const text = parts.join('').repeat(times);
        const { ids } = whole.encode(text, { add_special_tokens: false });
        expect([...joined([...tokenizer.encodePieces(text)])]).toEqual(ids);
      }),
      { numRuns: 100 },
    );
  });

  it('come out many, each small, where the text can be cut, and as turns where it cannot', () => {
    const words = [...byteLevel.encodePieces('hello, wide world. '.repeat(2_000))];
    expect(words.length).toBeGreaterThan(30);
    expect(Math.max(...words.map((ids) => ids.length))).toBeLessThan(2_048);
    const run = [...byteLevel.encodePieces('hello'.repeat(8_000))];
    expect(run.filter((ids) => ids.length === 0).length).toBeGreaterThan(10);
    expect(joined(run)).toHaveLength(8_000);
  });
});

describe('merging in turns', () => {
  /** The rule, word for word: merge the lowest-ranked pair, the leftmost of equals, until there is none. */
  function merged(characters: string[], ranks: Map<string, number>): string[] {
    const tokens = [...characters];
    for (;;) {
      let best = -1;
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < tokens.length; i++) {
        const rank = ranks.get(`${tokens[i]} ${tokens[i + 1]}`) ?? Number.POSITIVE_INFINITY;
        if (rank < least) [best, least] = [i, rank];
      }
      if (best < 0) return tokens;
      tokens.splice(best, 2, tokens[best]! + tokens[best + 1]!);
    }
  }

  it('is merging by the rule', () => {
    const token = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 });
    const ranked = fc.uniqueArray(fc.tuple(token, token), { selector: ([a, b]) => `${a} ${b}`, maxLength: 30 });
    fc.assert(
      fc.property(ranked, fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 60 }), (pairs, text) => {
        const ranks = new Map(pairs.map(([a, b], rank) => [`${a} ${b}`, rank]));
        const turns = mergedInTurns([...text], (a, b) => ranks.get(`${a} ${b}`));
        let turn = turns.next();
        while (!turn.done) turn = turns.next();
        expect(turn.value).toEqual(merged([...text], ranks));
      }),
      { numRuns: 500 },
    );
  });

  it('gives the ids that short words have, over long ones', async () => {
    // Letters that no merge joins to "hello" stand between, so a long word is its parts' ids.
    const word = (times: number) => 'hello_'.repeat(times).replaceAll('_', 'q');
    const short = [...byteLevel.encode(word(1))];
    expect([...byteLevel.encode(word(500))]).toEqual(Array.from({ length: 500 }, () => short).flat());
  });
});

describe("Llama 3's published vocabulary in a folder", () => {
  const SPLIT =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  let published: Tokenizer;
  let preset: Tokenizer;

  beforeAll(async () => {
    const { vocabById, merges } = llama3 as unknown as { vocabById: string[]; merges: Map<string, number> };
    published = await loaded(
      byteLevelTokenizer({
        added_tokens: vocabById.slice(128000).map((content, i) => ({ id: 128000 + i, content, special: true })),
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: SPLIT }, behavior: 'Isolated', invert: false },
            { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
          ],
        },
        model: {
          type: 'BPE',
          ignore_merges: true,
          vocab: Object.fromEntries(vocabById.slice(0, 128000).map((token, id) => [token, id])),
          merges: [...merges.keys()],
        },
      }),
    );
    preset = await loadTokenizer('llama-3');
  });

  it("has the preset's ids, size and bytes", () => {
    expect(published.vocab).toBe(preset.vocab);
    expect(published.longestTokenBytes).toBe(preset.longestTokenBytes);
    for (let id = 0; id < preset.vocab; id += 97) expect(published.bytesOf(id)).toEqual(preset.bytesOf(id));
    fc.assert(
      fc.property(fragments, fc.integer({ min: 1, max: 60 }), (parts, times) => {
        const text = parts.join('').replaceAll('\u0085', ' ').replaceAll('\ufeff', ' ').repeat(times);
        expect([...published.encode(text)]).toEqual([...preset.encode(text)]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a vocabulary and its model', () => {
  const sized = async (json: object, vocab: number) =>
    loadTokenizer({ folder: await folderWith({ 'tokenizer.json': json }), geometry: { vocab } });

  it('may have more embeddings than tokens: those ids have no bytes', async () => {
    const tokenizer = await sized(byteLevelTokenizer(), 320);
    expect(tokenizer.vocab).toBe(320);
    expect(tokenizer.bytesOf(319)).toHaveLength(0);
  });

  it('may not have tokens that the model has no embedding for, special ones aside', async () => {
    await expect(sized(byteLevelTokenizer(), 302)).rejects.toThrow(/1 tokens, "<think>" \(303\).*vocab_size, 302/);
    const json = byteLevelTokenizer();
    json.added_tokens.pop();
    expect((await sized(json, 301)).vocab).toBe(301);
    await expect(sized(metaspaceTokenizer(), 1)).rejects.toThrow(/post_processor puts 1 before a text/);
  });
});
