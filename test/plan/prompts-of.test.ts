/** Plans whose prompts come from a file, or share a prefix. */
import { describe, expect, test } from 'vitest';
import { describePlan } from '../../src/plan/describe.ts';
import { enginePlan } from '../../src/plan/engine-plan.ts';
import type { Plan, PromptFile } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { datasetFile, traceFile } from './prompt-files.ts';
import { scenarioWith } from './scenario-text.ts';

const MODEL = 'llama-3-8b@1/8';
const REPLAY = { prompt: { trace: 'x.jsonl' }, load: { trace: { speed: 2 } }, output: undefined };
const SAMPLED = { prompt: { dataset: 'chat.json' }, output: undefined };

/** Ten seconds of eleven requests, each with as many tokens out as its number. */
const TRACE = traceFile(Array.from({ length: 11 }, (_, i) => [1000 * i, 100 + i, i + 1]));
const CHAT = datasetFile([
  { text: 'a', promptTokens: 10, outputTokens: 400 },
  { text: 'b', promptTokens: 700, outputTokens: 50 },
  { text: 'c', promptTokens: 100, outputTokens: 60 },
]);

function planned(changes: Record<string, unknown>, file: PromptFile, software = false): Plan {
  const promptFiles = { [MODEL]: file };
  return planOf(scenarioWith(changes), { kind: 'engine', software, deviceName: 'x', promptFiles });
}
const cellOf = (changes: Record<string, unknown>, file: PromptFile) => planned(changes, file).cells[0]!;

describe('a trace that is replayed', () => {
  test('is an open loop at its mean rate, with its own lengths and labels', () => {
    const cell = cellOf(REPLAY, TRACE);
    expect(cell.load).toEqual({ kind: 'open', rate: 2, arrivals: 'trace', speed: 2 });
    expect(cell.measure).toEqual({ requests: 11 });
    expect(cell.prompt).toEqual({
      lengths: { kind: 'file', mean: 105, min: 100, max: 110 },
      reuse: false,
      file: TRACE,
    });
    expect(cell.output).toEqual({ lengths: { kind: 'file', mean: 6, min: 1, max: 11 }, control: 'exact' });
    expect(cell.at).toMatchObject({
      promptTokens: 'trace(x.jsonl)',
      outputTokens: 'trace(x.jsonl)',
      rate: 2,
      concurrency: null,
      arrivals: 'trace',
    });
  });

  test('has the rate of its requests over its span; all at once count as a second', () => {
    const rate = (times: number[], speed: number) =>
      cellOf({ ...REPLAY, load: { trace: { speed } } }, traceFile(times.map((at) => [at, 1, 1]))).at.rate;
    expect(rate([0, 500, 1500], 1)).toBe(1.33);
    expect(rate([0, 500, 1500], 3)).toBe(4);
    expect(rate([0], 1)).toBe(1);
    expect(rate([0, 0, 0], 7)).toBe(3);
  });

  test('is cut by requests or time, and never asked for more than it has', () => {
    const sent = (requests: unknown) => {
      const { measure, prompt } = cellOf({ ...REPLAY, measure: { requests } }, TRACE);
      return [measure, prompt.file?.entries.length, 'max' in prompt.lengths && prompt.lengths.max];
    };
    expect(sent(4)).toEqual([{ requests: 4 }, 4, 103]);
    expect(sent(400)).toEqual([{ requests: 11 }, 11, 110]);
    expect(sent('2s')).toEqual([{ requests: 4 }, 4, 103]); // at speed 2: those of the first four seconds
    expect(sent('100ms')).toEqual([{ requests: 1 }, 1, 100]);
    expect(sent('1h')).toEqual([{ requests: 11 }, 11, 110]);
    expect(sent({ per_concurrency: 9, at_least: 5 })).toEqual([{ requests: 5 }, 5, 104]);
    const cells = planned({ ...REPLAY, adapters: { rank: 8, count: [0, 2] } }, TRACE).cells;
    expect(cells[0]!.prompt.file).toBe(cells[1]!.prompt.file); // shared, not copied
  });

  test('output.tokens takes the place of its own lengths, and is an axis', () => {
    const { cells } = planned({ ...REPLAY, output: { tokens: [8, 16], control: 'cap' } }, TRACE);
    expect(cells.map(({ output }) => output.lengths)).toEqual([8, 16].map((tokens) => ({ kind: 'fixed', tokens })));
    expect(cells.map(({ at }) => [at.promptTokens, at.outputTokens])).toEqual([
      ['trace(x.jsonl)', 8],
      ['trace(x.jsonl)', 16],
    ]);
  });

  test('in a closed loop has the usual length, also beyond its own', () => {
    const cell = cellOf({ ...REPLAY, load: { concurrency: 3 } }, TRACE);
    expect(cell).toMatchObject({ load: { kind: 'closed', concurrency: 3 }, measure: { requests: 50 } });
    expect(cell.prompt.file).toBe(TRACE);
  });

  test('that takes hours, or comes round again, is warned of', () => {
    const hours = traceFile([
      [0, 5, 5],
      [9 * 3_600_000, 5, 5],
    ]);
    expect(planned(REPLAY, hours).warnings).toEqual([
      expect.stringMatching(
        /^c1: a run takes 4 h 30 min, as long as x\.jsonl at speed 2; measure\.requests or a higher/,
      ),
    ]);
    expect(planned({ ...REPLAY, load: { trace: { speed: 9 } } }, hours).warnings).toEqual([]);
    expect(planned({ ...REPLAY, load: { concurrency: 3 } }, TRACE).warnings).toEqual([
      'c1: 50 requests of the 11 in x.jsonl: they come round again, with other texts, so that no prefix cache knows them',
    ]);
  });
});

describe('a dataset', () => {
  test('adds the tokens of its nonce to each prompt, unless prompts are reused', () => {
    const cell = cellOf(SAMPLED, CHAT);
    expect(cell.prompt).toEqual({ lengths: { kind: 'file', mean: 278, min: 18, max: 708 }, reuse: false, file: CHAT });
    expect(cell.output.lengths).toEqual({ kind: 'file', mean: 170, min: 50, max: 400 });
    expect(cell.at).toMatchObject({ promptTokens: 'dataset(chat.json)', outputTokens: 'dataset(chat.json)' });
    const reused = cellOf({ ...SAMPLED, prompt: { dataset: 'chat.json', reuse: true } }, CHAT);
    expect(reused.prompt).toMatchObject({ lengths: { kind: 'file', mean: 270, min: 10, max: 700 }, reuse: true });
    expect(reused.prompt.seed).toEqual(expect.any(Number));
  });

  test('needs room for its longest request, not for the longest prompt with the longest answer', () => {
    const plan = planned(SAMPLED, CHAT);
    expect(enginePlan(plan)[0]!.maxTokens).toBe(700 + 50 + 8);
    const most = (max_model_len: number) => () => planned({ ...SAMPLED, engine: { max_model_len } }, CHAT);
    expect(most(757)).toThrow('prompt and output together reach 758 tokens, but engine.max_model_len is 757');
    expect(most(758)).not.toThrow();
    expect(enginePlan(planned({ ...SAMPLED, output: { tokens: 90 } }, CHAT))[0]!.maxTokens).toBe(708 + 90);
  });

  test('what of it is not used, or used again, is said', () => {
    const leftOut = { count: 7, why: 'too short' };
    const warnings = planned(SAMPLED, { ...CHAT, leftOut, cut: true }).warnings;
    expect(warnings).toEqual([
      'c1: 50 requests of the 3 in chat.json: they come round again, behind other first tokens, so that no prefix cache knows them',
      'c1: 7 entries of chat.json left out: too short',
      'c1: only the first 3 prompts of chat.json are used; what follows is not read',
    ]);
    const reused = { ...SAMPLED, prompt: { dataset: 'chat.json', reuse: true }, measure: { requests: 4 } };
    expect(planned(reused, CHAT).warnings).toEqual([
      'c1: 4 requests of the 3 in chat.json: they come round again, the same texts, and a prefix cache may answer (prompt.reuse)',
    ]);
    expect(planned({ ...reused, measure: { requests: 3 } }, CHAT).warnings).toEqual([]);
  });

  test('goes with any load, at the time its requests take', () => {
    const open = planned(
      { ...SAMPLED, load: { rate: '0.1/s', arrivals: 'gamma(0.5)' }, measure: { requests: 6 } },
      CHAT,
      true,
    );
    expect(open.cells[0]!.load).toEqual({ kind: 'open', rate: 0.1, arrivals: 'gamma(0.5)' });
    expect(open.cells[0]!.at.arrivals).toBe('gamma(0.5)');
    expect(open.estimate.seconds).toBeGreaterThan(60);
    // The mean of its entries decides: 278 tokens in and 170 out are ten times 27.8 and 17.
    const seconds = (changes: object, file = CHAT) =>
      planned({ load: { concurrency: 1 }, measure: { requests: 1000 }, ...changes }, file, true).estimate.seconds!;
    const tenth = seconds({
      prompt: { tokens: { mean: 27.8, stddev: 0 } },
      output: { tokens: { mean: 17, stddev: 0 } },
    });
    expect(seconds(SAMPLED) / tenth).toBeGreaterThan(9);
    expect(seconds(SAMPLED) / tenth).toBeLessThan(12);
  });
});

describe('the plan hash', () => {
  const hashOf = (changes: Record<string, unknown>, file: PromptFile) => planned(changes, file).hash;

  test('is that of the content, not of its name', () => {
    const hash = hashOf(REPLAY, TRACE);
    expect(hashOf({ ...REPLAY, prompt: { trace: 'y.jsonl' } }, { ...TRACE, name: 'y.jsonl' })).toBe(hash);
    expect(hashOf(REPLAY, { ...TRACE, hash: 'other' })).not.toBe(hash);
    expect(hashOf({ ...REPLAY, load: { trace: { speed: 3 } } }, TRACE)).not.toBe(hash);
    expect(hashOf({ ...REPLAY, measure: { requests: 4 } }, TRACE)).not.toBe(hash);
    // Seeds follow the content, too.
    const seed = (file: PromptFile) => planned(SAMPLED, file).runs[0]!.seed;
    expect(seed({ ...CHAT, hash: 'other' })).not.toBe(seed(CHAT));
    expect(seed({ ...CHAT, name: 'other' })).toBe(seed(CHAT));
  });

  test('nothing of a file enters what a result stores of a scenario', () => {
    expect(JSON.stringify(scenarioWith(REPLAY).resolved)).toContain('"prompt":{"reuse":false,"trace":"x.jsonl"}');
  });
});

describe('a shared prefix', () => {
  const shared = (prefix: object, rest: Record<string, unknown> = {}) =>
    planOf(scenarioWith({ prompt: { tokens: [200, 300], shared_prefix: prefix }, ...rest }), {
      kind: 'engine',
      software: false,
      deviceName: 'x',
    });

  test('is in the cell, in its label, and in the hash; lengths and arrivals are those without it', () => {
    const plan = shared({ tokens: 100, groups: 4 });
    expect(plan.cells.map(({ at }) => at.promptTokens)).toEqual(['200 (100 shared)', '300 (100 shared)']);
    expect(plan.cells[0]!.prompt).toEqual({
      lengths: { kind: 'fixed', tokens: 200 },
      reuse: false,
      sharedPrefix: { tokens: 100, groups: 4, perAdapter: false },
    });
    expect(shared({ tokens: 100, groups: 5 }).hash).not.toBe(plan.hash);
    const plain = planOf(scenarioWith({ prompt: { tokens: [200, 300] } }), {
      kind: 'engine',
      software: false,
      deviceName: 'x',
    });
    expect(plain.hash).not.toBe(plan.hash);
    expect(plain.runs).toEqual(plan.runs);
  });
});

test('pairs of lengths go together, drawn or not, on stand-ins and with labels', () => {
  const workload = [
    { prompt: { mean: 100, stddev: 10, min: 50 }, output: { uniform: { min: 2, max: 9 } } },
    { prompt: 20, output: { mean: 400, stddev: 0 } },
  ];
  const scenario = scenarioWith({ prompt: undefined, output: undefined, workload, load: { concurrency: [1, 2] } });
  const plan = planOf(scenario, { kind: 'engine', software: true, deviceName: 'x' });
  expect(plan.standIn).toMatchObject({ scale: '1/8' });
  expect(plan.cells.map(({ at }) => [at.promptTokens, at.outputTokens, at.concurrency])).toEqual([
    ['normal(100,10,50..140)', 'uniform(2,9)', 1],
    ['normal(100,10,50..140)', 'uniform(2,9)', 2],
    [20, 'normal(400,0)', 1],
    [20, 'normal(400,0)', 2],
  ]);
  expect(plan.cells[0]!.prompt.lengths).toEqual({ kind: 'normal', mean: 100, stddev: 10, min: 50, max: 140 });
  expect(enginePlan(plan)[0]!.maxTokens).toBe(420);
  expect(plan.runs.map(({ seed }) => seed)).toHaveLength(new Set(plan.runs.map(({ seed }) => seed)).size);
  const lines = describePlan(plan, scenario);
  expect(lines).toContain(
    '  c1: llama-3-8b@1/8, base model alone, normal(100,10,50..140) tokens in, uniform(2,9) out, 1 in flight',
  );
});

test('in words: what is sent, how often it comes, what is put before it', () => {
  const replay = scenarioWith(REPLAY);
  const lines = describePlan(planned(REPLAY, TRACE), replay);
  expect(lines).toContain(
    '  c1: llama-3-8b@1/8, base model alone, prompts of x.jsonl, as many out as there, 2/s as the trace came, at speed 2',
  );
  expect(lines).toContain('Prompts: 11 of x.jsonl, 100 to 110 tokens, 105 on average.');
  const alike = traceFile([
    [0, 9, 1],
    [5, 9, 1],
  ]);
  expect(describePlan(planned(REPLAY, alike), replay)).toContain('Prompts: 2 of x.jsonl, 9 tokens each.');
  expect(lines).toContain(
    'Each run: 11 requests, after 1 warm-up request to the base and to each adapter; 1 run for each cell.',
  );
  const changes = { ...SAMPLED, output: { control: 'cap' }, load: { rate: '4/s', arrivals: 'gamma(2)' } };
  const sampled = describePlan(planned(changes, CHAT), scenarioWith(changes));
  expect(sampled).toContain(
    '  c1: llama-3-8b@1/8, base model alone, prompts of chat.json, at most as many out as there, 4/s gamma(2)',
  );
  expect(sampled).toContain(
    'Prompts: 3 of chat.json, 18 to 708 tokens, 278 on average, with 8 put before each that differ in every run.',
  );
});
