/** What a record waits for, and what a lane does not: a server's end is found out beside the load. */
import { expect, it } from 'vitest';
import type { RequestError, RequestRecord } from '../../src/result/schema.ts';
import { Answers } from '../../src/runner/answers.ts';

const CHECK_MS = 200;

function recordOf(i: number, error: RequestError | null): RequestRecord {
  return {
    run: 'c1.0',
    attempt: 1,
    i,
    phase: 'measure',
    model: 'base',
    adapter: null,
    intended: 0,
    sent: 0,
    firstByte: null,
    chunks: [],
    end: 1,
    outcome: error === null ? 'ok' : 'failed',
    error,
    usage: null,
    asked: { promptTokens: 1, outputTokens: 2 },
    finish: null,
    tokenSource: 'unknown',
    timings: null,
  };
}

function desk(tokenBytes: ((text: string) => number[]) | null = null) {
  const records: RequestRecord[] = [];
  const checks = { begun: 0, atOnce: 0, most: 0 };
  let die: (sentence: string) => void = () => {};
  const died = new Promise<string>((resolve) => {
    die = resolve;
  });
  let dead = false;
  const answers = new Answers({
    target: {
      died,
      async suspect() {
        checks.begun++;
        checks.most = Math.max(checks.most, ++checks.atOnce);
        const found = dead; // as of when it was asked
        await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
        checks.atOnce--;
        if (found) die('it fell over');
        return found;
      },
    },
    tokenBytes,
    onRecord: (record) => void records.push(record),
  });
  const released: number[] = [];
  const take = (i: number, error: RequestError | null) =>
    answers.take({ record: recordOf(i, error), uncounted: null }, () => released.push(i));
  const kill = () => {
    dead = true;
  };
  return { answers, take, records, released, checks, kill };
}

it('records at once what says nothing against the server, and after a check what does', async () => {
  const { answers, take, records, released, checks } = desk();
  take(0, 'reset_before_headers');
  for (const i of [1, 2]) take(i, null);
  take(3, 'http_500');
  expect(records.map(({ i }) => i)).toEqual([1, 2, 3]);
  await answers.settled();
  expect(records.map(({ i, error }) => [i, error])).toContainEqual([0, 'reset_before_headers']);
  expect(records).toHaveLength(4);
  expect(released.sort()).toEqual([0, 1, 2, 3]);
  expect(checks).toEqual({ begun: 1, atOnce: 0, most: 1 });
});

it('checks one at a time, and no failure is judged by a check that began before it', async () => {
  const { answers, take, records, checks, kill } = desk();
  take(0, 'reset_mid_stream');
  await new Promise((resolve) => setTimeout(resolve, 50));
  kill();
  for (let i = 1; i <= 5; i++) take(i, 'connect_refused');
  await answers.settled();
  expect(checks).toEqual({ begun: 2, atOnce: 0, most: 1 });
  expect(records.map(({ i, error }) => [i, error]).sort()).toEqual([
    [0, 'reset_mid_stream'],
    ...[1, 2, 3, 4, 5].map((i) => [i, 'target_died']),
  ]);
  expect(records.at(-1)?.detail).toBe('it fell over');
});

it('counts the tokens of answers whose server did not', async () => {
  const { answers, records } = desk((text) => Array.from(text, () => 1));
  const record: RequestRecord = {
    ...recordOf(7, null),
    chunks: [
      [5, null],
      [9, null],
    ],
  };
  const uncounted = ['ab', 'cde'].map((text) => ({ text, running: null }));
  answers.take({ record, uncounted }, () => {});
  await answers.settled();
  expect(records[0]).toMatchObject({
    chunks: [
      [5, 2],
      [9, 3],
    ],
    tokenSource: 'tokenizer',
  });
});
