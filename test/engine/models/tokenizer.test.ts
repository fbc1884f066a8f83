import fc from 'fast-check';
import llama3 from 'llama3-tokenizer-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { LLAMA3_SPECIAL } from '../../../engine/models/llama3-tokenizer.ts';
import { fold, joined, loadTokenizer, type Tokenizer } from '../../../engine/models/tokenizer.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

describe('encode', () => {
  it.each([
    // Ids of Meta-Llama-3-8B's tokenizer.json.
    ['Hello world!', [9906, 1917, 0]],
    ['grabbed', [59312, 2788]],
    [' grabbed', [30418]],
    ['           grabbed', [1881, 30418]],
    ['\n', [198]],
    [' \n', [720]],
    ['	tabs				out here', [3324, 3518, 573, 14294, 1618]],
    ['ax\n####\nboo', [710, 198, 71050, 34093]],
    ['镇', [104643]],
    ['🦙', [9468, 99, 247]],
    ['', []],
  ])('gives the published ids of %j', (text, ids) => {
    expect([...tokenizer.encode(text)]).toEqual(ids);
  });

  it('takes what looks like a special token as plain text', () => {
    for (const text of ['<|eot_id|>', 'a<|begin_of_text|>b', '<|start_header_id|>system<|end_header_id|>']) {
      const ids = tokenizer.encode(text);
      expect(Math.max(...ids)).toBeLessThan(128000);
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('is undone by decode, for any well-formed text', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.lorem());
    fc.assert(
      fc.property(text, (t) => {
        expect(tokenizer.decode(tokenizer.encode(t))).toBe(t);
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same ids in pieces as at once, whatever a cut falls on', () => {
    const fragment = fc.constantFrom(
      ' ',
      '  ',
      '\n',
      ' \n\n',
      "don't",
      'x1234',
      ' word',
      '...',
      '中文',
      '\t',
      '🦙',
      'É',
      '\r\n ',
    );
    fc.assert(
      fc.property(
        fc.array(fragment, { minLength: 40, maxLength: 80 }),
        fc.integer({ min: 200, max: 300 }),
        (parts, times) => {
          // Repeating an odd-sized part moves the cuts over every position in it.
          const text = parts.join('').repeat(times);
          const pieces = [...tokenizer.encodePieces(text)];
          expect(pieces.length).toBeGreaterThan(1);
          expect([...joined(pieces)]).toEqual(llama3.encode(text, { bos: false, eos: false }));
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe('text without a break', () => {
  const letters = (count: number) =>
    Array.from({ length: count }, (_, i) => 97 + ((Math.imul(i + 1, 0x9e3779b1) >>> 8) % 26));
  const longest = (text: string) =>
    Math.max(...[...tokenizer.encodePieces(text)].map((ids) => tokenizer.decode(ids).length));

  it.each([
    ['letters', String.fromCharCode(...letters(10_000))],
    ['one letter', 'a'.repeat(262_144)],
    ['spaces', ' '.repeat(10_000)],
    ['line ends', '\r\n'.repeat(5_000)],
    ['signs', '!?'.repeat(5_000)],
    ['Chinese', '镇中文'.repeat(4_000)],
    ['characters of two halves', `a${'🦙'.repeat(5_000)}`],
    ['letters of two halves', `a${'𠀀'.repeat(5_000)}`],
    ['signs of broken text', '\ufffd'.repeat(3_000)],
  ])('is encoded in bounded pieces and comes back whole: %s', (_, text) => {
    expect(longest(text)).toBeLessThanOrEqual(512);
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids) === text).toBe(true);
    expect([...joined([...tokenizer.encodePieces(text)])]).toEqual([...ids]);
    expect(ids.length * tokenizer.longestTokenBytes).toBeGreaterThanOrEqual(Buffer.byteLength(text));
  });

  it('has the published ids of each part of 512, and of what stands around it', () => {
    const run = String.fromCharCode(...letters(1_300));
    const expected = [
      'some words,',
      ` ${run.slice(0, 511)}`,
      run.slice(511, 1_023),
      `${run.slice(1_023)} and more  of them\n`,
    ].flatMap((part) => llama3.encode(part, { bos: false, eos: false }));
    expect([...tokenizer.encode(`some words, ${run} and more  of them\n`)]).toEqual(expected);
  });

  it('is cut before the space that the split leaves to what follows several of them', () => {
    for (let before = 500; before < 520; before++) {
      const text = `${'a'.repeat(before)}  \t🦙${' b'.repeat(300)}`;
      const head = tokenizer.encode('a'.repeat(before));
      expect([...tokenizer.encode(text)].slice(head.length, head.length + 3)).toEqual([256, 197, 9468]);
    }
  });

  it('is left whole up to 511 characters', () => {
    const text = `x  ${String.fromCharCode(...letters(511))}`;
    expect([...tokenizer.encode(text)]).toEqual(llama3.encode(text, { bos: false, eos: false }));
  });

  it('knows its longest token', () => {
    expect(tokenizer.longestTokenBytes).toBe(128);
    expect(tokenizer.encode(' '.repeat(128)).length).toBe(1);
  });
});

describe('bytesOf', () => {
  it('gives the bytes whose text decode gives, even of parts of a character', () => {
    const llama = tokenizer.encode('🦙');
    const bytes = [...llama].flatMap((id) => [...tokenizer.bytesOf(id)]);
    expect(bytes).toEqual([0xf0, 0x9f, 0xa6, 0x99]);
    expect(tokenizer.decode(llama.subarray(0, 1))).toBe('\uFFFD');
  });

  it('covers every ordinary id with at least one byte, every single byte, and special ids with none', () => {
    const single = new Set<number>();
    for (let id = 0; id < 128000; id++) {
      const bytes = tokenizer.bytesOf(id);
      if (bytes.length === 0) expect.fail(`id ${id} has no bytes`);
      if (bytes.length === 1) single.add(bytes[0]!);
    }
    expect(single.size).toBe(256);
    for (const id of Object.values(LLAMA3_SPECIAL)) expect(tokenizer.bytesOf(id)).toHaveLength(0);
    expect(tokenizer.vocab).toBe(128256);
    expect(() => tokenizer.bytesOf(128256)).toThrow(/128256.*0\.\.128255/);
  });
});

describe('special ids', () => {
  it('are those of the vocabulary', () => {
    expect(llama3.getSpecialTokenId('<|begin_of_text|>')).toBe(LLAMA3_SPECIAL.beginOfText);
    expect(llama3.getSpecialTokenId('<|end_of_text|>')).toBe(LLAMA3_SPECIAL.endOfText);
    expect(llama3.getSpecialTokenId('<|start_header_id|>')).toBe(LLAMA3_SPECIAL.startHeader);
    expect(llama3.getSpecialTokenId('<|end_header_id|>')).toBe(LLAMA3_SPECIAL.endHeader);
    expect(llama3.getSpecialTokenId('<|eot_id|>')).toBe(LLAMA3_SPECIAL.endOfTurn);
  });
});

describe('fold', () => {
  it('takes ids modulo a smaller vocabulary and leaves those that fit', () => {
    const ids = Uint32Array.of(0, 16031, 16032, 128255);
    expect([...fold(ids, 16032)]).toEqual([0, 16031, 0, 128255 % 16032]);
    expect(fold(ids, 128256)).toBe(ids);
  });
});

describe('loadTokenizer', () => {
  it('loads once', async () => {
    expect(await loadTokenizer('llama-3')).toBe(tokenizer);
    expect(await loadTokenizer({ folder: null })).toBe(tokenizer); // a preset, as findModel() gives it
  });
});
