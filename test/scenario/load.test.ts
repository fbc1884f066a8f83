import { expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { hasWithoutGpu, readScenario, resolveScenario, scenarioFromText, targetOf } from '../../src/scenario/load.ts';

const ON_GPU = { withoutGpu: false, endpoint: false, set: [] };

const MINIMAL = `
name: a
models: llama-3-8b
prompt: {tokens: 10}
output: {tokens: 5}
load: {concurrency: 2}
`;

const FULL = `
name: full
description: Everything that is supported.
target: engine
engine: {device: swiftshader, seed: 7, max_gpu_loras: 32, max_cpu_loras: 40, max_lora_rank: 64, gpu_memory: 24GB, batch_invariant: true}
models: [llama-3-8b, llama-3.2-1b]
weights: f16
adapters:
  rank: [16, {mix: {64: 1, 8: 3}}]
  count: [0, 8]
  popularity: [uniform, zipf(1.5), {r16-a1: 2, r16-a2: 1}]
  base_share: [0, 0.25]
  kind: [lora, {mix: {tied: 1, dora: 2}}]
  mode: dynamic
  residency: [warm, cold_host, cold_disk]
  modules: [v, q]
prompt: {tokens: [100, {mean: 200, stddev: 20}, {uniform: {min: 10, max: 20}}], reuse: true}
output: {tokens: {mean: 50, stddev: 5, min: 40, max: 60}, control: [exact, cap]}
load: {rate: [4/s, 120/m], arrivals: constant}
request: {temperature: 0.5, extra_body: {top_k: 5}, timeout: 2m}
measure: {requests: 30s, warmup: {per_adapter: 0}, drain: 5s, repeats: 3, seed: 9}
slo: {ttft: 500ms, itl: 50ms, e2e: 10s}
without_gpu:
  models: [llama-3-8b@1/8]
  engine: {seed: 8}
  load: {concurrency: [1, 4]}
  prompt: {tokens: 32}
  output: {tokens: 16}
  measure: {requests: 16}
`;

function failure(make: () => unknown): BenchError {
  try {
    make();
  } catch (error) {
    if (error instanceof BenchError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('defaults are the documented ones', () => {
  const scenario = resolveScenario(scenarioFromText(MINIMAL, 'a.yaml'), ON_GPU);
  expect(scenario).toMatchObject({
    name: 'a',
    description: null,
    file: 'a.yaml',
    text: MINIMAL,
    withoutGpu: false,
    target: { kind: 'engine' },
    engine: {},
    models: ['llama-3-8b'],
    weights: ['f16'],
    adapters: null,
    workloads: [{ prompt: { kind: 'fixed', tokens: 10 }, output: { kind: 'fixed', tokens: 5 } }],
    promptReuse: false,
    controls: ['exact'],
    load: { kind: 'closed', concurrencies: [2] },
    request: { temperature: 0, extraBody: {}, timeoutMs: 600_000 },
    measure: {
      length: { kind: 'per_concurrency', perConcurrency: 10, atLeast: 50 },
      warmupPerAdapter: 1,
      drainMs: 30_000,
      repeats: 1,
      seed: 1,
    },
    slo: null,
  });
});

test('every supported key arrives, with units parsed and axes as arrays', () => {
  const scenario = resolveScenario(scenarioFromText(FULL, 'full.yaml'), ON_GPU);
  expect(scenario.engine).toEqual({
    device: 'swiftshader',
    seed: 7,
    maxGpuLoras: 32,
    maxCpuLoras: 40,
    maxLoraRank: 64,
    gpuMemory: 24e9,
    batchInvariant: true,
  });
  expect(scenario.models).toEqual(['llama-3-8b', 'llama-3.2-1b']);
  expect(scenario.adapters).toEqual({
    ranks: [
      { kind: 'one', rank: 16 },
      {
        kind: 'mix',
        shares: [
          { rank: 8, weight: 3 },
          { rank: 64, weight: 1 },
        ],
      },
    ],
    counts: [0, 8],
    popularities: [
      { kind: 'uniform' },
      { kind: 'zipf', s: 1.5 },
      { kind: 'weights', weights: { 'r16-a1': 2, 'r16-a2': 1 } },
    ],
    baseShares: [0, 0.25],
    kinds: [
      { kind: 'one', name: 'lora' },
      {
        kind: 'mix',
        shares: [
          { name: 'dora', weight: 2 },
          { name: 'tied', weight: 1 },
        ],
      },
    ],
    modes: ['dynamic'],
    residencies: ['warm', 'cold_host', 'cold_disk'],
    modules: ['q', 'v'],
    names: [],
  });
  const output = { kind: 'normal', mean: 50, stddev: 5, min: 40, max: 60 };
  expect(scenario.workloads).toEqual([
    { prompt: { kind: 'fixed', tokens: 100 }, output },
    { prompt: { kind: 'normal', mean: 200, stddev: 20, min: 1, max: 280 }, output },
    { prompt: { kind: 'uniform', min: 10, max: 20 }, output },
  ]);
  expect(scenario.promptReuse).toBe(true);
  expect(scenario.controls).toEqual(['exact', 'cap']);
  expect(scenario.load).toEqual({ kind: 'open', rates: [4, 2], arrivals: 'constant' });
  expect(scenario.request).toEqual({ temperature: 0.5, extraBody: { top_k: 5 }, timeoutMs: 120_000 });
  expect(scenario.measure).toEqual({
    length: { kind: 'duration', durationMs: 30_000 },
    warmupPerAdapter: 0,
    drainMs: 5000,
    repeats: 3,
    seed: 9,
  });
  expect(scenario.slo).toEqual({ ttftMs: 500, itlMs: 50, e2eMs: 10_000 });
});

test('without_gpu: groups are merged by key, forms are replaced whole', () => {
  const source = scenarioFromText(FULL, 'full.yaml');
  expect(hasWithoutGpu(source)).toBe(true);
  const scenario = resolveScenario(source, { ...ON_GPU, withoutGpu: true });
  expect(scenario.withoutGpu).toBe(true);
  expect(scenario.models).toEqual(['llama-3-8b@1/8']);
  expect(scenario.engine).toMatchObject({ device: 'swiftshader', seed: 8 });
  expect(scenario.load).toEqual({ kind: 'closed', concurrencies: [1, 4] });
  expect(scenario.promptReuse).toBe(false); // prompt has several forms: the new one stands alone
  expect(scenario.controls).toEqual(['exact', 'cap']); // output is a group
  expect(scenario.measure).toMatchObject({ length: { kind: 'requests', requests: 16 }, repeats: 3, seed: 9 });
  expect(scenario.resolved).not.toHaveProperty('without_gpu');
});

test('without_gpu asked for where there is none leaves the scenario as it is', () => {
  const source = scenarioFromText(MINIMAL, null);
  expect(hasWithoutGpu(source)).toBe(false);
  expect(resolveScenario(source, { ...ON_GPU, withoutGpu: true })).toMatchObject({ withoutGpu: false, file: null });
});

test('workload pairs stand instead of prompt and output, also across without_gpu', () => {
  const text = `
name: pairs
models: llama-3-8b
workload: [{prompt: 200, output: 1000}, {prompt: {mean: 1000, stddev: 0}, output: 100}]
load: {concurrency: 1}
without_gpu: {models: llama-3-8b@1/8, prompt: {tokens: 8}, output: {tokens: 4}}
`;
  const source = scenarioFromText(text, null);
  expect(resolveScenario(source, ON_GPU).workloads).toEqual([
    { prompt: { kind: 'fixed', tokens: 200 }, output: { kind: 'fixed', tokens: 1000 } },
    { prompt: { kind: 'normal', mean: 1000, stddev: 0, min: 1, max: 1000 }, output: { kind: 'fixed', tokens: 100 } },
  ]);
  expect(resolveScenario(source, { ...ON_GPU, withoutGpu: true }).workloads).toHaveLength(1);
});

test('prompts may come from a file, which may also say when they come and how long answers are', () => {
  const text = (prompt: string, rest: string) => `name: f\nmodels: llama-3-8b\nprompt: ${prompt}\n${rest}`;
  const trace = text('{trace: traces/a.jsonl}', 'load: {trace: {speed: 2}}\nmeasure: {seed: 3}');
  const replayed = resolveScenario(scenarioFromText(trace, null), ON_GPU);
  expect(replayed).toMatchObject({
    promptFile: { kind: 'trace', path: 'traces/a.jsonl' },
    promptReuse: false,
    workloads: [{ prompt: null, output: null }],
    load: { kind: 'trace', speed: 2 },
    controls: ['exact'],
    measure: { length: { kind: 'all' }, warmupPerAdapter: 1, drainMs: 30_000, repeats: 1, seed: 3 },
  });
  expect(replayed.resolved).toMatchObject({ prompt: { trace: 'traces/a.jsonl', reuse: false } });
  expect((replayed.resolved['measure'] as object) ?? {}).not.toHaveProperty('requests');

  const set = ['prompt.reuse=true', 'output.tokens=[8, 16]', 'measure.requests=30s'];
  const dataset = text('{dataset: a.json}', 'output: {control: cap}\nload: {rate: 4/s, arrivals: gamma(0.5)}');
  expect(resolveScenario(scenarioFromText(dataset, null), { ...ON_GPU, set })).toMatchObject({
    promptFile: { kind: 'dataset', path: 'a.json' },
    promptReuse: true,
    workloads: [8, 16].map((tokens) => ({ prompt: null, output: { kind: 'fixed', tokens } })),
    load: { kind: 'open', rates: [4], arrivals: 'gamma(0.5)' },
    controls: ['cap'],
    measure: { length: { kind: 'duration', durationMs: 30_000 } },
  });
  // A closed loop of a trace's prompts has the usual length.
  const closed = resolveScenario(scenarioFromText(text('{trace: a}', 'load: {concurrency: 2}'), null), ON_GPU);
  expect(closed.measure.length).toEqual({ kind: 'per_concurrency', perConcurrency: 10, atLeast: 50 });
  for (const scenario of [replayed, closed]) {
    const again = resolveScenario(scenarioFromText(JSON.stringify(scenario.resolved), null), ON_GPU);
    expect(again.resolved).toEqual(scenario.resolved);
  }
});

test('a shared prefix has its defaults, and --set reaches into it', () => {
  const source = scenarioFromText(MINIMAL, null);
  expect(resolveScenario(source, ON_GPU)).toMatchObject({ sharedPrefix: null, promptFile: null });
  const shared = resolveScenario(source, { ...ON_GPU, set: ['prompt.shared_prefix.tokens=4'] });
  expect(shared.sharedPrefix).toEqual({ tokens: 4, groups: 1, perAdapter: false });
  expect(shared.resolved['prompt']).toEqual({
    tokens: 10,
    reuse: false,
    shared_prefix: { tokens: 4, groups: 1, per_adapter: false },
  });
  const set = ['prompt.shared_prefix={tokens: 4, groups: 3}', 'prompt.shared_prefix.per_adapter=true'];
  expect(resolveScenario(source, { ...ON_GPU, set }).sharedPrefix).toEqual({ tokens: 4, groups: 3, perAdapter: true });
  expect(
    failure(() => resolveScenario(source, { ...ON_GPU, set: ['prompt.shared_prefix.tokens=10'] })).message,
  ).toMatch(/^scenario:4:18: prompt\.tokens: a prompt must be longer than the prefix it shares/);
});

test('--set applies last, in YAML syntax, also into places that are not there yet', () => {
  const set = [
    'load.concurrency=[1, 8]',
    'measure.warmup.per_adapter=0',
    'adapters={rank: 8, count: 2}',
    'slo.ttft=1s',
  ];
  const scenario = resolveScenario(scenarioFromText(FULL, null), {
    ...ON_GPU,
    withoutGpu: true,
    set: [...set, 'engine.device=auto', 'models.0=llama-3.2-1b@1/8'],
  });
  expect(scenario.load).toEqual({ kind: 'closed', concurrencies: [1, 8] });
  expect(scenario.measure.warmupPerAdapter).toBe(0);
  expect(scenario.adapters).toMatchObject({ ranks: [{ kind: 'one', rank: 8 }], counts: [2], baseShares: [0] });
  expect(scenario.slo).toMatchObject({ ttftMs: 1000, itlMs: 50 });
  expect(scenario.engine.device).toBe('auto');
  expect(scenario.models).toEqual(['llama-3.2-1b@1/8']);
});

test('--set is judged where it applies: it may mend one variant and not fit the other', () => {
  const text = FULL.replace('weights: f16', 'weights: int3');
  const set = ['load.concurrency=[1, 8]', 'weights=f16']; // the variant for GPUs has an open loop
  const scenario = resolveScenario(scenarioFromText(text, null), { ...ON_GPU, withoutGpu: true, set });
  expect(scenario).toMatchObject({ weights: ['f16'], load: { concurrencies: [1, 8] } });
});

test.each([
  ['load.concurency=3', 'USAGE', 'did you mean "concurrency"?'],
  ['laod.concurrency=3', 'USAGE', 'did you mean "load"?'],
  ['name.x=3', 'USAGE', '"name" has no key "x"'],
  ['load.concurrency', 'USAGE', 'expected path=value'],
  ['load.concurrency=[1', 'USAGE', 'the value is not YAML'],
  ['without_gpu.models=llama-3-8b', 'USAGE', 'set the key itself'],
  ['load.concurrency=0', 'SCENARIO_INVALID', '--set load.concurrency=0: load.concurrency: expected'],
  ['weights=int3', 'SCENARIO_INVALID', '--set weights=int3: weights: expected f16, int8, int4, or a list of such'],
])('--set %s is refused', (setting, code, text) => {
  const error = failure(() => resolveScenario(scenarioFromText(MINIMAL, null), { ...ON_GPU, set: [setting] }));
  expect(error.code).toBe(code);
  expect(error.message).toContain(text);
});

test('an endpoint drops target, models, weights, engine and without_gpu; what --set says stays', () => {
  const scenario = resolveScenario(scenarioFromText(FULL, null), {
    withoutGpu: true,
    endpoint: true,
    url: 'http://host:8000/v1',
    set: ['target.api=completions', 'adapters.residency=warm'],
  });
  expect(scenario).toMatchObject({ models: [], weights: [], engine: {}, withoutGpu: false });
  expect(scenario.target).toEqual({
    kind: 'endpoint',
    url: 'http://host:8000/v1',
    start: null,
    api: 'completions',
    apiKeyEnv: null,
    headers: {},
    tokenizer: null,
    adapterPath: null,
    adapterPaths: {},
    metricsUrl: null,
  });
  expect(scenario.load.kind).toBe('open');
  for (const key of ['models', 'weights', 'engine', 'without_gpu']) expect(scenario.resolved).not.toHaveProperty(key);
});

test('an endpoint in the file keeps its models and settings', () => {
  const text = `
name: e
target: {url: http://host:8000/v1, api_key_env: KEY, headers: {x-run: a}, tokenizer: llama-3-8b}
models: meta/llama3-8b-instruct
adapters: {count: 2, names: [a, b]}
prompt: {tokens: 10}
output: {tokens: 5}
load: {concurrency: 2}
`;
  const source = scenarioFromText(text, null);
  expect(targetOf(source)).toBe('endpoint');
  expect(targetOf(source, ['target=engine'])).toBe('engine');
  const scenario = resolveScenario(source, ON_GPU);
  expect(scenario.target).toMatchObject({
    kind: 'endpoint',
    api: 'completions',
    apiKeyEnv: 'KEY',
    headers: { 'x-run': 'a' },
  });
  expect(scenario.models).toEqual(['meta/llama3-8b-instruct']);
  expect(scenario.adapters).toMatchObject({ ranks: [], names: ['a', 'b'] });
});

test('what is resolved is itself a scenario, and resolves to the same', () => {
  for (const withoutGpu of [false, true]) {
    const first = resolveScenario(scenarioFromText(FULL, null), { ...ON_GPU, withoutGpu });
    const again = resolveScenario(scenarioFromText(JSON.stringify(first.resolved), null), ON_GPU);
    expect(again.resolved).toEqual(first.resolved);
    expect(again.hash).toBe(first.hash);
    expect({ ...again, text: '', withoutGpu }).toEqual({ ...first, text: '' });
  }
});

test('the hash follows the meaning, not the spelling', () => {
  const hashOf = (text: string) => resolveScenario(scenarioFromText(text, null), ON_GPU).hash;
  const reordered = `load: {concurrency: 2}\n# a comment\nname: a\noutput: {tokens: 5}\nprompt: {reuse: false, tokens: 10}\nmodels: llama-3-8b`;
  expect(hashOf(reordered)).toBe(hashOf(MINIMAL));
  expect(hashOf(MINIMAL.replace('concurrency: 2', 'concurrency: 3'))).not.toBe(hashOf(MINIMAL));
  expect(hashOf(MINIMAL)).toMatch(/^[0-9a-f]{64}$/);
});

test('anchors and aliases stand for what they name', () => {
  const text = `name: a\nmodels: llama-3-8b\nprompt: {tokens: &n 10}\noutput: {tokens: *n}\nload: {concurrency: 2}`;
  const scenario = resolveScenario(scenarioFromText(text, null), ON_GPU);
  expect(scenario.workloads).toEqual([
    { prompt: { kind: 'fixed', tokens: 10 }, output: { kind: 'fixed', tokens: 10 } },
  ]);
});

test('a file that is not there is named', () => {
  const error = failure(() => readScenario('/nonexistent/x.yaml'));
  expect(error.code).toBe('SCENARIO_INVALID');
  expect(error.exitCode).toBe(2);
  expect(error.message).toBe('cannot read the scenario /nonexistent/x.yaml: there is no such file');
});

test('adapters are warm on the engine if nothing is said; of an endpoint nothing is assumed', () => {
  const text = `${MINIMAL}adapters: {rank: 8, count: 1, modules: [q, k, v, o, gate, up, down]}`;
  const source = scenarioFromText(text, null);
  const engine = resolveScenario(source, ON_GPU);
  expect(engine.adapters).toMatchObject({ residencies: ['warm'], modes: ['dynamic'], modules: 'all' });
  const endpoint = resolveScenario(source, { ...ON_GPU, endpoint: true, url: 'http://h/v1' });
  expect(endpoint.adapters).toMatchObject({ residencies: [], kinds: [{ kind: 'one', name: 'lora' }] });
});
