/** Answers in the shape of each server that is known: which chunks are content, when they came, and how many tokens they carry. */
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { itl } from '../../src/metrics/itl.ts';
import { tpotOf } from '../../src/metrics/request-times.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { type DialectServer, startDialectServer } from '../support/dialect-server.ts';
import type { DialectStream } from '../support/dialect-stream.ts';
import { DIALECT_STREAMS } from '../support/dialect-streams.ts';
import { clientFor, context, spec } from './sending.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A token a word, with its space; a character outside ASCII is one word. */
const words = (text: string): number[] => (text.match(/ ?(\w+|\S)/g) ?? []).map((word) => Buffer.byteLength(word));

async function replay(stream: DialectStream): Promise<{ record: RequestRecord; server: DialectServer }> {
  const server = await startDialectServer({ steps: stream.steps, clock: now });
  const client = clientFor(server.url, { api: stream.api, tokenBytes: stream.tokenizer ? words : null });
  open.push(server, client);
  await client.connect();
  const control = stream.exact ? 'exact' : 'cap';
  return { record: await client.send(spec({ outputTokens: stream.asked, control }), context()), server };
}

describe.each(Object.entries(DIALECT_STREAMS))('%s', (_, stream) => {
  it('is read as it was meant, chunk by chunk', async () => {
    const { record, server } = await replay(stream);
    expect({
      tokens: record.chunks.map(([, tokens]) => tokens),
      source: record.tokenSource,
      usage: record.usage,
      finish: record.finish,
      error: record.error,
      timings: record.timings,
    }).toEqual({
      tokens: stream.tokens,
      source: stream.source,
      usage: stream.usage,
      finish: stream.finish,
      error: stream.error,
      timings: null,
    });
    // The first content is that very event: not the role before it, whose pause is longer than any lateness here.
    const lateMs = (since: number | null | undefined, step: number | null) =>
      (record.sent + since! - server.written.get(step!)!) / 1e6;
    expect(lateMs(record.chunks[0]?.[0], stream.firstContent)).toBeGreaterThan(0);
    expect(lateMs(record.chunks[0]?.[0], stream.firstContent)).toBeLessThan(25);
    expect(lateMs(record.firstOutput, stream.firstOutput)).toBeGreaterThan(0);
    expect(lateMs(record.firstOutput, stream.firstOutput)).toBeLessThan(25);
  });
});

describe('several tokens a chunk', () => {
  it('make TPOT and ITL those of tokens, not of chunks', async () => {
    const stream = DIALECT_STREAMS['vllm completions, several tokens a chunk']!;
    const { record, server } = await replay(stream);
    // Chunks of 2, 3, 1 and 1 tokens: 5 tokens after the first chunk.
    const at = (step: number) => server.written.get(step)!;
    const tpot = tpotOf(record);
    expect(tpot.kind).toBe('value');
    expect(Math.abs((tpot as { ns: number }).ns - (at(6) - at(1)) / 5) / 1e6).toBeLessThan(2);
    const gaps = itl.compute({ records: [record], steady: [record] } as never);
    expect(gaps).toMatchObject({ count: 5 });
    const byTheServer = [...Array(3).fill((at(3) - at(1)) / 3), at(5) - at(3), at(6) - at(5)].map((ns) => ns / 1e6);
    const mean = byTheServer.reduce((sum, gap) => sum + gap, 0) / 5;
    expect(Math.abs((gaps as { mean: number }).mean - mean)).toBeLessThan(2);
    expect((gaps as { max: number }).max).toBeLessThan(Math.max(...byTheServer) + 10);
  });
});
