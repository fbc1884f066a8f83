/** When an endpoint is gone, and when it only looks so from here. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { endpointSource } from '../../src/target/endpoint.ts';
import { planFor } from '../runner/plan-for.ts';
import { startTimedServer, type TimedServer } from '../support/timed-server.ts';

let server: TimedServer;
afterEach(() => server.close());

const limitFiles = (soft: string): number | null =>
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]).status;

/** The soft limit now; null where there is no prlimit (util-linux). */
function filesLimit(): string | null {
  const asked = ['--pid', String(process.pid), '--nofile', '--output=SOFT', '--noheadings'];
  const { status, stdout } = spawnSync('prlimit', asked, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
const before = filesLimit();

it.skipIf(before === null)('is not gone where this process may open no file more', async () => {
  server = await startTimedServer({ model: 'base' });
  const source = endpointSource({ url: server.url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} });
  const cell = planFor(server.url).cells[0]!;
  const target = await source.bringUp(cell, () => {}, new AbortController().signal);
  const files: number[] = [];
  expect(limitFiles(String(readdirSync('/proc/self/fd').length + 64))).toBe(0);
  try {
    for (;;) {
      try {
        files.push(openSync('/dev/null', 'r'));
      } catch {
        break;
      }
    }
    expect(await target.suspect()).toBe(false);
  } finally {
    for (const file of files) closeSync(file);
    expect(limitFiles(before!)).toBe(0);
  }
  expect(files.length).toBeGreaterThan(0);
  await server.close();
  expect(await target.suspect()).toBe(true);
  expect(await target.died).toMatch(/stopped answering: connection refused/);
});
