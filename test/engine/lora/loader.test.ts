/**
 * The order of reads and whose an error is: LoaderThread with a real thread that does what its paths say ("slow:", "broken",
 * "die"), so that what is under test is the side that decides.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AdapterFileError, LoaderThread } from '../../../engine/lora/loader.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';

/** Answers a read when it is told to release it, or at once; says in `scale` which thread it is, to see a restart. */
const SCRIPT = `
import { parentPort, threadId } from 'node:worker_threads';
const held = new Map();
const answer = (task) => parentPort.postMessage({ kind: 'image', task, nanoseconds: 1,
  image: { kind: 'lora', format: 'peft', rank: 1, scale: threadId, layers: [], bytes: 0 } });
parentPort.on('message', ({ kind, task, path }) => {
  if (kind === 'check' && path.startsWith('release ')) {
    answer(held.get(path.slice(8)));
    parentPort.postMessage({ kind: 'checked', task, file: { rank: 1 } });
  } else if (kind === 'check') parentPort.postMessage({ kind: 'checked', task, file: { rank: held.size } });
  else if (path.startsWith('slow')) held.set(path, task);
  else if (path === 'broken') parentPort.postMessage({ kind: 'failed', task, code: 'bad_file', message: 'it is broken' });
  else if (path === 'die') throw new Error('out of luck');
  else answer(task);
});
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'loader-'));
  writeFileSync(join(folder, 'thread.mjs'), SCRIPT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let loader: LoaderThread;
function start(): LoaderThread {
  loader = new LoaderThread(geometryOf('llama-3-8b') as Geometry, pathToFileURL(join(folder, 'thread.mjs')));
  return loader;
}
afterEach(() => loader.close());

/** Reads so, and notes the order in which they end. */
function reader() {
  const order: string[] = [];
  const read = (path: string, urgency: 'request' | 'prefetch') => {
    const reading = loader.read(path, '', urgency);
    const ended = reading.image.then(
      ({ image }) => {
        order.push(path);
        return image.scale;
      },
      (error: Error) => {
        order.push(path);
        return error;
      },
    );
    return { ...reading, ended };
  };
  return { order, read };
}
/** Resolves when the thread has had every message sent so far. */
const reachThread = () => loader.check('ping');
const release = (path: string) => loader.check(`release ${path}`);

describe('reads', () => {
  it('that requests wait for go before prefetches that came earlier', async () => {
    start();
    const { order, read } = reader();
    const first = ['slow 1', 'slow 2'].map((path) => read(path, 'prefetch'));
    const waiting = [read('prefetch', 'prefetch'), read('late prefetch', 'prefetch')];
    const request = read('request', 'request');
    await request.ended;
    expect(order).toEqual(['request']);
    await release('slow 1');
    await Promise.all(waiting.map(({ ended }) => ended));
    expect(order).toEqual(['request', 'slow 1', 'prefetch', 'late prefetch']);
    await release('slow 2');
    await Promise.all(first.map(({ ended }) => ended));
  });

  it('of prefetches leave places for requests, and of requests run a few at once', async () => {
    start();
    const { read } = reader();
    for (let i = 0; i < 5; i++) read(`slow prefetch ${i}`, 'prefetch');
    expect((await reachThread()).rank).toBe(2);
    for (let i = 0; i < 5; i++) read(`slow request ${i}`, 'request');
    expect((await reachThread()).rank).toBe(4);
  });

  it('go ahead when a request comes to wait for them', async () => {
    start();
    const { read } = reader();
    read('slow 1', 'prefetch');
    read('slow 2', 'prefetch');
    const other = read('other', 'prefetch');
    const wanted = read('wanted', 'prefetch');
    wanted.hurry();
    await wanted.ended;
    await release('slow 1');
    await other.ended;
  });
});

describe('an error', () => {
  it('is of the read that has it', async () => {
    start();
    const { read } = reader();
    const [broken, fine] = [read('broken', 'request'), read('fine', 'request')];
    expect(await broken.ended).toMatchObject({ name: 'AdapterFileError', code: 'bad_file', message: 'it is broken' });
    expect(await fine.ended).toBeTypeOf('number');
  });

  it('that kills the thread is of the reads in it; the next has another thread', async () => {
    start();
    const { read } = reader();
    const before = (await read('fine', 'request').ended) as number;
    const inIt = [read('slow', 'request'), read('die', 'request')];
    const queued = Array.from({ length: 4 }, (_, i) => read(`later ${i}`, 'prefetch'));
    for (const { ended } of inIt) {
      const error = await ended;
      expect(error).toBeInstanceOf(AdapterFileError);
      expect((error as Error).message).toContain('out of luck');
    }
    const after = await Promise.all(queued.map(({ ended }) => ended));
    expect(after.some((thread) => typeof thread === 'number' && thread > before)).toBe(true);
    expect(await read('fine', 'request').ended).toBeGreaterThan(before);
  });

  it('is told to everybody who waits when it is closed', async () => {
    start();
    const { read } = reader();
    const waiting = ['slow 1', 'slow 2', 'queued'].map((path) => read(path, 'prefetch'));
    await reachThread();
    await loader.close();
    for (const { ended } of waiting) expect(await ended).toMatchObject({ message: 'the engine is shutting down' });
    await expect(loader.check('x')).rejects.toThrow('shutting down');
  });
});
