import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { OutputText } from '../../../engine/http/output-text.ts';
import { loadTokenizer, type Tokenizer } from '../../../engine/models/tokenizer.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

const run = (ids: Iterable<number>, stops: string[], minTokens = 0) => {
  const output = new OutputText(tokenizer, stops, minTokens);
  const texts: string[] = [];
  for (const id of ids) {
    const { text, stopped } = output.push(id);
    texts.push(text);
    if (stopped) return { texts, stopped };
  }
  texts.push(output.finish().text);
  return { texts, stopped: false };
};

describe('OutputText', () => {
  it('holds a character back until its bytes are complete', () => {
    const ids = tokenizer.encode('a🦙b');
    expect([...ids]).toHaveLength(5);
    expect(run(ids, []).texts).toEqual(['a', '', '', '🦙', 'b', '']);
  });

  it('gives U+FFFD for a character that was never completed', () => {
    const ids = [...tokenizer.encode('🦙')].slice(0, 2);
    expect(run(ids, []).texts).toEqual(['', '', '\uFFFD']);
  });

  it('finds a stop string over token boundaries and gives nothing of it', () => {
    const ids = tokenizer.encode('one two three four');
    expect([...ids].map((id) => tokenizer.decode([id]))).toEqual(['one', ' two', ' three', ' four']);
    expect(run(ids, ['wo thr'])).toEqual({ texts: ['one', ' t', ''], stopped: true });
  });

  it('gives out what turned out not to be a stop string', () => {
    const ids = tokenizer.encode('one two three');
    expect(run(ids, ['two four'])).toEqual({ texts: ['one', ' ', 'two three', ''], stopped: false });
  });

  it('gives out at the end what was still held back', () => {
    expect(run(tokenizer.encode('one two'), ['two three'])).toEqual({ texts: ['one', ' ', 'two'], stopped: false });
  });

  it('does not look for stop strings in the first min_tokens tokens', () => {
    const ids = tokenizer.encode('one two one two');
    expect(run(ids, [' two'], 2)).toEqual({ texts: ['one', ' two', ' one', ''], stopped: true });
  });

  it('gives, for any ids and stops, the text up to the first stop string and nothing after', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é', '🦙'), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'é'), minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.boolean(), (text, stops, byBytes) => {
        // Ids of single bytes make boundaries in every place; the encoded ones make the usual ones.
        const ids = byBytes ? [...text].flatMap((c) => [...Buffer.from(c)].map(idOfByte)) : [...tokenizer.encode(text)];
        const starts = stops.map((s) => text.indexOf(s)).filter((at) => at >= 0);
        const { texts, stopped } = run(ids, stops);
        // Several ids may bring two stops at once; the earlier one counts then. By bytes the first to be complete ends.
        if (starts.length === 0) {
          expect(texts.join('')).toBe(text);
          expect(stopped).toBe(false);
        } else {
          expect(stopped).toBe(true);
          expect(text.startsWith(texts.join(''))).toBe(true);
          for (const s of stops) expect(texts.join('')).not.toContain(s);
        }
      }),
      { numRuns: 500 },
    );
  });
});

const byteIds = new Map<number, number>();
function idOfByte(byte: number): number {
  if (byteIds.size === 0) {
    for (let id = 0; id < 256; id++) byteIds.set(tokenizer.bytesOf(id)[0]!, id);
  }
  return byteIds.get(byte)!;
}
