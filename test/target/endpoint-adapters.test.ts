/** Adapters loaded onto servers that run already: against servers on loopback with vLLM's and SGLang's answers, and our own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BenchError } from '../../src/errors.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import { EndpointAdapters, requireLoading } from '../../src/target/endpoint-adapters.ts';
import { adapterLoad, type EndpointOptions, probeEndpoint } from '../../src/target/endpoint-probe.ts';
import { call } from '../../src/target/http.ts';
import type { Target } from '../../src/target/target.ts';
import { serving } from '../engine/http/serving.ts';
import { scenarioWith } from '../plan/scenario-text.ts';
import { runFor } from '../runner/plan-for.ts';
import { type LoraServer, type LoraServerOptions, startLoraServer } from '../support/lora-server.ts';

const KEY = 'sk-very-secret-0123456789';
const KINDS = ['vllm', 'sglang'] as const;
const ROUTE = { vllm: '/v1/', sglang: '/' };

let server: LoraServer;
let reported: string[] = [];
afterEach(async () => {
  await server?.close();
  reported = [];
});

const FILES = ['/adapters/a1', '/adapters/a2', '/adapters/a3'];

async function started(options: Partial<LoraServerOptions> = {}): Promise<LoraServer> {
  server = await startLoraServer({ files: FILES, ...options });
  return server;
}

const optionsFor = (url: string, more: Partial<EndpointOptions> = {}): EndpointOptions => ({
  url,
  api: 'completions',
  apiKeyEnv: null,
  headers: {},
  env: {},
  load: adapterLoad('/adapters/', {}),
  ...more,
});

const cellOf = (names: string[], model = 'base') => {
  const scenario = scenarioWith({ adapters: { count: names.length, names } }, true);
  return planOf(scenario, { kind: 'endpoint', models: [{ name: model, adapters: [] }], allowFewer: false }).cells[0]!;
};

async function targetOf(more: Partial<EndpointOptions> = {}, signal = new AbortController().signal): Promise<Target> {
  const source = endpointSource(optionsFor(server.url, more));
  return source.bringUp(cellOf(['a1']), (line) => reported.push(line), signal);
}

const managed = () => server.asked.filter((line) => line.includes('lora_adapter '));

async function failure(promise: Promise<unknown>): Promise<BenchError> {
  return promise.then(
    () => expect.unreachable(),
    (error: BenchError) => error,
  );
}

describe.each(KINDS)('on %s', (kind) => {
  const route = ROUTE[kind];

  it('loads what is missing from where it lies, once, and takes off that alone', async () => {
    await started({ kind, adapters: ['a2', 'other'] });
    const target = await targetOf();
    await target.ensureAdapters(cellOf(['a1', 'a2']));
    await target.ensureAdapters(cellOf(['a1', 'a2', 'a3']));
    expect(managed()).toEqual([
      `POST ${route}load_lora_adapter a1 /adapters/a1`,
      `POST ${route}load_lora_adapter a3 /adapters/a3`,
    ]);
    expect([...server.holds]).toEqual(['a2', 'other', 'a1', 'a3']);
    await target.stop();
    await target.stop();
    expect(managed().slice(2)).toEqual([`POST ${route}unload_lora_adapter a3`, `POST ${route}unload_lora_adapter a1`]);
    expect([...server.holds]).toEqual(['a2', 'other']);
    expect(reported).toContain(`loading 1 adapter onto ${server.url}`);
    expect(reported.join()).not.toMatch(/stay on|any more/);
  });

  it('names an adapter in a request so that the server finds it', async () => {
    await started({ kind });
    const target = await targetOf();
    await target.ensureAdapters(cellOf(['a1']));
    const { adapterField = 'model' } = target.connection;
    const body = { model: target.model, [adapterField]: 'a1', prompt: 'x', max_tokens: 1 };
    const answer = await call(`${server.url}/completions`, { method: 'POST', body });
    expect(answer.json).toMatchObject({ choices: [{ text: 'a1' }] });
    await target.stop();
  });

  it('says what the server says of a path at which nothing is, and goes on with others', async () => {
    await started({ kind });
    const target = await targetOf();
    const error = await failure(target.ensureAdapters(cellOf(['a1', 'nothing'])));
    expect(error).toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
    const said =
      kind === 'vllm' ? /^.+ \(404\): Loading lora nothing failed/ : /^.+ \(400\): Failed to load LoRA adapter nothing/;
    expect(error.message).toMatch(said);
    expect(error.message).toContain(`${server.url} did not load adapter "nothing" from /adapters/nothing`);
    expect(error.hint).toContain("server's own file system");
    await target.ensureAdapters(cellOf(['a1', 'a2']));
    await target.stop();
    expect([...server.holds]).toEqual([]);
  });

  it('leaves alone what somebody else has loaded meanwhile', async () => {
    await started({ kind, beforeLoad: (name, holds) => void holds.add(name) });
    const target = await targetOf();
    await target.ensureAdapters(cellOf(['a1', 'a2']));
    await target.stop();
    expect([...server.holds]).toEqual(['a1', 'a2']);
    expect(managed().filter((line) => line.includes('unload'))).toEqual([]);
  });

  it('takes off an adapter whose load was cut, though the server finishes it later', async () => {
    await started({ kind, loadMs: 400 });
    const target = await targetOf();
    const interrupt = new AbortController();
    const loading = target.ensureAdapters(cellOf(['a1', 'a2']), interrupt.signal);
    await vi.waitFor(() => expect(managed()).toHaveLength(1));
    interrupt.abort();
    await loading;
    expect([...server.holds]).toEqual([]);
    await target.stop();
    expect([...server.holds]).toEqual([]);
    await sleep(500);
    expect([...server.holds]).toEqual([]);
    expect(managed().some((line) => line.includes('a2'))).toBe(false);
  });

  it('takes off one that is being loaded when it is stopped, and loads no more', async () => {
    await started({ kind, loadMs: 200 });
    const target = await targetOf();
    const loading = target.ensureAdapters(cellOf(['a1', 'a2']));
    await vi.waitFor(() => expect(managed()).toHaveLength(1));
    await target.stop();
    await loading;
    await sleep(500);
    expect([...server.holds]).toEqual([]);
    expect(managed().some((line) => line.includes('a2'))).toBe(false);
  });

  it('loads nothing onto a server that is only asked for what it has', async () => {
    await started({ kind, adapters: ['a1'] });
    const target = await targetOf({ load: null });
    await target.ensureAdapters(cellOf(['a1']));
    expect((await failure(target.ensureAdapters(cellOf(['a1', 'a2'])))).message).toBe(
      `${server.url} has no adapter a2; it has a1`,
    );
    await target.stop();
    expect(server.asked.filter((line) => line.startsWith('POST'))).toEqual([]);
  });

  it('tells a key that may not', async () => {
    await started({ kind, apiKey: KEY, adminKey: 'another' });
    const target = await targetOf({ apiKeyEnv: 'K', env: { K: KEY } });
    const error = await failure(target.ensureAdapters(cellOf(['a1'])));
    expect(error.message).toBe(`${server.url} lets nobody load adapters with this key (403): Unauthorized`);
    expect(error.hint).toContain('K');
    expect(`${error.message}${error.hint}`).not.toContain(KEY);
    await target.stop();
  });

  it('sends the key', async () => {
    await started({ kind, apiKey: KEY });
    const target = await targetOf({ apiKeyEnv: 'K', env: { K: KEY } });
    await target.ensureAdapters(cellOf(['a1']));
    expect([...server.holds]).toEqual(['a1']);
    await target.stop();
    expect([...server.holds]).toEqual([]);
  });

  it('does not wait long for a server that does not unload, and says what stays', async () => {
    await started({ kind, hangs: true });
    const options = optionsFor(server.url);
    const adapters = new EndpointAdapters({
      endpoint: options,
      facts: await probeEndpoint(options),
      load: options.load!,
      report: (line) => reported.push(line),
      unloadTimeoutMs: 200,
    });
    await adapters.load(['a1', 'a2']);
    const start = performance.now();
    await adapters.unload();
    expect(performance.now() - start).toBeLessThan(1_500);
    expect(reported.at(-1)).toBe(`adapters that were loaded here stay on ${server.url}: a2, a1 (no answer in time)`);
  });

  it('does not wait for a server that is gone', async () => {
    await started({ kind });
    const target = await targetOf();
    await target.ensureAdapters(cellOf(['a1', 'a2']));
    await server.close();
    const before = reported.length;
    const start = performance.now();
    await target.stop();
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(reported).toHaveLength(before);
  });
});

describe('a server that takes none', () => {
  it('is told apart, with what it would need', async () => {
    await started({ updating: false });
    const options = optionsFor(server.url);
    const facts = await probeEndpoint(options);
    const message =
      `${server.url} takes no adapters while it runs: ` +
      'it answers POST /v1/load_lora_adapter 404, POST /load_lora_adapter 404';
    const early = await failure(requireLoading(options, facts, ['a1']));
    expect(early).toMatchObject({ code: 'PLAN_INVALID', message });
    expect(early.hint).toContain('VLLM_ALLOW_RUNTIME_LORA_UPDATING=True');
    const target = await targetOf();
    expect((await failure(target.ensureAdapters(cellOf(['a1'])))).message).toBe(message);
    await target.stop();
  });

  it('is not asked where nothing is to be loaded', async () => {
    await started({ updating: false, adapters: ['a1'] });
    const options = optionsFor(server.url);
    const facts = await probeEndpoint(options);
    await requireLoading(options, facts, ['a1']);
    await requireLoading({ ...options, load: null }, facts, ['a2']);
    expect(server.asked.filter((line) => line.startsWith('POST'))).toEqual([]);
  });

  it("says so in SGLang's words", async () => {
    await started({ kind: 'sglang', enabled: false });
    const target = await targetOf();
    const { message } = await failure(target.ensureAdapters(cellOf(['a1'])));
    expect(message).toMatch(/\(400\): LoRA is not enabled\. Please set `--enable-lora`/);
    await target.stop();
  });
});

it('tells of adapters that the server dropped for others', async () => {
  await started({ kind: 'sglang', adapters: ['owned'], most: 2 });
  const target = await targetOf();
  await target.ensureAdapters(cellOf(['a1', 'a2']));
  expect(reported.at(-1)).toBe(`${server.url} does not list owned any more, after others were loaded`);
  await target.stop();
});

it('believes a server that lists no adapters at all', async () => {
  await started({ kind: 'sglang', listsBaseOnly: true });
  const target = await targetOf();
  await target.ensureAdapters(cellOf(['a1']));
  await target.ensureAdapters(cellOf(['a1', 'a2']));
  expect(managed()).toHaveLength(2);
  expect(reported.join()).not.toContain('any more');
  await target.stop();
  expect([...server.holds]).toEqual([]);
});

describe('adapterLoad', () => {
  it('knows paths one by one before those below a folder', () => {
    const load = adapterLoad('/adapters/', { a2: '/elsewhere/x', toString: '/odd' })!;
    expect(['a1', 'a2', 'toString', 'org/a3'].map((name) => load.pathOf(name))).toEqual([
      '/adapters/a1',
      '/elsewhere/x',
      '/odd',
      '/adapters/org/a3',
    ]);
    expect(adapterLoad('/', {})?.pathOf('a1')).toBe('/a1');
    expect(adapterLoad(null, { a1: '/x' })?.pathOf('constructor')).toBeNull();
    expect(adapterLoad(null, {})).toBeNull();
  });
});

describe('the bundled engine, as an endpoint', () => {
  const paths = Object.fromEntries([1, 2, 3].map((i) => [`a${i}`, `synthetic:rank=4,seed=${i}`]));

  it('is measured with adapters that were loaded for it, and is left as it was', async () => {
    const { url, core } = await serving();
    core.info.geometry = { ...core.info.geometry, name: 'base' };
    await core.loadAdapter('owned', 'synthetic:rank=8,seed=9');
    const held: string[][] = [];
    const source = endpointSource(optionsFor(`${url}/v1`, { load: adapterLoad(null, paths) }));
    const { outcome, records } = await runFor(`${url}/v1`, ['adapters={count: [1, 3]}'], {
      source,
      onRun: () => held.push(core.adapters().map(({ name }) => name)),
    });
    expect(outcome.failures).toEqual([]);
    expect(records.every(({ outcome: how }) => how === 'ok')).toBe(true);
    expect(new Set(records.map(({ adapter }) => adapter))).toEqual(new Set(['a1', 'a2', 'a3', null]));
    expect(held.at(-1)).toEqual(['owned', 'a1', 'a2', 'a3']);
    expect(core.adapters().map(({ name }) => name)).toEqual(['owned']);
  });

  it('refuses what it cannot load in its own words', async () => {
    const { url, core } = await serving();
    core.info.geometry = { ...core.info.geometry, name: 'base' };
    const load = adapterLoad(null, { ...paths, a2: 'synthetic:rank=1024,seed=1' });
    const source = endpointSource(optionsFor(`${url}/v1`, { load }));
    const target = await source.bringUp(cellOf(['a1']), () => {}, new AbortController().signal);
    expect((await failure(target.ensureAdapters(cellOf(['a1', 'a2'])))).message).toMatch(
      /did not load adapter "a2" from synthetic:rank=1024,seed=1 \(400\): rank 1024 is above 64/,
    );
    await target.stop();
    expect(core.adapters()).toEqual([]);
  });
});
