/** What is refused before anything is measured, or even told: against real servers on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../engine/models/tokenizer.ts';
import type { ScenarioArguments } from '../../src/commands/arguments.ts';
import { prepare } from '../../src/commands/prepare.ts';
import { validate } from '../../src/commands/validate.ts';
import { BenchError } from '../../src/errors.ts';
import { type LoraServer, type LoraServerOptions, startLoraServer } from '../support/lora-server.ts';
import { NO_FLAGS } from './no-flags.ts';

const SECRET = 'hunter2-0123456789';
let folder: string;
let server: Server;
let url: string;
let asked: string[];

/** Two base models with adapters of their own. */
const MODELS = [{ id: 'big' }, { id: 'b1', parent: 'big' }, { id: 'b2', parent: 'big' }];
const OTHERS = [{ id: 'small' }, { id: 's1', parent: 'small' }, { id: 's2', parent: 'small' }];

async function serve(data: readonly object[]): Promise<void> {
  server = createServer((request, response) => {
    asked.push(request.url!);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'prepare-'));
  asked = [];
  await serve([...MODELS, ...OTHERS]);
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await new Promise((resolve) => server.close(resolve));
});

const SCENARIO = {
  name: 'little',
  models: ['llama-3-8b'],
  adapters: { count: [0, 2] },
  prompt: { tokens: 8 },
  output: { tokens: 4 },
  load: { concurrency: 2 },
};

function argumentsFor(changes: Partial<ScenarioArguments>, scenario: object = SCENARIO) {
  const file = join(folder, 's.yaml');
  writeFileSync(file, JSON.stringify(scenario));
  return { ...NO_FLAGS, scenario: file, device: null, ...changes };
}

const said: string[] = [];
const stream = { write: (text: string) => said.push(text) } as unknown as NodeJS.WriteStream;
const io = { stdout: stream, stderr: stream, env: {}, signal: new AbortController().signal };

function prepared(changes: Partial<ScenarioArguments>, scenario?: object) {
  said.length = 0;
  return prepare(argumentsFor(changes, scenario), io, (line) => said.push(line));
}

async function failure(action: Promise<unknown>): Promise<BenchError> {
  const error = await action.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BenchError);
  return error as BenchError;
}

describe('the adapters of an endpoint', () => {
  it('are those of each model', async () => {
    const { plan } = await prepared({}, { ...SCENARIO, models: ['big', 'small'], target: { url } });
    const names = plan.cells.map(({ at, adapters }) => [at.model, adapters.map(({ name }) => name).join(' ')]);
    expect(names).toEqual([
      ['big', ''],
      ['big', 'b1 b2'],
      ['small', ''],
      ['small', 's1 s2'],
    ]);
  });

  it('are checked before anything is measured, however they are named', async () => {
    for (const changes of [
      { adapters: ['b1', 'b3'] },
      { set: ['adapters.names=[b1, b3]'] },
      { set: ['adapters.names={16: [b1, b3]}', 'adapters.rank=16'] },
      { adapters: ['b1', 'b3'], set: ['adapters.count=1'] },
    ]) {
      const error = await failure(prepared({ endpoint: url, model: 'big', ...changes }));
      expect(error).toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
      expect(error.message).toBe(`${url} has no adapter b3; it has b1, b2, s1, s2`);
    }
    // What a scenario names and the sweep does not use need not be there.
    const set = ['adapters.names=[b1, b3]', 'adapters.count=1'];
    expect((await prepared({ endpoint: url, model: 'big', set })).plan.cells).toHaveLength(1);
  });

  it('must be of the model that they are used with', async () => {
    const error = await failure(prepared({ endpoint: url, model: 'small', adapters: ['b1', 'b2'] }));
    expect(error.message).toBe('adapter b1 belongs to big, not to small, whose adapters are s1, s2');
    expect(error.exitCode).toBe(2);
  });
});

describe('an endpoint with a secret in its URL', () => {
  const urls = [`http://me:${SECRET}@127.0.0.1:1/v1`, `http://127.0.0.1:1/v1?api-key=${SECRET}`, `me:${SECRET}@host`];

  it.each(urls)('is refused before a word is said: %s', async (secret) => {
    const own = { ...SCENARIO, models: ['big'], target: { url: secret } };
    const tries = [
      () => prepared({ endpoint: secret }),
      () => prepared({}, own),
      () => validate(argumentsFor({ endpoint: secret, model: 'm', adapters: ['a', 'b'] }), io),
      () => prepared({ endpoint: 'http://h/v1', set: [`target={url: "${secret}", nonsense: 1}`] }),
    ];
    for (const [i, attempt] of tries.entries()) {
      if (i === 3 && !secret.startsWith('http')) continue;
      const error = await failure(attempt());
      expect(error.exitCode).toBe(2);
      expect(`${error.message} ${error.hint} ${said.join(' ')}`).not.toContain(SECRET);
      expect(said).toEqual([]);
    }
  });
});

it("a flag's mistake is told under its own name", async () => {
  const twice = await failure(prepared({ endpoint: url, model: 'big', adapters: ['b1', 'b1'] }));
  expect(twice.message).toBe('--adapters: adapters.names: "b1" is listed twice');
  const api = await failure(prepared({ endpoint: url, api: 'soap' as 'chat' }));
  expect(api.message).toMatch(/^--api: target\.api: expected .*found "soap"/);
  const noUrl = await failure(prepared({ endpoint: 'localhost:8000' }));
  expect(noUrl.message).toMatch(/^--endpoint: "localhost:8000" is not a URL/);
});

it('warns for each model whose tokenizer is not known', async () => {
  const models = { ...SCENARIO, models: ['big', 'small'], adapters: { count: 0 }, target: { url } };
  expect((await prepared({}, models)).warnings.join('\n')).toMatch(/may not be big's.*\n.*may not be small's/s);
  const named = { ...models, target: { url, tokenizer: 'llama-3-8b' } };
  expect((await prepared({}, named)).warnings).toEqual([]);
  const other = await failure(prepared({}, { ...models, target: { url, tokenizer: 'smollm2-135m' } }));
  expect(other.message).toMatch(/"smollm2-135m" \(not in this package\) is not supported yet; accepted: llama-3-8b, /);
});

describe('a file of prompts', () => {
  const CHAT = [
    { prompt: 'What is a LoRA adapter?', completion: 'A low-rank update of a weight matrix.' },
    { prompt: 'And a rank?', output_tokens: 7 },
  ];
  const ofFile = (prompt: object, rest: object = {}) => {
    const { output: _none, ...scenario } = SCENARIO;
    return { ...scenario, adapters: { count: 0 }, models: ['big', 'small'], target: { url }, prompt, ...rest };
  };
  const write = (name: string, lines: readonly object[]) =>
    writeFileSync(join(folder, name), lines.map((line) => JSON.stringify(line)).join('\n'));

  it('is read beside the scenario, counted by the tokenizer, shared by all cells, and kept out of what is stored', async () => {
    write('chat.jsonl', CHAT);
    const { plan, scenario } = await prepared({}, ofFile({ dataset: 'chat.jsonl' }, { load: { concurrency: [1, 2] } }));
    expect(said).toContain('reading chat.jsonl');
    const files = plan.cells.map(({ prompt }) => prompt.file);
    expect(files).toHaveLength(4);
    for (const file of files) expect(file).toBe(files[0]);
    // "What is a LoRA adapter?" and its answer in Llama 3's tokens.
    const tokenizer = await loadTokenizer('llama-3');
    const count = (text: string) => tokenizer.encode(text).length;
    expect(files[0]!.entries).toEqual([
      { text: CHAT[0]!.prompt, promptTokens: count(CHAT[0]!.prompt), outputTokens: count(CHAT[0]!.completion!) },
      { text: CHAT[1]!.prompt, promptTokens: count(CHAT[1]!.prompt), outputTokens: 7 },
    ]);
    expect(JSON.stringify(scenario)).not.toContain('What is a');
    expect(plan.cells[0]!.at.promptTokens).toBe('dataset(chat.jsonl)');
  });

  it('is changed from the command line as any other value', async () => {
    write('t.jsonl', [{ timestamp: 10, input_length: 9, output_length: 2 }]);
    const set = ['prompt={trace: t.jsonl}', 'load={trace: {speed: 4}}', 'prompt.reuse=true'];
    const { plan } = await prepared({ set }, ofFile({ tokens: 5 }, { output: { tokens: 3 } }));
    expect(plan.cells[0]).toMatchObject({
      load: { kind: 'open', arrivals: 'trace', speed: 4 },
      measure: { requests: 1 },
      output: { lengths: { kind: 'fixed', tokens: 3 } },
      prompt: { reuse: true },
    });
  });

  it('that is wrong is told with its line, by run and by validate, before anything is measured', async () => {
    write('bad.jsonl', [...CHAT, { prompt: 'no answer' }]);
    const scenario = ofFile({ dataset: 'bad.jsonl' });
    for (const attempt of [
      () => prepared({}, scenario),
      () => validate(argumentsFor({}, scenario), io),
      () => validate(argumentsFor({}, { ...scenario, target: 'engine', models: ['llama-3-8b'] }), io),
    ]) {
      const error = await failure(attempt());
      expect(error).toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
      expect(error.message).toBe(
        `${join(folder, 'bad.jsonl')}:3: nothing says how long the answer is; expected output_tokens, max_tokens or ` +
          'completion here, or output.tokens in the scenario',
      );
    }
    expect((await failure(prepared({}, ofFile({ trace: 'none.jsonl' })))).message).toMatch(
      /^prompt\.trace: there is no file .*none\.jsonl, nor /,
    );
  });

  it('is explained by validate, with what was left out', async () => {
    const talk = (question: string) => ({
      conversations: [
        { from: 'human', value: question },
        { from: 'gpt', value: 'It is a small update that is added to the weights.' },
      ],
    });
    writeFileSync(join(folder, 'share.json'), JSON.stringify([talk('What is a LoRA adapter, in short?'), talk('Hm')]));
    said.length = 0;
    const scenario = ofFile({ dataset: 'share.json' }, { load: { rate: '2/s', arrivals: 'gamma(0.5)' } });
    await validate(argumentsFor({}, scenario), io);
    const words = said.join('');
    expect(words).toMatch(
      / {2}c1: big, base model alone, prompts of share\.json, as many out as there, 2\/s gamma\(0\.5\)/,
    );
    expect(words).toMatch(/Prompts: 1 of share\.json, 1\d tokens each, with 8 put before each/);
    expect(words).toMatch(/Warning: c1, c2: 1 entry of share\.json left out: without question and answer, shorter/);
  });
});

describe('adapters that the endpoint lacks', () => {
  const started: LoraServer[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
  });
  async function lacking(more: Partial<LoraServerOptions> = {}): Promise<string> {
    const one = await startLoraServer({ kind: 'vllm', base: 'base', files: ['/adapters/a', '/adapters/b'], ...more });
    started.push(one);
    return one.url;
  }
  const asked = { adapters: ['a', 'b'] };

  it('are planned where the server can load them from the path that is given', async () => {
    const endpoint = await lacking();
    const { plan, scenario } = await prepared({ ...asked, endpoint, adapterPath: '/adapters' });
    expect(plan.cells.map(({ adapters }) => adapters.map(({ name }) => name))).toEqual([[], ['a', 'b']]);
    expect(scenario.target).toMatchObject({ adapterPath: '/adapters' });
  });

  it('are refused before anything is measured where it has no route for that, with what would open it', async () => {
    const endpoint = await lacking({ updating: false });
    const refused = prepared({ ...asked, endpoint, adapterPath: '/adapters' });
    await expect(refused).rejects.toMatchObject({
      hint: expect.stringContaining('VLLM_ALLOW_RUNTIME_LORA_UPDATING'),
    });
  });

  it('are loaded onto endpoints only', async () => {
    await expect(prepared({ adapterPath: '/adapters' })).rejects.toThrow('--adapter-path is for endpoints');
  });
});
