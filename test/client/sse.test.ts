/** The event-stream parser: the format's rules, and that cutting the bytes anywhere changes nothing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINE_LIMIT_BYTES, SseParser } from '../../src/client/sse.ts';

function parse(...buffers: (Buffer | string)[]): { data: string; at: number }[] {
  const events: { data: string; at: number }[] = [];
  const parser = new SseParser((data, at) => events.push({ data, at }));
  for (const [i, bytes] of buffers.entries()) parser.push(Buffer.from(bytes), i);
  parser.end(buffers.length);
  return events;
}
const dataOf = (...buffers: (Buffer | string)[]) => parse(...buffers).map(({ data }) => data);

describe('the format', () => {
  it('joins data lines, skips comments and other fields, and strips one space', () => {
    expect(dataOf(': hello\nevent: x\nid: 1\ndata: a\ndata:b\ndata:  c\n\nretry: 5\n\ndata\n\n')).toEqual([
      'a\nb\n c',
      '',
    ]);
  });

  it.each(['\n', '\r\n', '\r'])('ends lines with %j', (end) => {
    expect(dataOf(`data: 1${end}${end}data: 2${end}${end}`)).toEqual(['1', '2']);
  });

  it('skips a byte order mark', () => {
    expect(dataOf('\uFEFFdata: 1\n\n')).toEqual(['1']);
    expect(dataOf('\uFEFF\ndata: 1\n\n')).toEqual(['1']);
  });

  it('does not take "database:" for data', () => {
    expect(dataOf('database: 1\n\nxdata: 2\n\n')).toEqual([]);
  });

  it('gives complete lines at the end of the stream without their blank line, and no half line', () => {
    expect(dataOf('data: [DONE]\n')).toEqual(['[DONE]']);
    expect(dataOf('data: 1\n\ndata: {"half')).toEqual(['1']);
  });

  it('stamps an event with the buffer that completed it', () => {
    expect(parse('data: a', '\n', '\ndata: b\n\nda', 'ta: c\n\n')).toEqual([
      { data: 'a', at: 2 },
      { data: 'b', at: 2 },
      { data: 'c', at: 3 },
    ]);
  });

  it('keeps its own copy of a half line', () => {
    const events: string[] = [];
    const parser = new SseParser((data) => events.push(data));
    const shared = Buffer.from('data: first');
    parser.push(shared, 0);
    shared.fill(0x78);
    parser.push(Buffer.from('!\n\n'), 1);
    expect(events).toEqual(['first!']);
  });

  it('takes a 10 MB line in small pieces, and refuses an endless one', () => {
    const piece = Buffer.alloc(16 * 1024, 'x');
    const pieces = 10 * 64;
    const events: number[] = [];
    const parser = new SseParser((data) => events.push(data.length));
    parser.push(Buffer.from('data: '), 0);
    for (let i = 0; i < pieces; i++) parser.push(piece, i);
    parser.push(Buffer.from('\n\n'), 0);
    expect(events).toEqual([pieces * piece.length]);
    const big = Buffer.alloc(LINE_LIMIT_BYTES / 4, 'x');
    expect(() => {
      for (let i = 0; i < 5; i++) parser.push(big, 0);
    }).toThrow(RangeError);
  });
});

describe('cut anywhere', () => {
  const text = fc
    .array(fc.constantFrom('a', 'é', '漢', '🎂', '{', '"', ' ', ':', '\uFEFF', ''), { maxLength: 6 })
    .map((l) => l.join(''));
  const line = fc.oneof(
    text.map((t) => `data: ${t}`),
    text.map((t) => `data:${t}`),
    text.map((t) => `: ${t}`),
    fc.constantFrom('event: message', 'data', ''),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 14 })
    .map((lines) => Buffer.from(lines.map(([l, e]) => l + e).join('')));

  it('gives the same events', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(200), { maxLength: 12 }), (bytes, cuts) => {
        const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted((a, b) => a - b);
        const parts = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
        expect(dataOf(...parts)).toEqual(dataOf(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('gives the same events one byte at a time', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        expect(dataOf(...Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(dataOf(bytes));
      }),
    );
  });

  it('gives back what was written', () => {
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.nat(40),
        (texts, end, cut) => {
          const bytes = Buffer.from(texts.map((t) => `data: ${t}${end}${end}`).join(''));
          expect(dataOf(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(texts);
        },
      ),
    );
  });
});
