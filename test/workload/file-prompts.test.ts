/** Requests whose prompts come from a trace or a dataset, or share a prefix, with a real tokenizer. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import type { Cell, PromptFile } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import type { RequestSpec } from '../../src/workload/request.ts';
import { workloadOf } from '../../src/workload/workload.ts';
import { datasetFile, traceFile } from '../plan/prompt-files.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

const idsOf = (text: string): number[] => [...tokenizer.encode(text)];

function cellWith(changes: Record<string, unknown>, file?: PromptFile): Cell {
  const promptFiles: Record<string, PromptFile> = file === undefined ? {} : { 'llama-3-8b@1/8': file };
  return planOf(scenarioWith(changes), { kind: 'engine', software: false, deviceName: 'x', promptFiles }).cells[0]!;
}

interface Run {
  seed?: number;
  nonce?: string;
  /** Requests taken at most. */
  n?: number;
}
function measured(cell: Cell, { n = 1000, seed = 1, nonce = 'n' }: Run = {}): RequestSpec[] {
  const requests: RequestSpec[] = [];
  for (const request of workloadOf(cell, { seed, nonce, tokenizer }).measured()) {
    requests.push(request);
    if (requests.length === n) break;
  }
  return requests;
}

/** Tokens that two texts have in common from the first on. */
function sharedTokens(a: string, b: string): number {
  const [x, y] = [idsOf(a), idsOf(b)];
  const differs = x.findIndex((id, k) => id !== y[k]);
  return differs === -1 ? x.length : differs;
}

/** Places at which two texts have the same token; of words by chance, one in 4,096. */
function alikeTokens(a: string, b: string): number {
  const y = idsOf(b);
  return idsOf(a).filter((id, k) => id === y[k]).length;
}

describe('a replayed trace', () => {
  const TRACE = traceFile([
    [0, 1300, 5, [1, 2, 3]],
    [10, 1100, 6, [1, 2, 4]],
    [10, 1024, 7, [1, 5]],
    [25, 700, 8, [6, 7]],
    [30, 530, 9, [1]],
    [40, 300, 10],
    [55, 300, 11],
    [60, 540, 12, [1, 2]],
  ]);
  const REPLAY = { prompt: { trace: 'x' }, output: undefined, load: { trace: { speed: 2 } } };

  test('has the lengths, answers and times of its entries, and ends with them', () => {
    const requests = measured(cellWith(REPLAY, TRACE));
    expect(requests.map(({ i }) => i)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(requests.map(({ intendedOffset }) => intendedOffset)).toEqual(
      [0, 5, 5, 12.5, 15, 20, 27.5, 30].map((ms) => ms * 1e6),
    );
    expect(requests.map(({ outputTokens }) => outputTokens)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(requests.map(({ promptTokens }) => promptTokens)).toEqual([1300, 1100, 1024, 700, 530, 300, 300, 540]);
    for (const { prompt, promptTokens } of requests) {
      expect(idsOf(prompt)).toHaveLength(promptTokens);
      expect(prompt).toMatch(/^[a-z]+( [a-z]+)*$/);
    }
    const limited = cellWith({ ...REPLAY, measure: { requests: 3 } }, TRACE);
    expect(measured(limited)).toEqual(requests.slice(0, 3));
  });

  test('shares as many tokens as hash ids say, and no more than chance beyond', () => {
    const prompts = measured(cellWith(REPLAY, TRACE)).map(({ prompt }) => prompt);
    const shared = (a: number, b: number) => sharedTokens(prompts[a]!, prompts[b]!);
    const near = (tokens: number) => expect.toSatisfy((n: number) => n >= tokens && n <= tokens + 2);
    expect(shared(0, 1)).toEqual(near(1024));
    expect(shared(0, 2)).toEqual(near(512));
    expect(shared(0, 3)).toEqual(near(0));
    expect(shared(0, 4)).toEqual(near(512)); // its 18 tokens beyond have no id
    expect(shared(0, 7)).toBe(540); // the second block, cut to 28 tokens
    expect(shared(5, 6)).toEqual(near(0)); // without ids, nothing
  });

  test('another nonce, run or server has other texts from the first token on; lengths and times stay', () => {
    const cell = cellWith(REPLAY, TRACE);
    const [a, b] = [measured(cell), measured(cell, { nonce: 'other' })];
    for (const [i, request] of a.entries()) {
      expect(sharedTokens(request.prompt, b[i]!.prompt)).toBeLessThan(2);
      expect(alikeTokens(request.prompt, b[i]!.prompt)).toBeLessThan(8);
    }
    expect(b.map((request) => ({ ...request, prompt: '' }))).toEqual(a.map((request) => ({ ...request, prompt: '' })));
    expect(measured(cell)).toEqual(a);
  });

  test('reused prompts are those of every run', () => {
    const cell = cellWith({ ...REPLAY, prompt: { trace: 'x', reuse: true } }, TRACE);
    const prompts = (run: Run) => measured(cell, run).map(({ prompt }) => prompt);
    expect(prompts({ nonce: 'a', seed: 4 })).toEqual(prompts({ nonce: 'b', seed: 5 }));
  });

  test('that comes round again in a closed loop has other texts, except where they are reused', () => {
    const changes = { ...REPLAY, load: { concurrency: 2 } };
    const requests = measured(cellWith(changes, TRACE), { n: 16 });
    expect(requests.map(({ intendedOffset }) => intendedOffset)).toEqual(Array(16).fill(null));
    const [first, again] = [requests.slice(0, 8), requests.slice(8)];
    for (const [i, request] of first.entries()) {
      expect(again[i]).toMatchObject({
        promptTokens: request.promptTokens,
        outputTokens: request.outputTokens,
        i: i + 8,
      });
      expect(alikeTokens(request.prompt, again[i]!.prompt)).toBeLessThan(8);
    }
    expect(sharedTokens(again[0]!.prompt, again[1]!.prompt)).toBeGreaterThanOrEqual(1024);
    const reused = measured(cellWith({ ...changes, prompt: { trace: 'x', reuse: true } }, TRACE), { n: 16 });
    expect(reused.slice(8).map(({ prompt }) => prompt)).toEqual(reused.slice(0, 8).map(({ prompt }) => prompt));
  });

  test('output.tokens and adapters are as in any other load', () => {
    const changes = { ...REPLAY, output: { tokens: 3 }, adapters: { rank: 8, count: 2, popularity: 'round_robin' } };
    const requests = measured(cellWith(changes, TRACE));
    expect(new Set(requests.map(({ outputTokens }) => outputTokens))).toEqual(new Set([3]));
    expect(requests.slice(0, 4).map(({ adapter }) => adapter)).toEqual(['r8-a1', 'r8-a2', 'r8-a1', 'r8-a2']);
  });
});

describe('a dataset', () => {
  const TEXTS = ['What is a LoRA?', '  Leading space, and "quotes"', 'Zeilen\n\nund Umlaute: äöü', '你好，世界', 'x'];
  const fileOf = (texts: string[]) =>
    datasetFile(texts.map((text, i) => ({ text, promptTokens: idsOf(text).length, outputTokens: i + 1 })));
  const SAMPLED = { prompt: { dataset: 'chat.json' }, output: undefined };
  const reused = { ...SAMPLED, prompt: { dataset: 'chat.json', reuse: true } };

  test('is drawn without replacement, and comes round in another order', () => {
    const requests = measured(cellWith(SAMPLED, fileOf(TEXTS)), { n: 20 });
    const texts = requests.map(({ prompt }) => prompt.slice(prompt.indexOf('\n') + 1));
    const rounds = [0, 5, 10, 15].map((from) => texts.slice(from, from + 5));
    for (const round of rounds) expect([...round].sort()).toEqual([...TEXTS].sort());
    expect(new Set(rounds.map(String)).size).toBeGreaterThan(1);
    for (const { outputTokens, prompt } of requests) expect(prompt.endsWith(TEXTS[outputTokens - 1]!)).toBe(true);
    expect(measured(cellWith(SAMPLED, fileOf(TEXTS)), { n: 20 })).toEqual(requests);
    const other = measured(cellWith(SAMPLED, fileOf(TEXTS)), { n: 20, seed: 2 }).map(
      ({ outputTokens }) => outputTokens,
    );
    expect(other).not.toEqual(requests.map(({ outputTokens }) => outputTokens));
  });

  test('carries eight tokens of nonce before each text: one for a round, others for each round and run', () => {
    const cell = cellWith(SAMPLED, fileOf(TEXTS));
    const noncesOf = (run: Run) =>
      measured(cell, { n: 10, ...run }).map(({ prompt, promptTokens }) => {
        const nonce = prompt.slice(0, prompt.indexOf('\n') + 1);
        expect(nonce).toMatch(/^[a-z]+( [a-z]+){6}\n$/);
        expect(idsOf(nonce)).toHaveLength(8);
        expect(idsOf(prompt)).toHaveLength(promptTokens);
        return nonce;
      });
    const [a, b] = [noncesOf({}), noncesOf({ nonce: 'other' })];
    expect(new Set(a.slice(0, 5)).size).toBe(1);
    expect(new Set([...a, ...b]).size).toBe(4);
    expect(new Set([a[0], a[5], b[0], b[5]].map((nonce) => nonce!.split(' ')[0])).size).toBe(4);
    // The plan's figures hold for what is sent.
    const { lengths } = cell.prompt;
    const sent = measured(cell, { n: 5 }).map(({ promptTokens }) => promptTokens);
    expect(lengths).toMatchObject({ min: Math.min(...sent), max: Math.max(...sent) });
  });

  test('is sent as it is where prompts are reused, in every run', () => {
    const cell = cellWith(reused, fileOf(TEXTS));
    const requests = measured(cell, { n: 5 });
    expect(requests.map(({ prompt }) => prompt).sort()).toEqual([...TEXTS].sort());
    for (const { prompt, promptTokens } of requests) expect(idsOf(prompt)).toHaveLength(promptTokens);
    const sentIn = (run: Run) => measured(cell, { n: 12, ...run }).map(({ prompt }) => prompt);
    expect(sentIn({ seed: 8, nonce: 'x' })).toEqual(sentIn({}));
  });

  test('goes with gamma arrivals, and lasts as long as anybody asks', () => {
    const cell = cellWith({ ...SAMPLED, load: { rate: '50/s', arrivals: 'gamma(0.5)' } }, fileOf(TEXTS));
    const offsets = measured(cell, { n: 2000 }).map(({ intendedOffset }) => intendedOffset!);
    expect(offsets.at(-1)! / 1e9).toBeGreaterThan(35); // 40 s, with a deviation of 1.3
    expect(offsets.at(-1)! / 1e9).toBeLessThan(45);
    const even = measured(cellWith({ ...SAMPLED, load: { rate: '50/s', arrivals: 'gamma(100)' } }, fileOf(TEXTS)), {
      n: 2000,
    });
    const gaps = even.map(({ intendedOffset }, i) => intendedOffset! - (even[i - 1]?.intendedOffset ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(10e6); // around 20 ms, with a deviation of 2
  });
});

describe('prompts that share a prefix', () => {
  const prompt = { tokens: { uniform: { min: 41, max: 60 } }, shared_prefix: { tokens: 40 } };
  const groupsOf = (requests: readonly RequestSpec[]) => new Set(requests.map(({ prompt: text }) => prefixOf(text)));
  const prefixOf = (text: string) => idsOf(text).slice(0, 40).join(' ');

  test('begin with one text of exactly its tokens, and have exactly their own in all', () => {
    const requests = measured(cellWith({ prompt }), { n: 60 });
    for (const { prompt: text, promptTokens } of requests) expect(idsOf(text)).toHaveLength(promptTokens);
    expect(groupsOf(requests).size).toBe(1);
    expect(new Set(requests.map(({ prompt: text }) => idsOf(text).slice(40).join(' '))).size).toBe(60);
    expect(new Set(requests.map(({ promptTokens }) => promptTokens)).size).toBeGreaterThan(10);
    expect(Math.min(...requests.map(({ promptTokens }) => promptTokens))).toBe(41);
  });

  test('fall into groups that are drawn alike', () => {
    const shared_prefix = { tokens: 40, groups: 4 };
    const requests = measured(cellWith({ prompt: { ...prompt, shared_prefix } }), { n: 400 });
    const counts = [...groupsOf(requests)].map(
      (group) => requests.filter(({ prompt: p }) => prefixOf(p) === group).length,
    );
    expect(counts).toHaveLength(4);
    for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(35); // four deviations
    expect(new Set([...groupsOf(requests)].map((ids) => ids.split(' ')[0])).size).toBe(4);
  });

  test('have those of their adapter, where each has its own', () => {
    const adapters = { rank: 8, count: 3, popularity: 'uniform', base_share: 0.25 };
    const own = { ...prompt, shared_prefix: { tokens: 40, groups: 2, per_adapter: true } };
    const requests = measured(cellWith({ prompt: own, adapters }), { n: 200 });
    expect(groupsOf(requests).size).toBe(8);
    const owners = new Map<string, Set<string | null>>();
    for (const { prompt: text, adapter } of requests) {
      owners.set(prefixOf(text), (owners.get(prefixOf(text)) ?? new Set()).add(adapter));
    }
    expect([...owners.values()].map((names) => names.size)).toEqual(Array(8).fill(1));
    const common = measured(cellWith({ prompt: { ...prompt, shared_prefix: { tokens: 40 } }, adapters }), { n: 50 });
    expect(groupsOf(common).size).toBe(1);
  });

  test('carry the nonce, and lengths, adapters and arrivals are those without a prefix', () => {
    const changes = { load: { rate: '5/s' }, adapters: { rank: 8, count: 2 } };
    const cell = cellWith({ ...changes, prompt });
    const [a, b] = [measured(cell, { n: 20 }), measured(cell, { n: 20, nonce: 'other' })];
    expect(sharedTokens(a[0]!.prompt, b[0]!.prompt)).toBe(0);
    const plain = measured(cellWith({ ...changes, prompt: { tokens: prompt.tokens } }), { n: 20 });
    const withoutText = (requests: RequestSpec[]) => requests.map((request) => ({ ...request, prompt: '' }));
    expect(withoutText(a)).toEqual(withoutText(plain));
    const reuse = cellWith({ prompt: { ...prompt, reuse: true } });
    expect(measured(reuse, { n: 5, nonce: 'x', seed: 3 }).map((r) => r.prompt)).toEqual(
      measured(reuse, { n: 5 }).map((r) => r.prompt),
    );
  });
});

test('requests of every kind are plain data, which may be sent to other threads', () => {
  const trace = traceFile([[0, 20, 3, [1]]]);
  const cells = [
    cellWith({ prompt: { tokens: 20, shared_prefix: { tokens: 5 } } }),
    cellWith({ prompt: { trace: 'x' }, output: undefined, load: { trace: { speed: 1 } } }, trace),
    cellWith(
      { prompt: { dataset: 'x' }, output: undefined },
      datasetFile([{ text: 'a', promptTokens: 1, outputTokens: 2 }]),
    ),
  ];
  for (const cell of cells) {
    const [request] = measured(cell, { n: 1 });
    expect(structuredClone(request)).toEqual(request);
    expect(JSON.parse(JSON.stringify(request))).toEqual(request);
  }
});
