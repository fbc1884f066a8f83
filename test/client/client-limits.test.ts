/** What this machine lacks is told as such: a client in a process of its own, with few files it may open. */
import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { errorOfFailure, ownLimitOf, wordsOfFailure } from '../../src/client/failures.ts';
import { emitModules } from '../support/emit-modules.ts';
import { startTimedServer } from '../support/timed-server.ts';

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const failure = (code: string) => Object.assign(new Error(`connect ${code} 127.0.0.1:1`), { code });

describe('a failure of this machine', () => {
  it.each(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL'])('%s is no fault of the server', (code) => {
    expect(errorOfFailure(failure(code), 'connecting')).toBe('client_limit');
    expect(wordsOfFailure(failure(code))).toMatch(/^this machine.* for another connection \(connect E.*\); /);
  });

  it('is not seen where another address was refused', () => {
    const both = new AggregateError([failure('EADDRNOTAVAIL'), failure('ECONNREFUSED')]);
    expect(ownLimitOf(both)).toBe(null);
    expect(ownLimitOf(new AggregateError([failure('EMFILE'), failure('EMFILE')]))).not.toBe(null);
    expect(ownLimitOf(failure('ECONNREFUSED'))).toBe(null);
  });
});

it('with 60 files, 200 connections are refused with the remedy, and requests beyond fail by that name', async () => {
  const server = await startTimedServer({ ttftMs: 300, gapMs: 1 });
  const emitted = emitModules('src/client/client.ts');
  open.push(server.close, emitted.remove);
  const script = `
    const { createClient } = await import(${JSON.stringify(pathToFileURL(emitted.pathOf('src/client/client.ts')).href)});
    const options = { url: ${JSON.stringify(server.url)}, api: 'completions', model: 'base', apiKey: null, headers: {} };
    const ahead = createClient(options);
    const refused = await ahead.connect(200).catch(({ code, exitCode, message }) => ({ code, exitCode, message }));
    await ahead.close();
    const client = createClient(options);
    const spec = { phase: 'measure', adapter: null, prompt: 'a', promptTokens: 1, outputTokens: 2, control: 'exact',
      intendedOffset: null };
    const context = { run: 'c1.0', attempt: 1, intended: 0, temperature: 0, extraBody: {}, timeoutMs: 10000 };
    const answers = await Promise.all(Array.from({ length: 80 }, (_, i) => client.send({ ...spec, i }, context)));
    const records = answers.map(({ record }) => record);
    await client.close();
    console.log(JSON.stringify({ refused, errors: records.map(({ error }) => error), detail: records.at(-1).detail }));`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 60; exec "$@"', 'sh', ...node], {
    timeout: 60_000,
  });
  const { refused, errors, detail } = JSON.parse(stdout) as {
    refused: { code: string; exitCode: number; message: string };
    errors: (string | null)[];
    detail: string;
  };
  expect(refused).toMatchObject({ code: 'UNSUPPORTED', exitCode: 2 });
  expect(refused.message).toMatch(/limit of open files is too low for 200 connections to http:.*raise it: ulimit -n/);
  expect(new Set(errors)).toEqual(new Set([null, 'client_limit']));
  expect(errors.filter((error) => error === null).length).toBeGreaterThan(10);
  expect(detail).toMatch(/limit of open files/);
});
