/**
 * Commands that READMEs show, run as a reader would: the built `bench`, each in the same folder, after those it needs. Hosts are servers on
 * loopback, a model of 8B its stand-in, and sweeps are cut short; nothing else is changed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Running, Workplace } from '../e2e/bench.ts';
import { startLoraServer } from '../support/lora-server.ts';
import { startTimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { RUN } from './classes.ts';
import { commandsOf } from './commands.ts';
import { pages, ROOT } from './pages.ts';

/** As the other tests choose it. */
const DEVICE = process.env['BENCH_TEST_DEVICE'] ?? 'swiftshader';
const place = new Workplace();
const closing: (() => unknown)[] = [];
let engine: { running: Running; url: string };

const all = pages();
const wordsOf = new Map(all.flatMap(commandsOf).map(({ text, words }) => [text, words]));

beforeAll(() => {
  // Files that a page shows beside its commands.
  for (const { text } of all.flatMap(({ blocks }) => blocks)) {
    const name = /^# (?<name>[\w-]+\.yaml)\b/.exec(text)?.groups?.['name'];
    if (name !== undefined) place.file(name, text);
  }
});
afterAll(async () => {
  await Promise.all(closing.map((close) => close()));
  place.clear();
});

const SHORT = ['load.concurrency=[2]', 'measure={requests: 4, warmup: {per_adapter: 0}}', 'output={tokens: 2}'];
const short = ['--no-self-check', '--quiet', ...SHORT.flatMap((setting) => ['--set', setting])];

/** Runs a command of RUN, with words of it replaced and others added. @returns what it printed */
async function run(
  text: string,
  replaced: Record<string, string> = {},
  added: readonly string[] = [],
): Promise<string> {
  const words = wordsOf.get(text)?.slice(2) ?? [];
  const argv = words.map((word) => replaced[word] ?? (word.startsWith('scenarios/') ? join(ROOT, word) : word));
  const { code, stdout, stderr } = await place.bench([...argv, ...added]);
  expect(code, `${text}\n${stderr}`).toBe(0);
  return stdout;
}

/** A server at http://host:8000/v1. */
async function host(options: Partial<TimedServerOptions>): Promise<Record<string, string>> {
  const server = await startTimedServer({ ttftMs: 2, gapMs: 1, ...options });
  closing.push(() => server.close());
  return { 'http://host:8000/v1': server.url };
}

/** One server of two: the one knows adapters and loads them, the other writes what is asked of it. */
async function inFrontOf(knows: string, writes: string): Promise<string> {
  const server = createServer((asked, answer) => {
    const { origin } = new URL(asked.url?.endsWith('/completions') === true ? writes : knows);
    const { method, headers } = asked;
    const forwarded = request(`${origin}${asked.url}`, { method: method!, headers }, (got) => {
      answer.writeHead(got.statusCode!, got.headers);
      got.pipe(answer);
    });
    asked.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

type Step = (text: string) => Promise<void>;
type StepsOf<Texts extends readonly string[]> = { readonly [i in keyof Texts]: Step };
/** One for each of RUN, in that order. */
const STEPS: StepsOf<typeof RUN> = [
  async (text) => expect(await run(text)).toContain('12 cells'),
  async (text) => expect(await run(text)).toMatch(/64 out, 4 in flight/),
  async (text) => {
    await run(text, await host({ adapters: ['sql', 'support'] }), [...short, '--out', 'first']);
    expect(place.result('first').cells.map(({ at }) => at.adapters)).toEqual([0, 2]);
    cpSync(join(place.folder, 'first'), join(place.folder, 'reports/smoke/2026-12-01T10-00-00Z'), { recursive: true });
  },
  async (text) => {
    const adapters = ['sql', 'support'];
    const server = await startLoraServer({ files: adapters.map((name) => `/adapters/${name}`) });
    closing.push(() => server.close());
    const { 'http://host:8000/v1': writes } = await host({ adapters });
    const url = await inFrontOf(server.url, writes!);
    await run(text, { 'http://host:8000/v1': url }, [...short, '--out', 'second']);
    expect(server.asked.join()).toMatch(/load_lora_adapter sql \/adapters\/sql.*unload_lora_adapter sql/);
    cpSync(join(place.folder, 'second'), join(place.folder, 'reports/smoke/2026-12-02T10-00-00Z'), { recursive: true });
  },
  async (text) =>
    expect(await run(text, { 'llama-3-8b': 'llama-3-8b@1/8' })).toContain('r16-a1 to r16-a32 in adapters'),
  async (text) => expect(await run(text, { 'llama-3-8b': 'llama-3-8b@1/8' })).toMatch(/loads\s+yes/),
  async (text) => {
    const adapters = Array.from({ length: 8 }, (_, i) => `a${i + 1}`);
    await run(text, await host({ model: 'my-model', adapters }), short);
  },
  async (text) => expect(await run(text)).toContain('1 session; 7 more are needed'),
  async (text) => expect(await run(text)).toMatch(/reports\/baselines\/vllm-lora@\w{8}\.json/),
  async (text) => expect(await run(text)).toContain('report.html'),
  async (text) => {
    await run(text);
    expect(place.files().join()).toContain('compared/compare.html');
  },
  async (text) => {
    const words = wordsOf.get(text)!.slice(2);
    const replaced: Record<string, string> = { 'llama-3-8b@1/8': 'llama-3.2-1b@1/8', '8000': '0' };
    const running = place.start([...words.map((word) => replaced[word] ?? word), '--device', DEVICE]);
    const url = new Promise<string>((resolve) => {
      running.child.stdout?.on('data', (line: string) => resolve((JSON.parse(line) as { url: string }).url));
    });
    await running.said(/"ready": ?true/);
    engine = { running, url: await url };
  },
  async (text) => {
    const words = wordsOf.get(text)!;
    const after = (flag: string) => words[words.indexOf(flag) + 1]!;
    const url = words.find((word) => word.startsWith('http'))!.replace('http://127.0.0.1:8000', engine.url);
    const [name, value] = after('-H').split(': ');
    const answer = await fetch(url, { method: 'POST', headers: { [name!]: value! }, body: after('-d') });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ model: 'a', usage: { completion_tokens: 8 } });
    engine.running.child.kill('SIGTERM');
    expect((await engine.running.ended).code).toBe(0);
  },
];

it.each(RUN.map((text, i) => [text, i] as const))('%s', async (text, i) => (STEPS as readonly Step[])[i]!(text));

const snippets = (language: string) =>
  all.flatMap(({ blocks }) => blocks).filter((block) => block.language === language);

it('JavaScript that reads a result does', () => {
  symlinkSync(join(ROOT, 'node_modules'), join(place.folder, 'node_modules'));
  const [merge, ...more] = snippets('js');
  expect(more).toEqual([]);
  const file = place.file('first/merge.mjs', merge!.text);
  const { stdout, stderr } = spawnSync(process.execPath, [file], {
    cwd: join(place.folder, 'first'),
    encoding: 'utf8',
  });
  expect(stdout, stderr).toMatch(/^c1 0 adapters: p99 \d.* ms of 4\nc2 2 adapters: p99 \d.* ms of 4\n$/);
});

it('so does Python, with what is installed of it', (context) => {
  const python = (code: string) =>
    spawnSync('python3', ['-c', code], { cwd: join(place.folder, 'first'), encoding: 'utf8' });
  const told = snippets('python').map(({ text }) => ({
    text,
    needs: /^(?:import|from) (?<module>hdrh)/m.exec(text) !== null,
  }));
  expect(told.map(({ needs }) => needs)).toEqual([true, false]);
  if (python('').status !== 0) return context.skip('no python3 here');
  for (const { text, needs } of told) {
    if (needs && python('import hdrh').status !== 0) continue;
    const { status, stdout, stderr } = python(text);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(needs ? /^c1 0 adapters: p99 / : /^8 measured, 0 not ok\nbase median time/);
  }
});

it('TypeScript that starts a server with known timings does', async () => {
  const [snippet, ...more] = snippets('ts');
  expect(more).toEqual([]);
  const code = snippet!.text.replace(
    /import (?<names>\{.*\}) from '(?<from>.*)';/g,
    (_all, names: string, from: string) => `const ${names} = await load('${from}');`,
  );
  const load = (from: string) => import(from.replace('./', '../'));
  const run = new Function('load', `return (async () => { ${code} })();`) as (load: unknown) => Promise<void>;
  await run(load);
});
