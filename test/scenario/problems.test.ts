import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';

const BASE: Record<string, string> = {
  name: 'a',
  models: 'llama-3-8b',
  prompt: '{tokens: 10}',
  output: '{tokens: 5}',
  load: '{concurrency: 2}',
};

/** A scenario whose first line is the changed key, so that its column is known; null leaves a key out. */
function errorOf(changes: Record<string, string | null>, options: { endpoint?: boolean } = {}): BenchError {
  const rest = Object.entries(BASE).filter(([key]) => !(key in changes));
  const lines = [...Object.entries(changes).filter(([, value]) => value !== null), ...rest];
  const text = lines.map(([key, value]) => `${key}: ${value}`).join('\n');
  try {
    resolveScenario(scenarioFromText(text, 's.yaml'), {
      withoutGpu: false,
      endpoint: options.endpoint ?? false,
      set: [],
    });
  } catch (error) {
    if (error instanceof BenchError) return error;
    throw error;
  }
  throw new Error(`accepted: ${text}`);
}

describe('one fault is told with its place, what was expected and what was found', () => {
  test.each<[Record<string, string | null>, string]>([
    [{ nmae: 'x' }, 's.yaml:1:1: nmae: unknown key; did you mean "name"? Accepted: name, '],
    [
      { adapters: '{rnak: 8, count: 0}' },
      's.yaml:1:12: adapters.rnak: unknown key; did you mean "rank"? Accepted: rank, ',
    ],
    [{ load: '{concurency: 8}' }, 's.yaml:1:8: load.concurency: unknown key; did you mean "concurrency"?'],
    [{ load: '{concurrency: 8, arrivals: poisson}' }, 'load.arrivals: does not go together with the other keys here'],
    [
      { load: '{rate: 4}' },
      's.yaml:1:14: load.rate: expected a rate with its unit (/s, /m or /h), such as 4/s, or a list',
    ],
    [{ load: '{rate: [4/s, 5]}' }, 's.yaml:1:20: load.rate[1]: expected a rate with its unit'],
    [{ load: '{rate: 0/s}' }, 's.yaml:1:14: load.rate: expected a rate, above 0, found "0/s"'],
    [{ load: '8' }, 's.yaml:1:7: load: expected {concurrency: 8}, {rate: 4/s} or {trace: {speed: 1}}, found 8'],
    [{ load: '{concurrency: []}' }, 'load.concurrency: expected a list with at least one entry, found []'],
    [{ load: '{concurrency: 1.5}' }, 's.yaml:1:21: load.concurrency: expected a whole number of at least 1, found 1.5'],
    [{ load: null }, 's.yaml:1:1: load: is missing; expected {concurrency: 8}, {rate: 4/s} or {trace: {speed: 1}}'],
    [{ name: '5' }, 's.yaml:1:7: name: expected a name, found 5'],
    [{ name: 'a b' }, 'name: expected a name of letters, digits, dots, dashes and underscores, found "a b"'],
    [{ models: null }, 'models: is missing; expected a preset (llama-3-8b, '],
    [{ models: 'llama-3-8c' }, 's.yaml:1:9: models: unknown model "llama-3-8c"; did you mean "llama-3-8b"?'],
    [{ models: '[llama-3-8b@1/3]' }, '3 does not divide the 8 KV heads of llama-3-8b'],
    [{ models: '[llama-3-8b, llama-3-8b]' }, 's.yaml:1:22: models[1]: "llama-3-8b" is listed twice'],
    [{ prompt: null }, 'prompt: is missing; expected {tokens: 200}'],
    [{ prompt: '8' }, 's.yaml:1:9: prompt: expected {tokens: 200}, {dataset: FILE} or {trace: FILE}, found 8'],
    [{ prompt: '{datset: a.jsonl}' }, 's.yaml:1:10: prompt.datset: unknown key; did you mean "dataset"? Accepted: '],
    [
      { prompt: '{dataset: a.jsonl, tokens: 5}' },
      's.yaml:1:10: prompt.dataset: does not go together with the other keys here',
    ],
    [
      { prompt: '{trace: a.jsonl, shared_prefix: {tokens: 5}}' },
      'prompt.shared_prefix: does not go together with the other keys here',
    ],
    [{ prompt: '{dataset: 5}' }, 's.yaml:1:19: prompt.dataset: expected a file name, found 5'],
    [
      { prompt: '{tokens: [200, 100], shared_prefix: {tokens: 100}}' },
      's.yaml:1:24: prompt.tokens[1]: a prompt must be longer than the prefix it shares (shared_prefix.tokens): found 100; expected above 100',
    ],
    [
      { prompt: '{tokens: {mean: 200, stddev: 9}, shared_prefix: {tokens: 100}}' },
      's.yaml:1:18: prompt.tokens: a prompt must be longer than the prefix it shares (shared_prefix.tokens): draws reach down to 1; expected min above 100',
    ],
    [
      { prompt: '{tokens: {uniform: {min: 9, max: 200}}, shared_prefix: {tokens: 100}}' },
      'draws reach down to 9; expected min above 100',
    ],
    [
      { prompt: '{tokens: 200, shared_prefix: {tokens: 100, gruops: 2}}' },
      'prompt.shared_prefix.gruops: unknown key; did you mean "groups"? Accepted: tokens, groups, per_adapter',
    ],
    [
      { prompt: '{tokens: 200, shared_prefix: {tokens: 100, per_adapter: 2}}' },
      'prompt.shared_prefix.per_adapter: expected true or false, found 2',
    ],
    [{ prompt: '{tokens: 200, shared_prefix: 100}' }, 'prompt.shared_prefix: expected {tokens: 100}, found 100'],
    [
      { load: '{trace: {speed: 1}}' },
      "s.yaml:1:15: load.trace: replays the times of the prompts' trace; expected prompt: {trace: FILE} beside it",
    ],
    [{ load: '{trace: {speed: 0}}', prompt: '{trace: a}' }, 'load.trace.speed: expected a number above 0, found 0'],
    [
      { load: '{trace: {speed: 1}}', prompt: '{trace: a}', measure: '{requests: {per_concurrency: 3}}' },
      'measure.requests: a replayed trace has no concurrency; expected a number of requests, a duration, or nothing',
    ],
    [
      { load: '{rate: 4/s, arrivals: gamma}' },
      's.yaml:1:29: load.arrivals: expected poisson, constant or gamma(k), such as gamma(0.5), found "gamma"',
    ],
    [
      { load: '{rate: 4/s, arrivals: gamma(0)}' },
      'load.arrivals: expected a shape of at least 0.01, such as gamma(0.5)',
    ],
    [{ prompt: '{tokens: {maen: 5}}' }, 'prompt.tokens.maen: unknown key; did you mean "mean"?'],
    [{ prompt: '{tokens: {mean: 5, stddev: x}}' }, 'prompt.tokens.stddev: expected a number, 0 or more, found "x"'],
    [{ prompt: '{tokens: {mean: 50, max: 40}}' }, 's.yaml:1:18: prompt.tokens: mean 50 lies outside min to max'],
    [{ prompt: '{tokens: {uniform: {min: 9, max: 3}}}' }, 'prompt.tokens: min 9 is above max 3'],
    [{ prompt: '{tokens: 0}' }, 's.yaml:1:18: prompt.tokens: expected a whole number of at least 1, found 0'],
    [{ output: '{control: exact}' }, 's.yaml:1:9: output: tokens is missing; expected {tokens: 200}'],
    [
      { output: '{tokens: 5, control: exactly}' },
      'output.control: expected exact or cap, or a list of such, found "exactly"',
    ],
    [{ workload: '[{prompt: 1, output: 2}]', output: null }, 'prompt: workload stands instead of prompt and output'],
    [{ adapters: '{rank: 8}' }, 's.yaml:1:11: adapters: count is missing'],
    [{ adapters: '{count: [0, 2]}' }, 's.yaml:1:11: adapters: rank is missing; expected a rank such as 16'],
    [{ adapters: '{count: 2, rank: {mix: {}}}' }, 'adapters.rank: expected at least one rank in the mix'],
    [{ adapters: '{count: 2, rank: {mix: {big: 1}}}' }, 'expected a rank (whole number) as key'],
    [{ adapters: '{count: 2, rank: 8, popularity: zipf}' }, 'adapters.popularity: expected uniform, round_robin, '],
    [{ adapters: '{count: 2, rank: 8, popularity: zipf(0)}' }, 'expected an exponent above 0'],
    [
      { adapters: '{count: 2, rank: 8, base_share: 1.5}' },
      'adapters.base_share: expected a share from 0 to 1, found 1.5',
    ],
    [{ adapters: '{count: 2, rank: 8, names: [a, a]}' }, 'adapters.names: "a" is listed twice'],
    [{ measure: '{drain: 30}' }, 's.yaml:1:18: measure.drain: expected a duration with its unit (ms, s, m or h)'],
    [{ measure: '{requests: 0s}' }, 'measure.requests: expected a duration, above 0, found "0s"'],
    [{ measure: '{requests: {at_least: 3}}' }, 'measure.requests.per_concurrency: is missing'],
    [
      { request: '{extra_body: {top_k: 5, n: 2}}' },
      's.yaml:1:37: request.extra_body.n: cannot be set here: a request has one answer',
    ],
    [{ request: '{extra_body: {max_tokens: 9}}' }, 'request.extra_body.max_tokens: cannot be set here: output.tokens'],
    [{ request: '{timeout: 0s}' }, 's.yaml:1:20: request.timeout: expected a duration, above 0, found "0s"'],
    [{ slo: '' }, 'slo: expected {ttft: 500ms, itl: 50ms}, found null'],
    [
      { target: 'nim' },
      's.yaml:1:9: target: expected engine, {url: http://host:8000/v1, ..} or {command: [..], ready: URL}, found "nim"',
    ],
    [{ target: '{url: host}' }, 'target.url: expected a URL such as http://host:8000/v1, found "host"'],
    [{ target: '{url: "http://me:pw@host/v1"}' }, 'target.url: must not hold a user name or password'],
    [
      { target: '{url: http://h/v1, headers: {Authorization: x}}' },
      'target.headers.Authorization: looks like a secret',
    ],
    [{ target: '{url: http://h/v1}', weights: 'f16' }, 'weights: only goes with target: engine'],
    [{ engine: '{max_gpu_lora: 3}' }, 'engine.max_gpu_lora: unknown key; did you mean "max_gpu_loras"?'],
    [{ without_gpu: '{laod: {concurrency: 1}}' }, 's.yaml:1:15: without_gpu.laod: unknown key; did you mean "load"?'],
    [
      { without_gpu: '{load: {concurrency: 0}}' },
      'without_gpu.load.concurrency: expected a whole number of at least 1',
    ],
    [{ without_gpu: '{models: nope}' }, 's.yaml:1:23: models: unknown model "nope"'],
    [{ models: 'lama' }, 'or a folder, written with a slash, such as ./my-model'],
    [{ adapters: '{rank: 8, count: 1, kind: doar}' }, 'expected lora, dora, vera, tied or {mix: {..}}'],
    [{ adapters: '{rank: 8, count: 1, kind: {mix: {doar: 1}}}' }, 'kind.mix.doar: unknown key; did you mean "dora"?'],
    [{ adapters: '{rank: 8, count: 1, kind: {mix: {}}}' }, 'adapters.kind: expected at least one kind in the mix'],
    [{ adapters: '{rank: 8, count: 1, modules: [q, q]}' }, 'adapters.modules: "q" is listed twice'],
    [{ adapters: '{rank: 8, count: 1, residency: cold}' }, 'expected warm, cold_host or cold_disk'],
    [
      { adapters: '{rank: 8, count: [0, 1, 4], mode: merged}' },
      's.yaml:1:35: adapters.count[2]: mode merged folds one adapter into the weights; expected 1 (or 0,',
    ],
    [
      { adapters: '{rank: 8, count: 1, mode: [dynamic, merged], base_share: 0.5}' },
      'adapters.base_share: mode merged leaves no base model to ask; expected 0, found 0.5',
    ],
    [
      { adapters: '{rank: 8, count: 1, mode: merged, residency: cold_host}' },
      'adapters.residency: mode merged has its adapter in the weights; expected warm',
    ],
    [
      { adapters: '{count: 1, mode: merged}', target: '{url: http://h/v1}' },
      'name its URL with adapters.count 0; expected dynamic',
    ],
    [
      { adapters: '{count: 1, residency: [warm, cold_disk]}', target: '{url: http://h/v1}' },
      'adapters.residency[1]: cold_disk is for the engine',
    ],
  ])('%j', (changes, text) => {
    const error = errorOf(changes);
    expect(error.message.split('\n').filter((line) => line.startsWith('s.yaml:'))).toHaveLength(1);
    expect(error.message).toContain(text);
    expect(error.code).toBe('SCENARIO_INVALID');
    expect(error.exitCode).toBe(2);
  });

  test('an open loop needs a number of requests that does not depend on concurrency', () => {
    const error = errorOf({ measure: '{requests: {per_concurrency: 3}}', load: '{rate: 4/s}' });
    expect(error.message).toContain('s.yaml:1:21: measure.requests: an open loop has no concurrency');
  });
});

describe('what the format knows and this version does not do is refused by name', () => {
  test.each<[Record<string, string>, string]>([
    [
      { weights: '[f16, int4]', adapters: '{mode: [dynamic, merged], rank: 8, count: 1}' },
      's.yaml:1:16: weights[1]: folding an adapter (mode merged) into "int4" is not supported yet; accepted: f16, or mode dynamic',
    ],
    [
      { target: '{url: "http://h/v1", tokenizer: server}' },
      'target.tokenizer: the tokenizer "server" (the server\'s, or an unknown name) is not supported yet; accepted: ',
    ],
  ])('%j', (changes, text) => {
    const error = errorOf(changes);
    expect(error.message).toContain(text);
    expect(error.code).toBe('UNSUPPORTED');
    expect(error.exitCode).toBe(2);
  });
});

test.each<Record<string, string>>([
  { models: './llama' },
  { models: '[llama-3-8b, /data/llama, ../llama, "~/llama"]' },
  { adapters: '{rank: 8, count: [0, 1], kind: [lora, dora, vera, tied], mode: [dynamic, merged]}' },
  { adapters: '{rank: 8, count: 4, kind: {mix: {lora: 1, vera: 1}}, residency: [warm, cold_host, cold_disk]}' },
  { adapters: '{count: 4, kind: dora, modules: [q, v], residency: warm}', target: '{url: http://h/v1}' },
  { target: '{url: "http://h/v1", tokenizer: ./tokenizer}' },
  { load: '{rate: 4/s, arrivals: gamma(0.5)}' },
  { prompt: '{dataset: x.jsonl}', load: '{rate: 4/s, arrivals: gamma(12)}' },
  { prompt: '{trace: x.jsonl, reuse: true}', load: '{trace: {speed: 0.5}}', output: '{control: cap}' },
  { prompt: '{trace: x.jsonl}', load: '{trace: {speed: 2}}', measure: '{requests: 30s}' },
  { prompt: '{trace: x.jsonl}', load: '{concurrency: 4}' },
  { prompt: '{tokens: {mean: 200, stddev: 9, min: 101}, shared_prefix: {tokens: 100, groups: 3, per_adapter: true}}' },
])('accepts %j', (changes) => {
  expect(() => errorOf(changes)).toThrow('accepted: ');
});

test('all problems are told at once, in the order of the file', () => {
  const error = errorOf({ adapters: '{rnak: 8, count: -1}', weights: 'int3', measure: '{seed: x}', slo: '{ttft: 5}' });
  const places = error.message
    .split('\n')
    .slice(1)
    .map((line) => line.split(': ')[0]);
  expect(error.message.split('\n')[0]).toBe('s.yaml has 5 problems:');
  expect(places).toEqual(['s.yaml:1:12', 's.yaml:1:28', 's.yaml:2:10', 's.yaml:3:17', 's.yaml:4:13']);
  expect(error.code).toBe('SCENARIO_INVALID');
});

test('YAML faults are placed: duplicate keys, bad syntax, unknown tags', () => {
  const messageOf = (text: string) => {
    try {
      scenarioFromText(text, 's.yaml');
    } catch (error) {
      return (error as BenchError).message;
    }
    return 'accepted';
  };
  expect(messageOf('name: a\nname: b')).toBe('s.yaml:2:1: not valid YAML: Map keys must be unique');
  expect(messageOf('name: [a\nload: 1')).toContain('s.yaml:2:');
  expect(messageOf('name: !!python/object x')).toContain('s.yaml:1:7: not valid YAML: Unresolved tag');
  expect(messageOf('- a')).toBe('s.yaml:1:1: expected a mapping with name, models, prompt, output and load');
  expect(messageOf('')).toContain('expected a mapping');
});

test('whatever stands under a key, the answer is a scenario or a BenchError with places', () => {
  const keys = ['models', 'weights', 'adapters', 'prompt', 'output', 'load', 'measure', 'slo', 'target', 'without_gpu'];
  const inner = [
    'tokens',
    'rank',
    'count',
    'mix',
    'names',
    'concurrency',
    'rate',
    'uniform',
    'mean',
    'url',
    'requests',
    'trace',
    'speed',
    'dataset',
    'arrivals',
    'shared_prefix',
    'reuse',
  ];
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<unknown>(null, true, 0, 1, -1, 2.5, '4/s', '3s', 'uniform', 'f16', 'llama-3-8b', 'x', 'gamma(2)'),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...inner), tie('any'), { maxKeys: 3 }),
    ),
  })).any;
  fc.assert(
    fc.property(fc.constantFrom(...keys), value, fc.boolean(), (key, under, withoutGpu) => {
      const text = JSON.stringify({
        name: 'a',
        models: 'llama-3-8b',
        prompt: { tokens: 1 },
        output: { tokens: 1 },
        load: { concurrency: 1 },
        [key]: under,
      });
      try {
        const scenario = resolveScenario(scenarioFromText(text, 's.yaml'), { withoutGpu, endpoint: false, set: [] });
        expect(scenario.workloads.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(BenchError);
        expect((error as BenchError).message).toMatch(/s\.yaml:1:\d+: /);
      }
    }),
    { numRuns: 400 },
  );
});

describe('a server that bench starts', () => {
  const told = (target: string) => errorOf({ target }).message;

  test.each([
    [
      '{command: vllm serve, ready: "http://h/health"}',
      'target.command: expected a list: the program and its arguments',
    ],
    ['{command: [vllm], ready: health}', 'target.ready: expected a URL such as http://127.0.0.1:8000/health'],
    ['{command: [vllm]}', 'target.ready: is missing; expected a URL such as http://127.0.0.1:8000/health'],
    ['{command: [vllm], ready: "http://h/health", ready_timout: 5m}', 'did you mean "ready_timeout"?'],
    ['{command: [vllm, --api-key, x], ready: "http://h/health"}', 'target.command[1]: looks like a secret'],
    ['{command: [vllm], ready: "http://h/health", env: {HF_TOKEN: x}}', 'target.env.HF_TOKEN: looks like a secret'],
  ])('%s', (target, text) => {
    expect(told(target)).toContain(text);
  });

  test('may be told of tokens that are no secrets', () => {
    const target =
      '{command: [vllm, --tokenizer, x, --max-tokens=5], ready: "http://h/health", env: {MAX_TOKENS: "5"}}';
    expect(() => told(target)).toThrow(/^accepted: /);
  });
});
