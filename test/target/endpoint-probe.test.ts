/** One line for everything that can be wrong with an endpoint, from real servers on loopback. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { adaptersOf, chooseModel } from '../../src/target/endpoint-models.ts';
import { adapterFieldOf, checkUrl, type EndpointOptions, probeEndpoint } from '../../src/target/endpoint-probe.ts';

const KEY = 'sk-very-secret-0123456789';
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const MODELS = [
  { id: 'base', object: 'model', owned_by: 'vllm', max_model_len: 4096 },
  { id: 'a1', parent: 'base' },
  { id: 'a2', parent: 'base' },
];

const json =
  (body: unknown, status = 200): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

const options = (url: string, more: Partial<EndpointOptions> = {}): EndpointOptions => ({
  url,
  api: 'chat',
  apiKeyEnv: null,
  headers: {},
  env: {},
  ...more,
});

async function failure(probe: Promise<unknown>): Promise<BenchError> {
  const error = await probe.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BenchError);
  return error as BenchError;
}

describe('probeEndpoint', () => {
  it('finds base models, adapters and the version', async () => {
    const url = await serve((request, response) =>
      json(request.url === '/version' ? { version: '0.9.1' } : { data: MODELS })(request, response),
    );
    const facts = await probeEndpoint(options(`${url}/v1/`));
    expect(facts).toEqual({
      baseUrl: `${url}/v1`,
      baseModels: ['base'],
      adapters: [
        { name: 'a1', parent: 'base' },
        { name: 'a2', parent: 'base' },
      ],
      server: { name: 'vllm', maxModelLen: 4096, version: '0.9.1' },
    });
    expect(chooseModel(facts, null)).toBe('base');
    expect(adaptersOf(facts, 'base')).toEqual(['a1', 'a2']);
  });

  const names = async (data: object[]) => {
    const { baseModels, adapters, ...facts } = await probeEndpoint(options(`${await serve(json({ data }))}/v1`));
    return {
      baseModels,
      adapters: adapters.map(({ name, parent }) => `${name} of ${parent}`),
      field: adapterFieldOf({ baseModels, adapters, ...facts }),
    };
  };

  it('tells adapters in the lists of other servers', async () => {
    // vLLM of before mid-2024, and NIM 1.x on top of it: no parent, the base model as root, no length of its own.
    const card = { object: 'model', owned_by: 'system', parent: null };
    const base = { ...card, id: 'base', root: 'base', max_model_len: 8192 };
    const a1 = { ...card, id: 'a1', root: 'base', max_model_len: null };
    expect(await names([base, a1])).toEqual({ baseModels: ['base'], adapters: ['a1 of base'], field: 'model' });
    // A second name of the base model has its root, and its length.
    expect((await names([base, { ...a1, id: 'alias', max_model_len: 8192 }])).baseModels).toEqual(['base', 'alias']);
    // Without lengths there is no telling.
    const { max_model_len: _, ...bare } = base;
    expect((await names([bare, { ...bare, id: 'a1' }])).baseModels).toEqual(['base', 'a1']);
    // A root that is a path is nobody's name.
    expect((await names([{ ...base, root: '/models/base' }])).baseModels).toEqual(['base']);
    const sglang = { ...base, owned_by: 'sglang' };
    const adapter = { ...a1, owned_by: 'sglang', root: '/adapters/a1', parent: 'base' };
    expect(await names([sglang, adapter])).toEqual({
      baseModels: ['base'],
      adapters: ['a1 of base'],
      field: 'lora_path',
    });
  });

  it('sends the key, and headers, with the request', async () => {
    const seen: unknown[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization, request.headers['x-team']);
      json({ data: MODELS })(request, response);
    });
    await probeEndpoint(
      options(`${url}/v1`, { apiKeyEnv: 'MY_KEY', env: { MY_KEY: KEY }, headers: { 'x-team': 'a' } }),
    );
    expect(seen.slice(0, 2)).toEqual([`Bearer ${KEY}`, 'a']);
  });

  it('says that nothing listens', async () => {
    const url = await serve(json({}));
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    const error = await failure(probeEndpoint(options(`${url}/v1`)));
    expect(error).toMatchObject({ code: 'TARGET_UNREACHABLE', exitCode: 5 });
    expect(error.message).toBe(`cannot reach ${url}/v1: connection refused`);
  });

  it('says that a host does not resolve', async () => {
    const error = await failure(probeEndpoint(options('http://no-such-host.invalid/v1')));
    expect(error.message).toMatch(/cannot reach http:\/\/no-such-host\.invalid\/v1: the host name does not resolve/);
  });

  it.each(['localhost:8000', 'ftp://h/v1', '', 'http://', 'http://[::1/v1'])('says that %j is no URL', async (url) => {
    expect(await failure(probeEndpoint(options(url)))).toMatchObject({ code: 'USAGE', exitCode: 2 });
  });

  it.each([`http://me:${KEY}@127.0.0.1:1/v1`, `http://127.0.0.1:1/v1?key=${KEY}`])(
    'refuses a secret in the URL without repeating it',
    async (url) => {
      const error = await failure(probeEndpoint(options(url)));
      expect(error.code).toBe('USAGE');
      expect(`${error.message} ${error.hint}`).not.toContain(KEY);
    },
  );

  it('tells a missing key from a wrong one, and names the variable', async () => {
    const url = await serve(json({ error: { message: `bad key ${KEY}` } }, 401));
    const none = await failure(probeEndpoint(options(`${url}/v1`)));
    expect(none.message).toContain('wants an API key (401), and none is configured');
    expect(none.hint).toContain('--api-key-env');
    const wrong = await failure(probeEndpoint(options(`${url}/v1`, { apiKeyEnv: 'MY_KEY', env: { MY_KEY: KEY } })));
    expect(wrong.message).toContain('does not accept the API key in MY_KEY (401)');
    expect(wrong.message).not.toContain(KEY);
    const unset = await failure(probeEndpoint(options(`${url}/v1`, { apiKeyEnv: 'MY_KEY' })));
    expect(unset).toMatchObject({ code: 'USAGE' });
    expect(unset.message).toContain('MY_KEY');
  });

  it('hides a key that the server repeats', async () => {
    const url = await serve(json({ error: { message: `cannot handle ${KEY}` } }, 500));
    const error = await failure(probeEndpoint(options(`${url}/v1`, { apiKeyEnv: 'K', env: { K: KEY } })));
    expect(error.message).toContain('answered 500: cannot handle');
    expect(error.message).not.toContain(KEY);
  });

  it('says what is missing from the path', async () => {
    const url = await serve((request, response) => {
      response.writeHead(request.url === '/' ? 200 : 404).end('<html>');
    });
    const error = await failure(probeEndpoint(options(url)));
    expect(error.message).toBe(`${url}/models does not exist (404)`);
    expect(error.hint).toContain(`${url}/v1`);
  });

  it.each([['<html>hello'], ['[]'], ['{"data": 3}'], ['null']])('says that %j is no list of models', async (body) => {
    const url = await serve((_request, response) => response.end(body));
    const error = await failure(probeEndpoint(options(`${url}/v1`)));
    expect(error.message).toContain('not with a list of models');
  });
});

describe('checkUrl', () => {
  it('takes the address of a server', () => {
    for (const url of ['http://host:8000/v1', 'https://host', 'http://[::1]:8000/v1/']) checkUrl(url, '--endpoint');
  });

  it.each([
    `http://me:${KEY}@host/v1`,
    `http://me:1/${KEY}@host/v1`,
    `me:${KEY}@host:8000`,
    `http://host/v1?key=${KEY}`,
    `http://host:x/v1#${KEY}`,
  ])('never repeats %s', async (url) => {
    const error = await failure(Promise.resolve().then(() => checkUrl(url, '--endpoint')));
    expect(error).toMatchObject({ code: 'USAGE', exitCode: 2 });
    expect(error.message).toMatch(/^--endpoint: /);
    expect(`${error.message} ${error.hint}`).not.toContain(KEY);
  });
});
