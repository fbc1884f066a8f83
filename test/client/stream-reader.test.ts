/** The reader of streams takes whatever comes: any JSON, any text, and answers that have no end. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chat } from '../../src/client/dialects/chat.ts';
import { completions } from '../../src/client/dialects/completions.ts';
import { StreamReader } from '../../src/client/stream-reader.ts';
import { REQUEST_ERRORS } from '../../src/result/schema.ts';

const sayings = (...events: unknown[]) => {
  const stream = new StreamReader(completions);
  for (const [at, event] of events.entries()) {
    stream.event(typeof event === 'string' ? event : JSON.stringify(event), at);
  }
  return stream;
};
const piece = (text: string, count?: unknown) => ({
  choices: [{ index: 0, text, finish_reason: null }],
  ...(count === undefined ? {} : { usage: { prompt_tokens: 3, completion_tokens: count } }),
});

describe('any events', () => {
  /** JSON in which the words of the protocol turn up everywhere, with values of every kind. */
  const word = fc.constantFrom(
    ...[
      'choices',
      'delta',
      'text',
      'content',
      'usage',
      'prompt_tokens',
      'completion_tokens',
      'finish_reason',
      'error',
      'message',
    ],
    ...[
      'timings',
      'prompt_n',
      'cache_n',
      'predicted_n',
      'queue_ms',
      'tool_calls',
      'function',
      'reasoning',
      'object',
      '__proto__',
    ],
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), word),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(word, tie('tree'), { maxKeys: 5 }),
    ),
  }));
  const event = fc.oneof(
    tree.map((value) => JSON.stringify(value)),
    fc
      .record({ choices: fc.array(tree, { maxLength: 2 }), usage: tree }, { requiredKeys: [] })
      .map((value) => JSON.stringify(value)),
    fc.string(),
    fc.constantFrom('[DONE]', '', '{', JSON.stringify(piece('a', 1)), JSON.stringify(piece('b', 2))),
  );

  it.each([completions, chat])('never throw, and end in a state that makes sense', (dialect) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.constantFrom('', 'error', 'ping')), { maxLength: 12 }), (events) => {
        const stream = new StreamReader(dialect);
        for (const [at, [data, type]] of events.entries()) stream.event(data, at, type);
        expect(stream.stamps).toHaveLength(stream.chunks.length);
        expect(stream.stamps).toEqual(stream.stamps.toSorted((a, b) => a - b));
        expect(stream.chunks.every(({ text, running }) => text !== '' || running !== null)).toBe(true);
        if (stream.usage !== null) {
          expect(Number.isSafeInteger(stream.usage.prompt_tokens) && stream.usage.prompt_tokens >= 0).toBe(true);
          expect(Number.isSafeInteger(stream.usage.completion_tokens) && stream.usage.completion_tokens >= 0).toBe(
            true,
          );
        }
        if (stream.fault !== null) {
          expect(REQUEST_ERRORS).toContain(stream.fault.error);
          expect(typeof stream.fault.detail).toBe('string');
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the end', () => {
  it('is [DONE], when it came, and nothing counts after it', () => {
    const stream = sayings(piece('a'), ' [DONE] '.trim(), piece('b'), { error: 'late' }, '[DONE]');
    expect(stream).toMatchObject({ done: true, doneAt: 1, fault: null });
    expect(stream.chunks).toHaveLength(1);
    expect(sayings('[DONE] ').doneAt).toBe(0);
    expect(sayings(piece('[DONE]')).done).toBe(false);
  });

  it.each(['abort', 'error', 'cancelled', 'timeout'])('finish_reason "%s" is the server giving up', (reason) => {
    const stream = sayings(piece('a'), { choices: [{ text: '', finish_reason: reason }] });
    expect(stream.fault).toEqual({
      error: 'error_in_stream',
      detail: `the server gave the answer up: finish_reason "${reason}"`,
    });
    expect(sayings(piece('a'), { choices: [{ text: '', finish_reason: 'content_filter' }] })).toMatchObject({
      fault: null,
      finish: 'content_filter',
    });
  });

  it('comes for an answer without one, too', () => {
    const stream = new StreamReader(completions);
    const data = JSON.stringify(piece('x'.repeat(1_000_000)));
    for (let at = 0; at < 200 && stream.fault === null; at++) stream.event(data, at);
    expect(stream.fault).toEqual({
      error: 'bad_body',
      detail: expect.stringMatching(/^no end after \d+ chunks$/) as string,
    });
    expect(stream.chunks.length).toBeLessThan(80);
  });
});

describe('running counts', () => {
  const running = (stream: StreamReader) => stream.chunks.map((chunk) => chunk.running);
  it('on every chunk are progress; one on the last alone is a sum', () => {
    expect(running(sayings(piece('a', 1), piece('', 2), piece('b', 4)))).toEqual([1, 2, 4]);
    const last = sayings(piece('a'), piece('b'), piece('', 2));
    expect(running(last)).toEqual([null, null]);
    expect(last.usage).toEqual({ prompt_tokens: 3, completion_tokens: 2 });
  });

  it('that no server could mean are none', () => {
    for (const count of [-1, 1.5, '3', {}, null, 2 ** 60]) expect(running(sayings(piece('a', count)))).toEqual([null]);
  });
});
