/** Whatever a server does, a request ends in one record with one name, in its time, and no other request is the worse for it. */
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { REQUEST_ERRORS, type RequestError, type RequestRecord } from '../../src/result/schema.ts';
import { FAULTS, type FaultName, startFaultServer } from '../support/fault-server.ts';
import { type CountingClient, clientFor, context, spec } from './sending.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function serve(options: Parameters<typeof startFaultServer>[0] = {}) {
  const server = await startFaultServer({ clock: now, ttftMs: 5, gapMs: 1, ...options });
  const client = clientFor(server.url);
  open.push(server, client);
  return { server, client };
}

/** Of a fault alone; beside a hundred others, 60 MB of junk among them, a healthy answer may take its time. */
const TIMEOUT_MS = 300;
const CROWDED_TIMEOUT_MS = 2_000;
const TOKENS = 6;
/** A fault's name, its content chunks, and what the record says of it. */
type Expected = [error: RequestError | null, chunks: number, detail?: RegExp];

const EXPECTED: Record<FaultName, Expected> = {
  reset_before_headers: ['reset_before_headers', 0, /UND_ERR_SOCKET/],
  rst_before_headers: ['reset_before_headers', 0, /ECONNRESET/],
  cut_in_headers: ['reset_before_headers', 0],
  stall_before_headers: ['headers_timeout', 0, /gave up after \d+ ms/],
  stall_in_headers: ['headers_timeout', 0],
  not_http: ['bad_body', 0, /does not match the HTTP\/1\.1 protocol/],
  binary: ['bad_body', 0],
  huge_headers: ['bad_body', 0, /UND_ERR_HEADERS_OVERFLOW/],
  endless_headers: ['bad_body', 0, /UND_ERR_HEADERS_OVERFLOW/],
  early_hints: [null, 6],

  rate_limited: ['http_429', 0, /^retry after 7 s: slow down$/],
  unavailable: ['http_503', 0, /^retry after 0 s: loading$/],
  error_html: ['http_other', 0, /^<html><p>bad gateway/],
  error_endless: ['http_500', 0, /^sorry sorry/],
  error_stalled: ['http_503', 0, /^busy$/],
  error_cut: ['http_500', 0, /^half$/],
  redirect: ['http_other', 0, /HTTP 302 without a body/],

  ok_error: ['bad_body', 0, /^not an event stream: out of cake$/],
  ok_html: ['bad_body', 0, /please log in/],
  ok_whole: ['bad_body', 0, /all at once/],
  ok_empty: ['no_content', 0],
  ok_binary: ['bad_body', 0],
  ok_compressed: ['bad_body', 0],
  no_content: ['no_content', 0],
  stall_before_content: ['first_content_timeout', 0],
  pings_only: ['first_content_timeout', 0, /the answer began: : ping/],

  garbage: ['bad_body', 2, /not JSON/],
  error_in_stream: ['error_in_stream', 2, /out of cake/],
  error_event: ['error_in_stream', 2, /^CUDA out of memory$/],
  given_up: ['error_in_stream', 3, /finish_reason "abort"/],
  end_early: ['ended_early', 2],
  reset_mid_stream: ['reset_mid_stream', 2],
  rst_mid_chunk: ['reset_mid_stream', 2],
  fin_mid_chunk: ['reset_mid_stream', 2],
  cut_when_closing: ['reset_mid_stream', 2, /Invalid EOF/],
  rst_after_last_token: ['reset_mid_stream', 6],
  stall_mid_stream: ['total_timeout', 2],
  stall_mid_chunk: ['total_timeout', 2],
  drip: ['total_timeout', 2],
  broken_chunk_size: ['bad_body', 2, /chunk size/],
  overlong_chunk: ['bad_body', 2],
  length_too_long: ['reset_mid_stream', 2],
  length_too_short: ['ended_early', 2],
  line_10mb: ['bad_body', 2, /a line of more than 4194304 bytes/],
  comment_10mb: ['bad_body', 0, /a line of more than/],
  event_10mb: ['bad_body', 0, /an event of more than/],
  too_much: ['wrong_output_tokens', 10_001],
  never_closes_without_done: ['total_timeout', 6],

  no_done: [null, 6],
  done_cut: [null, 6],
  done_line: [null, 6],
  done_twice: [null, 6],
  crlf: [null, 6],
  cr: [null, 6],
  byte_order_mark: [null, 6],
  pings: [null, 6],
  no_length: [null, 6],
  http_1_0: [null, 6],
  split_everywhere: [null, 6],
  chunks_anywhere: [null, 6],
  never_closes: [null, 6],
  pings_after_done: [null, 6],
  fin_after_done: [null, 6],
  rst_after_done: [null, 6],
  closes_kept_alive: [null, 6],
  bytes_after_end: [null, 6],
};
const NAMES = Object.keys(FAULTS) as FaultName[];

const ask = (client: CountingClient, i: number, adapter: string | null, timeoutMs: number): Promise<RequestRecord> =>
  client.send(spec({ i, adapter, prompt: `p${i}`, outputTokens: TOKENS }), context({ timeoutMs }));

function judge(record: RequestRecord, name: FaultName): void {
  const [error, chunks, detail] = EXPECTED[name];
  expect({ name, error: record.error, chunks: record.chunks.length, detail: record.detail }).toEqual({
    name,
    error,
    chunks,
    detail: detail === undefined ? record.detail : expect.stringMatching(detail),
  });
  expect(record.outcome).toBe(error === null ? 'ok' : 'failed');
  expect(error === null || REQUEST_ERRORS.includes(error)).toBe(true);
  expect(record.detail === undefined).toBe(error === null);
  const stamps = [record.sent, ...record.chunks.map(([at]) => record.sent + at), record.end];
  expect(stamps).toEqual(stamps.toSorted((a, b) => a - b));
}

describe('a fault alone', () => {
  it.each(NAMES)('%s', async (name) => {
    const { client } = await serve();
    const began = now();
    judge(await ask(client, 0, name, TIMEOUT_MS), name);
    const tookMs = (now() - began) / 1e6;
    // A timeout of the request's, else the wait for an error's body or after [DONE], else what loopback takes.
    expect(tookMs).toBeLessThan(/stall|pings|never|drip/.test(name) ? 3_000 : 1_000);
    // And the next request, on whatever connection is left, is a healthy one.
    const next = await ask(client, 1, null, 5_000);
    expect(next).toMatchObject({ outcome: 'ok', error: null });
    expect(next.chunks.map(([, tokens]) => tokens)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('after [DONE]: the answer ended there, and its connection is given up when the body does not', async () => {
    const { server, client } = await serve();
    const record = await ask(client, 0, 'pings_after_done', 60_000);
    expect(record.end - (record.sent + record.chunks.at(-1)![0])).toBeLessThan(100e6);
    await expect.poll(() => server.log[0]?.ended, { timeout: 2_000 }).not.toBe(null);
  });
});

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const quantile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))]!;

it('all faults at once, twice, beside healthy requests: each its own name, and the healthy ones their true times', async () => {
  const { server, client } = await serve({ ttftMs: 30, gapMs: 8 });
  const nobody = clientFor(`http://127.0.0.1:${await freePort()}/v1`);
  open.push(nobody);
  const rssBefore = process.memoryUsage().rss;
  const began = now();

  let faulty = true;
  const healthy: RequestRecord[] = [];
  const lane = async (id: number) => {
    for (let k = 0; faulty; k++) healthy.push(await ask(client, 1_000 * (id + 1) + k, null, 10_000));
  };
  const lanes = Array.from({ length: 8 }, (_, id) => lane(id));
  const both = [...NAMES, ...NAMES].map(async (name, i) => judge(await ask(client, i, name, CROWDED_TIMEOUT_MS), name));
  const refused = Array.from({ length: 5 }, (_, i) => ask(nobody, i, null, TIMEOUT_MS));
  try {
    await Promise.all(both);
  } finally {
    faulty = false;
  }
  await Promise.all(lanes);
  for (const record of await Promise.all(refused)) expect(record.error).toBe('connect_refused');

  expect((now() - began) / 1e9).toBeLessThan(15);
  expect((process.memoryUsage().rss - rssBefore) / 2 ** 20).toBeLessThan(400);
  expect(healthy.length).toBeGreaterThan(50);
  const late: number[] = [];
  const tpotErrors: number[] = [];
  for (const record of healthy) {
    expect(record).toMatchObject({ outcome: 'ok', error: null });
    const served = server.log.find(({ body }) => body['prompt'] === `p${record.i}`)!;
    expect(record.chunks.map(([, tokens]) => tokens)).toEqual(served.chunks.map(({ tokens }) => tokens));
    const lateness = record.chunks.map(([at], c) => (record.sent + at - served.chunks[c]!.at) / 1e6);
    late.push(...lateness);
    const last = TOKENS - 1;
    const tpot = (record.chunks[last]![0] - record.chunks[0]![0]) / last / 1e6;
    tpotErrors.push(Math.abs(tpot - (served.chunks[last]!.at - served.chunks[0]!.at) / last / 1e6));
  }
  // No chunk may seem to have come before it was written. Client and server share a thread with all that is going wrong.
  expect(Math.min(...late)).toBeGreaterThan(0);
  expect(quantile(late, 0.5)).toBeLessThan(5);
  expect(quantile(late, 0.95)).toBeLessThan(50);
  expect(quantile(tpotErrors, 0.5)).toBeLessThan(1);
  expect(quantile(tpotErrors, 0.95)).toBeLessThan(8);
});

it('a server that closes kept connections without a word costs nobody a request', async () => {
  const { client } = await serve();
  for (let i = 0; i < 100; i++) {
    const record = await ask(client, i, 'closes_kept_alive', TIMEOUT_MS);
    expect(record.error).toBe(null);
    expect(record.sent).toBeGreaterThanOrEqual(record.intended);
    if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
});
