/** Which of the engine's routes for adapters are asked, in which order: against a server that keeps their state and log. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Cell } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { EngineAdapters } from '../../src/target/engine-adapters.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

let server: Server;
let baseUrl: string;
/** Such as "evict r8-a1 disk". */
let asked: string[];
/** Answers to give before the usual one. */
let first: { status: number; message: string }[];

beforeEach(async () => {
  asked = [];
  first = [];
  server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += String(part);
    const body = JSON.parse(text) as Record<string, string>;
    const route = request.url!.split('/').at(-1)!.replace('_lora_adapter', '');
    const { status, message } = first.shift() ?? { status: 200, message: 'Success' };
    asked.push([route, ...Object.values(body)].join(' '));
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(status < 300 ? {} : { error: { message } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

const NEVER = new Promise<string>(() => {});
const PATHS = new Map([1, 2, 3].map((i) => [`r8-a${i}`, `/tmp/r8-a${i}`]));
const engineWith = (slots: number, died = NEVER) => new EngineAdapters({ baseUrl, died, paths: PATHS, slots });

const cellsOf = (adapters: object): Cell[] =>
  planOf(scenarioWith({ adapters: { rank: 8, ...adapters } }), { kind: 'engine', software: false, deviceName: 'x' })
    .cells;

/** What is asked for the cell alone. */
async function askedFor(adapters: EngineAdapters, cell: Cell): Promise<string[]> {
  asked.length = 0;
  await adapters.arrange(cell);
  return [...asked];
}

describe('arrange', () => {
  it('loads what a warm cell wants, brings it to the device, and unloads the rest', async () => {
    const [one, two, none] = cellsOf({ count: [1, 2, 0] });
    const adapters = engineWith(2);
    expect(await askedFor(adapters, two!)).toEqual([
      'load r8-a1 /tmp/r8-a1',
      'load r8-a2 /tmp/r8-a2',
      'prefetch r8-a1 device',
      'prefetch r8-a2 device',
    ]);
    expect(await askedFor(adapters, one!)).toEqual(['unload r8-a2', 'prefetch r8-a1 device']);
    expect(await askedFor(adapters, none!)).toEqual(['unload r8-a1']);
  });

  it('puts adapters where a cold cell wants them before every run, and tells where they go when idle once', async () => {
    const [warm, host, disk] = cellsOf({ count: 1, residency: ['warm', 'cold_host', 'cold_disk'] });
    const adapters = engineWith(1);
    expect(await askedFor(adapters, host!)).toEqual(['idle_tier host', 'load r8-a1 /tmp/r8-a1', 'evict r8-a1 host']);
    expect(await askedFor(adapters, host!)).toEqual(['evict r8-a1 host']);
    expect(await askedFor(adapters, disk!)).toEqual(['idle_tier disk', 'evict r8-a1 disk']);
    expect(await askedFor(adapters, warm!)).toEqual(['idle_tier device', 'prefetch r8-a1 device']);
  });

  it('begins every run alike where more adapters than slots are to be warm', async () => {
    const [three] = cellsOf({ count: 3 });
    const adapters = engineWith(2);
    await adapters.arrange(three!);
    expect(await askedFor(adapters, three!)).toEqual([
      'evict r8-a3 host',
      'prefetch r8-a1 device',
      'prefetch r8-a2 device',
    ]);
  });

  it('waits for an adapter whose last request is still ending', async () => {
    const [cold] = cellsOf({ count: 1, residency: 'cold_disk' });
    const adapters = engineWith(1);
    await adapters.arrange(cold!);
    first = [
      { status: 409, message: 'in use' },
      { status: 409, message: 'in use' },
    ];
    expect(await askedFor(adapters, cold!)).toEqual(Array(3).fill('evict r8-a1 disk'));
  });

  it("tells a refusal in the engine's words", async () => {
    first = [{ status: 400, message: 'rank 8 is above --max-lora-rank 4' }];
    await expect(engineWith(1).arrange(cellsOf({ count: 1 })[0]!)).rejects.toMatchObject({
      code: 'PLAN_INVALID',
      message: 'the engine refused adapter "r8-a1": rank 8 is above --max-lora-rank 4',
    });
  });

  it('stops where it is told to', async () => {
    const stop = new AbortController();
    stop.abort();
    await engineWith(1).arrange(cellsOf({ count: 1 })[0]!, stop.signal);
    expect(asked).toEqual([]);
  });

  it('tells why an engine that is gone is gone', async () => {
    await new Promise((resolve) => server.close(resolve));
    const gone = engineWith(1, Promise.resolve('the engine was ended by SIGKILL')).arrange(cellsOf({ count: 1 })[0]!);
    await expect(gone).rejects.toMatchObject({ code: 'TARGET_DIED', message: 'the engine was ended by SIGKILL' });
    server.listen(0);
  });
});
