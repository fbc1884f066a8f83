/** https: which certificates are taken, what is said of the others, and that it is HTTP/1.1 that is spoken. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { startDialectServer } from '../support/dialect-server.ts';
import { DIALECT_STREAMS } from '../support/dialect-streams.ts';
import { emitModules } from '../support/emit-modules.ts';
import { clientFor, context, spec } from './sending.ts';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../support/tls');
const CERTIFICATE = join(FOLDER, 'test-only-certificate.pem');
const tls = { key: readFileSync(join(FOLDER, 'test-only-key.pem'), 'utf8'), cert: readFileSync(CERTIFICATE, 'utf8') };
const { steps } = DIALECT_STREAMS['vllm completions']!;

const open: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function serve(secure = true) {
  const server = await startDialectServer({ steps, clock: now, ...(secure ? { tls } : {}) });
  open.push(server);
  return server;
}

/** Records of two requests one after the other, of a process that trusts the test's certificate: Node reads it at its start. */
async function trusting(url: string): Promise<RequestRecord[]> {
  const emitted = emitModules('src/client/client.ts');
  open.push({ close: emitted.remove });
  const script = `
    const { createClient } = await import(${JSON.stringify(pathToFileURL(emitted.pathOf('src/client/client.ts')).href)});
    const client = createClient({ url: ${JSON.stringify(url)}, api: 'completions', model: 'base', apiKey: null, headers: {} });
    await client.connect(1).catch(() => {});
    const records = [];
    for (const i of [0, 1]) {
      const spec = ${JSON.stringify(spec({ outputTokens: 4 }))};
      records.push((await client.send({ ...spec, i }, ${JSON.stringify(context())})).record);
    }
    await client.close();
    console.log(JSON.stringify(records));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: CERTIFICATE },
    timeout: 60_000,
  });
  return JSON.parse(stdout) as RequestRecord[];
}

it('takes a certificate of an authority in NODE_EXTRA_CA_CERTS, and speaks HTTP/1.1 though HTTP/2 is offered', async () => {
  const server = await serve();
  const records = await trusting(server.url);
  expect(records.map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
  expect(records[0]!.chunks.map(([, tokens]) => tokens)).toEqual([1, 1, 1, 1]);
  expect(server.versions).toEqual(['1.1', '1.1']);
});

it('refuses a trusted certificate of another name, and says so', async () => {
  const server = await serve();
  const [record] = await trusting(server.url.replace('127.0.0.1', 'localhost'));
  expect(record).toMatchObject({ outcome: 'failed', error: 'connect_failed', firstByte: null });
  expect(record!.detail).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID.*use a host name that the certificate names/);
  expect(server.bodies).toEqual([]);
});

it('refuses a certificate that nobody vouches for, and says what would help; nothing was sent', async () => {
  const server = await serve();
  const client = clientFor(server.url, { apiKey: 'sk-secret-123' });
  open.push(client);
  const record = await client.send(spec(), context());
  expect(record).toMatchObject({ outcome: 'failed', error: 'connect_failed', firstByte: null });
  expect(record.detail).toMatch(
    /DEPTH_ZERO_SELF_SIGNED_CERT.*set NODE_EXTRA_CA_CERTS to the PEM file of its authority/,
  );
  await expect(client.connect(1)).rejects.toMatchObject({
    code: 'TARGET_UNREACHABLE',
    message: expect.stringContaining('NODE_EXTRA_CA_CERTS') as string,
  });
  expect(server.bodies).toEqual([]);
});

it('names https where http is spoken, and http where https is', async () => {
  const plain = await serve(false);
  const secure = await serve();
  const [https, http] = [
    clientFor(plain.url.replace('http:', 'https:')),
    clientFor(secure.url.replace('https:', 'http:')),
  ];
  open.push(https, http);
  const one = await https.send(spec(), context());
  expect(one).toMatchObject({ error: 'connect_failed' });
  expect(one.detail).toMatch(/does the server speak https at this port\?/);
  expect(await http.send(spec(), context())).toMatchObject({ error: 'reset_before_headers' });
});
