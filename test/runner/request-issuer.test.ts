/** What a lane waits for, and what it does not: a server's end is found out beside the load. */
import { afterEach, expect, it } from 'vitest';
import type { Client } from '../../src/client/client.ts';
import { now } from '../../src/client/clock.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { RequestIssuer } from '../../src/runner/request-issuer.ts';
import type { Target } from '../../src/target/target.ts';
import { clientFor, spec } from '../client/sending.ts';
import { type Fault, startTimedServer, type TimedServer } from '../support/timed-server.ts';
import { planFor } from './plan-for.ts';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const CHECK_MS = 300;

async function issuerFor(fault: (n: number) => Fault | null) {
  const server: TimedServer = await startTimedServer({ ttftMs: 2, gapMs: 1, fault });
  const client: Client = clientFor(server.url);
  open.push(server.close, client.close);
  const records: RequestRecord[] = [];
  const checks = { begun: 0, atOnce: 0, most: 0 };
  let die: (sentence: string) => void = () => {};
  const died = new Promise<string>((resolve) => {
    die = resolve;
  });
  let dead = false;
  const target: Target = {
    info: { id: 'x', kind: 'endpoint', url: server.url, model: 'base', server: {} },
    connection: { baseUrl: server.url, api: 'completions', apiKey: null, headers: {} },
    model: 'base',
    died,
    ensureAdapters: async () => {},
    stop: async () => {},
    async suspect() {
      checks.begun++;
      checks.most = Math.max(checks.most, ++checks.atOnce);
      const found = dead; // as of when it was asked
      await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
      checks.atOnce--;
      if (found) die('it fell over');
      return found;
    },
  };
  const cell = planFor(server.url).cells[0]!;
  const signal = new AbortController().signal;
  const onRecord = (record: RequestRecord) => void records.push(record);
  const issuer = new RequestIssuer({ client, target, cell, run: 'c1.0', attempt: 1, signal, onRecord });
  const kill = () => {
    dead = true;
  };
  return { issuer, records, checks, kill, server };
}

it('goes on at once after a reset, and the record follows', async () => {
  const { issuer, records, checks } = await issuerFor((n) => (n === 0 ? 'reset_before_headers' : null));
  const start = now();
  for (let i = 0; i < 4; i++) await issuer.issue(spec({ i }), now());
  expect((now() - start) / 1e6).toBeLessThan(CHECK_MS);
  await new Promise(setImmediate);
  expect(records.map(({ i }) => i)).toEqual([1, 2, 3]);
  expect(issuer.inFlight).toBe(0);
  await issuer.settled();
  expect(records.map(({ i, error }) => [i, error])).toContainEqual([0, 'reset_before_headers']);
  expect(records).toHaveLength(4);
  expect(checks).toEqual({ begun: 1, atOnce: 0, most: 1 });
});

it('checks one at a time, and no failure is judged by a check that began before it', async () => {
  const { issuer, records, checks, kill } = await issuerFor(() => 'reset_before_headers');
  await issuer.issue(spec({ i: 0 }), now());
  await new Promise((resolve) => setTimeout(resolve, 50));
  kill();
  for (let i = 1; i <= 5; i++) await issuer.issue(spec({ i }), now());
  await issuer.settled();
  expect(checks).toEqual({ begun: 2, atOnce: 0, most: 1 });
  expect(records.map(({ i, error }) => [i, error]).sort()).toEqual([
    [0, 'reset_before_headers'],
    ...[1, 2, 3, 4, 5].map((i) => [i, 'target_died']),
  ]);
});

it('waits where nobody answered the connection: a run is not spent before the end is known', async () => {
  const { issuer, records, server } = await issuerFor(() => null);
  await server.close();
  await issuer.issue(spec(), now());
  expect(records.map(({ error }) => error)).toEqual(['connect_refused']);
});
