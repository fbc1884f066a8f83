/** The other target of a comparison: what a URL or a file makes of a scenario, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import type { EndpointTarget } from '../../src/scenario/scenario.ts';
import { type OtherArguments, otherTarget, scenarioForOther } from '../../src/scenario/target-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'target-file-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const LOAD = `
name: both
prompt: {tokens: 10}
output: {tokens: 5}
load: {concurrency: [2, 4]}
measure: {requests: 7}
`;
const ON_ENGINE = `${LOAD}
models: [llama-3-8b]
engine: {max_gpu_loras: 4}
adapters: {rank: [16], count: [0, 2]}
without_gpu: {models: [llama-3-8b@1/8], output: {tokens: 3}}
`;
const AT_ENDPOINT = `${LOAD}
target: {url: "http://a:8000/v1", api: chat, tokenizer: llama-3-8b, api_key_env: KEY_A, headers: {x-tenant: a}}
models: [base]
adapters: {count: [2], names: [a1, a2]}
`;

const ownOf = (text: string, withoutGpu = false, set: string[] = []) =>
  resolveScenario(scenarioFromText(text, 's.yaml'), { withoutGpu, endpoint: false, set });

const asked = (target: string, more: Partial<OtherArguments> = {}): OtherArguments => ({
  flag: '--compare',
  target,
  model: null,
  adapters: null,
  apiKeyEnv: null,
  ...more,
});

function file(text: string): string {
  const path = join(folder, 'other.yaml');
  writeFileSync(path, text);
  return path;
}

const otherOf = (text: string, args: OtherArguments, ...more: [boolean?, string[]?]) =>
  scenarioForOther(ownOf(text, ...more), otherTarget(args));

function failure(action: () => unknown): BenchError {
  try {
    action();
  } catch (error) {
    if (error instanceof BenchError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('a URL', () => {
  it('gets the load that the engine gets, without_gpu and --set included', () => {
    const other = otherOf(ON_ENGINE, asked('http://b:9000/v1'), true, ['load.concurrency=3']);
    const own = ownOf(ON_ENGINE, true, ['load.concurrency=3']);
    for (const key of ['workloads', 'load', 'measure', 'request'] as const) expect(other[key]).toEqual(own[key]);
    expect(other.workloads[0]!.output).toEqual({ kind: 'fixed', tokens: 3 });
    expect(other).toMatchObject({ models: [], weights: [], target: { kind: 'endpoint', url: 'http://b:9000/v1' } });
    expect(other.engine).toEqual({});
  });

  it('is spoken to as the scenario’s own endpoint is, and never with its key', () => {
    const { target, models, adapters } = otherOf(AT_ENDPOINT, asked('http://b:9000/v1'));
    expect(target).toMatchObject({ url: 'http://b:9000/v1', api: 'chat', tokenizer: 'llama-3-8b' });
    expect(target).toMatchObject({ apiKeyEnv: null, headers: {} });
    expect(models).toEqual([]);
    expect(adapters!.names).toEqual(['a1', 'a2']);
  });

  it('has a model, adapters and a key of its own where flags say so', () => {
    const more = { model: 'base-b', adapters: ['x', 'y'], apiKeyEnv: 'KEY_B' };
    const { target, models, adapters } = otherOf(AT_ENDPOINT, asked('http://b:9000/v1', more));
    expect([models, adapters!.names, (target as EndpointTarget).apiKeyEnv]).toEqual([['base-b'], ['x', 'y'], 'KEY_B']);
  });

  it('must not hold a secret, and is not repeated', () => {
    const error = failure(() => otherOf(AT_ENDPOINT, asked('http://me:hunter2@b:9000/v1')));
    expect(error.message).toMatch(/^--compare: target\.url: must not hold a user name or password/);
    expect(error.message).not.toContain('hunter2');
  });
});

describe('a file', () => {
  it('holds a target block, and what goes with another server', () => {
    const text = `
target: {command: [serve, b], ready: "http://127.0.0.1:9000/v1/models", ready_timeout: 5s, cwd: base, env: {LEVEL: "3"}}
models: [base-b]
adapters: {names: [x, y]}
`;
    const { target, models, adapters } = otherOf(AT_ENDPOINT, asked(file(text)));
    expect(target).toMatchObject({
      kind: 'endpoint',
      url: 'http://127.0.0.1:9000/v1',
      api: 'chat',
      start: {
        command: ['serve', 'b'],
        ready: 'http://127.0.0.1:9000/v1/models',
        readyTimeoutMs: 5_000,
        cwd: 'base',
        env: { LEVEL: '3' },
      },
    });
    expect([models, adapters!.names]).toEqual([['base-b'], ['x', 'y']]);
  });

  it('may say otherwise how it is spoken to', () => {
    const { target } = otherOf(AT_ENDPOINT, asked(file('target: {url: "http://b/v1", api: completions}')));
    expect(target).toMatchObject({ api: 'completions', tokenizer: 'llama-3-8b' });
  });

  it('may name the engine, with flags and models of its own', () => {
    const text = 'target: engine\nengine: {batch_invariant: true}\nmodels: [llama-3-8b@1/4]';
    const other = otherOf(ON_ENGINE, asked(file(text)));
    expect(other).toMatchObject({ target: { kind: 'engine' }, engine: { batchInvariant: true } });
    expect(other.models).toEqual(['llama-3-8b@1/4']);
    expect(failure(() => otherTarget(asked(file(text), { model: 'x' }))).message).toMatch(
      /^--compare-model is for endpo/,
    );
  });

  test.each([
    ['load: {concurrency: 1}\ntarget: engine', 'other.yaml:1:1: load: the load is the scenario’s'.replace('’', "'")],
    [
      'targt: {url: "http://b/v1"}',
      'targt: the load is the scenario\'s; a file for another target says nothing of it; did you mean "target"?',
    ],
    ['adapters: {names: [a], count: 3}\ntarget: engine', 'other.yaml:1:24: adapters.count: '],
    ['models: [a]', 'other.yaml:1:1: target: is missing; expected a mapping with target'],
    ['- a', 'other.yaml:1:1: expected a mapping with target'],
    ['target: {urll: x}', 'other.yaml:1:10: target.urll: unknown key; did you mean "url"?'],
    ['target: {url: x}', 'other.yaml:1:15: target.url: expected a URL such as http://host:8000/v1'],
  ])('%j is refused with its place', (text, told) => {
    const error = failure(() => otherOf(AT_ENDPOINT, asked(file(text))));
    expect(error).toMatchObject({ code: 'SCENARIO_INVALID', exitCode: 2 });
    expect(error.message).toContain(told);
  });

  it('that is not there is named with the flag', () => {
    const error = failure(() => otherTarget(asked(join(folder, 'nothing.yaml'), { flag: '--against' })));
    expect(error.message).toMatch(/^--against: cannot read .*nothing\.yaml: there is no such file/);
  });
});

test.each([
  ['http://127.0.0.1:8000/health', 'http://127.0.0.1:8000/v1'],
  ['http://127.0.0.1:8000/v1/models', 'http://127.0.0.1:8000/v1'],
  ['http://127.0.0.1:8000/v1/health/ready', 'http://127.0.0.1:8000/v1'],
  ['http://127.0.0.1:8000/llm/health', 'http://127.0.0.1:8000/llm/v1'],
  ['http://127.0.0.1:8000/openai/v1/models', 'http://127.0.0.1:8000/openai/v1'],
  ['http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1'],
])('a server that is ready at %s is at %s', (ready, url) => {
  const text = `${LOAD}\nmodels: [base]\ntarget: {command: [serve], ready: "${ready}"}`;
  const { target } = ownOf(text);
  expect(target).toMatchObject({ url, start: { command: ['serve'], readyTimeoutMs: 600_000, cwd: null, env: {} } });
});
