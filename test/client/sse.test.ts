/** The event-stream parser: the format's rules, and that cutting the bytes anywhere changes nothing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_LIMIT_BYTES, SseParser } from '../../src/client/sse.ts';

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

  it('tells the type of an event, which lasts for that event alone', () => {
    const events: [string, string][] = [];
    const parser = new SseParser((data, _, type) => events.push([data, type]));
    parser.push(Buffer.from('event: error\ndata: 1\n\ndata: 2\n\nevent: ping\n\ndata: 3\nevent:x\n\n'), 0);
    expect(events).toEqual([
      ['1', 'error'],
      ['2', ''],
      ['3', 'x'],
    ]);
  });
});

describe('length', () => {
  const feed = (total: number, piece: number, first = 'data: ', last = '\n\n') => {
    const lengths: number[] = [];
    const parser = new SseParser((data) => lengths.push(data.length));
    const part = Buffer.alloc(piece, 'x');
    parser.push(Buffer.from(first), 0);
    for (let sent = 0; sent < total; sent += piece) parser.push(part, 0);
    parser.push(Buffer.from(last), 0);
    return lengths;
  };

  it.each([1, 1_000, 64 * 1024])('3 MB in pieces of %i bytes take little time and memory', (piece) => {
    const total = 3 * 1024 * 1024 - ((3 * 1024 * 1024) % piece);
    const before = process.memoryUsage().arrayBuffers;
    const began = performance.now();
    expect(feed(total, piece)).toEqual([total]);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  });

  it('refuses a line, a comment and an event that have no end', () => {
    const limit = EVENT_LIMIT_BYTES;
    const words = `a line of more than ${limit} bytes is none of a language model`;
    expect(() => feed(2 * limit, 64 * 1024)).toThrow(new RangeError(words));
    expect(() => feed(2 * limit, 64 * 1024, ':')).toThrow(RangeError);
    expect(() => feed(2 * limit, 2 * limit)).toThrow(RangeError);
    const lines = Buffer.alloc(2 * limit, `data: ${'x'.repeat(1000)}\n`);
    expect(() => new SseParser(() => {}).push(lines, 0)).toThrow(/an event of more than/);
  });

  it('goes on after a long line as after a short one', () => {
    const long = `data: ${'x'.repeat(100_000)}`;
    expect(dataOf(long, '\n\nda', 'ta: y\n\n').map((data) => data.length)).toEqual([100_000, 1]);
  });
});

/**
 * The algorithm as WHATWG's standard has it (9.2.6), on the whole stream at once: decode, split into lines, interpret. With
 * our one departure: lines that the end of the stream leaves without a blank line make an event.
 */
function reference(bytes: Buffer): { data: string; type: string }[] {
  const text = new TextDecoder('utf-8').decode(bytes); // drops a byte order mark
  const lines = text.split(/\r\n|\n|\r/);
  lines.pop(); // what no line end followed is no line
  const events: { data: string; type: string }[] = [];
  let data = '';
  let type = '';
  for (const line of [...lines, '']) {
    if (line === '') {
      if (data !== '') events.push({ data: data.slice(0, -1), type });
      data = '';
      type = '';
    } else if (!line.startsWith(':')) {
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
      if (field === 'data') data += `${value}\n`;
      if (field === 'event') type = value;
    }
  }
  return events;
}

function typedEvents(buffers: Buffer[]): { data: string; type: string }[] {
  const events: { data: string; type: string }[] = [];
  const parser = new SseParser((data, _, type) => events.push({ data, type }));
  for (const bytes of buffers) parser.push(bytes, 0);
  parser.end(0);
  return events;
}

/** Cuts at these places, each taken modulo the length. */
function cutAt(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return places.slice(1).map((to, i) => bytes.subarray(places[i], to));
}

describe('any stream, cut anywhere', () => {
  const end = fc.constantFrom('\n', '\r\n', '\r');
  const text = fc
    .array(fc.constantFrom('a', 'é', '漢', '🎂', '{', '"', ' ', ':', '\uFEFF', '\0', 'data: ', ''), { maxLength: 6 })
    .map((parts) => parts.join(''));
  const field = fc.constantFrom(
    'data: ',
    'data:',
    'data:  ',
    ': ',
    'event: ',
    'event:',
    'id: ',
    'databas: ',
    ' data: ',
    '',
  );
  const line = fc.oneof(
    fc.tuple(field, text).map((parts) => parts.join('')),
    fc.constantFrom('data', 'event', '', ''),
  );
  /** Every line ends as it likes, the last one perhaps not at all. */
  const lines = fc
    .tuple(fc.constantFrom('', '\uFEFF'), fc.array(fc.tuple(line, end), { maxLength: 16 }), text)
    .map(([mark, all, rest]) => Buffer.from(mark + all.map((parts) => parts.join('')).join('') + rest));
  /** Bytes that mean something to the format, whole and broken characters among them. */
  const telling = fc.constantFrom(0x0a, 0x0d, 0x3a, 0x20, 0xef, 0xbb, 0xbf, 0xf0, 0x9f, 0x80, 0xc3);
  const noise = fc.array(fc.oneof(telling, fc.nat(255)), { maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const salted = fc.tuple(lines, noise, fc.nat()).map(([bytes, salt, at]) => {
    const place = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, place), salt, bytes.subarray(place)]);
  });
  const stream = fc.oneof(lines, lines, noise, salted);
  const cuts = fc.array(fc.nat(10_000), { maxLength: 12 });

  it('gives the events of the standard, and throws nothing', () => {
    fc.assert(
      fc.property(stream, cuts, (bytes, places) => {
        expect(typedEvents(cutAt(bytes, places))).toEqual(reference(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives the same one byte at a time', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        expect(typedEvents(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(reference(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('gives back what was written', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), end, cuts, (texts, lineEnd, places) => {
        const bytes = Buffer.from(texts.map((one) => `data: ${one}${lineEnd}${lineEnd}`).join(''));
        expect(typedEvents(cutAt(bytes, places)).map(({ data }) => data)).toEqual(texts);
      }),
    );
  });

  it('gives the events of random bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (parts) => {
        expect(typedEvents(parts.map((part) => Buffer.from(part)))).toEqual(reference(Buffer.concat(parts)));
      }),
      { numRuns: 1_000 },
    );
  });
});
