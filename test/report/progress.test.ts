import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { createProgress } from '../../src/report/progress.ts';
import type { RequestRecord, RunResult } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';
import { planFixture } from './plan-fixture.ts';

/** A stream that says of itself what a terminal would. */
function streamOf(tty: boolean, columns = 100): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY: tty, columns });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => String(stream.read() ?? '') };
}

const MS = 1e6;
/** Erases to the end of the line. */
const CLEAR = '\u001b[K';

/** Request `i`: sent at i·500 ms, first token 200 ms later, 10 more at 30 ms each. */
function recordOf(i: number, outcome: RequestRecord['outcome'] = 'ok'): RequestRecord {
  const sent = i * 500 * MS;
  const chunks = Array.from({ length: 11 }, (_, token): [number, number] => [(200 + 30 * token) * MS, 1]);
  return {
    run: 'c1.0',
    attempt: 1,
    i,
    phase: 'measure',
    model: 'm',
    adapter: null,
    intended: sent,
    sent,
    firstByte: sent + 200 * MS,
    chunks,
    end: sent + 500 * MS,
    outcome,
    error: outcome === 'failed' ? 'http_500' : null,
    usage: null,
    asked: { promptTokens: 32, outputTokens: 11 },
    finish: 'length',
    tokenSource: 'one_per_chunk',
    timings: null,
  };
}

interface Setup {
  tty: boolean;
  columns?: number;
  interactive?: boolean;
  env?: Record<string, string>;
}

function watch({ tty, columns, interactive = true, env = {} }: Setup) {
  const { stream, text } = streamOf(tty, columns);
  const clock = { ms: 0 };
  const plan: Plan = planFixture({ seconds: null, concurrency: [1, 4], requests: 10 });
  const { progress, close } = createProgress(stream, { interactive, env, now: () => clock.ms });
  const cell = plan.cells[0]!;
  const result: RunResult = resultFixture({ adapters: [8], concurrency: [1], requests: 10 }).cells[0]!.runs[0]!;
  progress({ kind: 'plan', plan });
  return { progress, close, text, clock, plan, cell, result };
}

describe('on a terminal', () => {
  test('one line is redrawn, with live figures and the time left', () => {
    const { progress, close, text, clock, plan, cell } = watch({ tty: true });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
    progress({ kind: 'warmup', cell, done: 9, total: 9 });
    expect(text()).toContain('[1/2] c1 8 adapters, concurrency 1 · warming up, 9 of 9');
    for (let i = 0; i < 4; i++) {
      clock.ms = (i + 1) * 500;
      progress({ kind: 'request', cell, record: recordOf(i), ended: i + 1, inFlight: 0, total: 10 });
    }
    const drawn = text();
    expect(drawn).not.toContain('\n');
    expect(drawn.slice(drawn.lastIndexOf('\r'))).toBe(
      '\r[1/2] c1 8 adapters, concurrency 1 · 4 of 10 · TTFT 200 ms · TPOT 30.0 ms · 22.0 tok/s\u001b[K',
    );
    close();
    expect(text()).toBe('\r\u001b[K');
  });

  test('says how long it still takes once that is known', () => {
    const { progress, close, text, clock, plan, cell, result } = watch({ tty: true, columns: 200 });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
    clock.ms = 5000;
    progress({ kind: 'request', cell, record: recordOf(9), ended: 10, inFlight: 0, total: 10 });
    progress({ kind: 'run-end', cell, run: result });
    const drawn = text();
    const line = drawn.slice(drawn.lastIndexOf(CLEAR) + CLEAR.length);
    expect(line).toMatch(
      /^\[1\/2\] c1 8 adapters, concurrency 1: 10 requests · TTFT p50 [\d.]+ ms · TPOT p50 [\d.]+ ms · [\d.]+ tok\/s · about 5 s left\n$/,
    );
    close();
  });

  test('is never wider than the terminal', () => {
    const { progress, close, text, clock, plan, cell } = watch({ tty: true, columns: 40 });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 2 });
    for (let i = 0; i < 5; i++) {
      clock.ms += 1000;
      progress({ kind: 'request', cell, record: recordOf(i, 'failed'), ended: i + 1, inFlight: 1, total: null });
    }
    const lines = text()
      .replaceAll(CLEAR, '')
      .split(/[\r\n]/);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(line.length).toBeLessThan(40);
    close();
  });

  test('does not redraw more often than the eye follows', () => {
    const { progress, close, text, clock, plan, cell } = watch({ tty: true });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
    for (let i = 0; i < 1000; i++) {
      clock.ms += 1;
      progress({ kind: 'request', cell, record: recordOf(i), ended: i + 1, inFlight: 1, total: 5000 });
    }
    expect(text().split('\r').length).toBeLessThan(12);
    close();
  });

  test('warnings stay above it, and cannot drive the terminal', () => {
    const { progress, close, text, plan, cell } = watch({ tty: true });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
    text();
    progress({ kind: 'warning', message: 'server says \u001b[2J' });
    expect(text()).toBe(
      '\r\u001b[Kwarning: server says \uFFFD[2J\n\r[1/2] c1 8 adapters, concurrency 1 · starting\u001b[K',
    );
    close();
  });
});

describe.each<[string, Setup]>([
  ['no terminal', { tty: false }],
  ['CI', { tty: true, env: { CI: 'true' } }],
  ['nobody watching', { tty: true, interactive: false }],
])('with %s', (_, setup) => {
  test('there are only whole lines, and now and then a sign of life', () => {
    const { progress, close, text, clock, plan, cell, result } = watch(setup);
    progress({ kind: 'target', message: 'starting the engine' });
    progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
    for (let i = 0; i < 9; i++) {
      clock.ms += 10_000;
      progress({ kind: 'request', cell, record: recordOf(i), ended: i + 1, inFlight: 1, total: 10 });
    }
    progress({ kind: 'run-end', cell, run: { ...result, state: 'failed' } });
    close();
    const written = text();
    expect(written).not.toContain('\r');
    expect(written).not.toContain('\u001b');
    const lines = written.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual(['starting the engine', '[1/2] c1 8 adapters, concurrency 1']);
    expect(lines.slice(2, -1).map((line) => /: (\d+) of 10 · TTFT/.exec(line)?.[1])).toEqual(['3', '6', '9']);
    expect(lines.at(-1)).toContain('[1/2] c1 8 adapters, concurrency 1: failed after 10 requests');
  });
});

test('CI=false is no CI', () => {
  const { progress, close, text, plan, cell } = watch({ tty: true, env: { CI: 'false' } });
  progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
  expect(text()).toContain('\r');
  close();
});

test('failures are told as they come, the first of each kind, with what drives a terminal taken out', () => {
  const { progress, text, cell, plan } = watch({ tty: false });
  progress({ kind: 'run-start', cell, run: plan.runs[0]!, attempt: 1 });
  const fail = (i: number, error: RequestRecord['error'], detail: string) =>
    progress({
      kind: 'request',
      cell,
      record: { ...recordOf(i, 'failed'), error, detail },
      ended: i,
      inFlight: 1,
      total: 10,
    });
  fail(3, 'http_500', 'out of \u001b[31mmemory');
  fail(4, 'http_500', 'again');
  fail(5, 'reset_mid_stream', 'gone');
  const lines = text()
    .split('\n')
    .filter((line) => line.includes('failed,'));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^\[1\/\d+\] c1 .*: request 3 failed, http_500: out of \uFFFD\[31mmemory$/);
  expect(lines[1]).toMatch(/request 5 failed, reset_mid_stream: gone$/);
});
