/** Files of prompts, written to disk and read: what is taken, what is left out, and what is refused with its line. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import type { DatasetFile, TraceFile } from '../../src/scenario/prompt-files/entries.ts';
import { jsonItems } from '../../src/scenario/prompt-files/json-items.ts';
import { readPromptFile } from '../../src/scenario/prompt-files/read.ts';
import type { ScenarioLoad } from '../../src/scenario/scenario.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prompt-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let written = 0;
function write(content: string | object[]): string {
  const path = join(folder, `f${written++}.jsonl`);
  writeFileSync(path, typeof content === 'string' ? content : content.map((one) => JSON.stringify(one)).join('\n'));
  return path;
}

/** One token a word. */
const count = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;
const words = (n: number) => Array.from({ length: n }, (_, i) => `w${i}`).join(' ');

const REPLAY: ScenarioLoad = { kind: 'trace', speed: 1 };
const CLOSED: ScenarioLoad = { kind: 'closed', concurrencies: [1] };

interface Read {
  load?: ScenarioLoad;
  /** output.tokens is given. */
  output?: number;
  file?: string | null;
}
const read = (kind: 'trace' | 'dataset', path: string, { load = REPLAY, output, file = null }: Read = {}) =>
  readPromptFile(
    {
      promptFile: { kind, path },
      load,
      file,
      workloads: [{ prompt: null, output: output === undefined ? null : { kind: 'fixed', tokens: output } }],
    },
    count,
  );
const trace = async (content: string | object[], more?: Read) =>
  (await read('trace', write(content), more)) as TraceFile;
const dataset = async (content: string | object[], more?: Read) =>
  (await read('dataset', write(content), more)) as DatasetFile;

async function faultOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BenchError);
  expect((error as BenchError).exitCode).toBe(2);
  return (error as BenchError).message;
}

describe('a trace', () => {
  const line = (changes: object = {}) => ({ timestamp: 5, input_length: 600, output_length: 7, ...changes });

  test('is read in the order of its times, which begin at 0', async () => {
    const file = await trace([
      line({ timestamp: 90.5, hash_ids: [4, 9], session: 'left alone' }),
      line({ timestamp: 40, input_length: 512, hash_ids: [4] }),
      line({ timestamp: 90.5, output_length: 1 }),
    ]);
    expect(file).toMatchObject({ kind: 'trace', name: expect.stringMatching(/^f\d+\.jsonl$/) });
    expect(file.entries).toEqual([
      { atMs: 0, promptTokens: 512, outputTokens: 7, hashIds: [4] },
      { atMs: 50.5, promptTokens: 600, outputTokens: 7, hashIds: [4, 9] },
      { atMs: 50.5, promptTokens: 600, outputTokens: 1, hashIds: null },
    ]);
  });

  test('may leave out the id of a block that is not full', async () => {
    for (const hash_ids of [[1], [1, 2]]) {
      expect((await trace([line({ hash_ids })])).entries[0]).toMatchObject({ hashIds: hash_ids });
    }
  });

  test('may lack output lengths where the scenario has one, and times where none are replayed', async () => {
    const bare = [{ input_length: 3 }, { input_length: 4 }];
    expect((await trace(bare, { load: CLOSED, output: 5 })).entries).toMatchObject([
      { atMs: 0, outputTokens: null, promptTokens: 3 },
      { atMs: 0, outputTokens: null, promptTokens: 4 },
    ]);
    expect(await faultOf(trace(bare, { load: CLOSED }))).toMatch(
      /:1: output_length: expected a whole number of tokens, at least 1 \(or output.tokens in the scenario\), it is missing;/,
    );
    expect(await faultOf(trace(bare, { output: 5 }))).toMatch(
      /:1: timestamp: expected milliseconds, 0 or more, it is m/,
    );
  });

  test('has a hash of its contents, not of its name or spelling', async () => {
    const lines = [line(), line({ timestamp: 8 })];
    const { hash } = await trace(lines);
    expect((await trace(lines)).hash).toBe(hash);
    expect((await trace(`${JSON.stringify(lines, null, 2)}\n`)).hash).toBe(hash);
    expect((await trace([line(), line({ timestamp: 9 })])).hash).not.toBe(hash);
    expect((await trace([line(), line({ timestamp: 8, hash_ids: [1, 2] })])).hash).not.toBe(hash);
  });

  test.each<[string, RegExp]>([
    [
      '{"timestamp": -1, "input_length": 3}',
      /:3: timestamp: expected milliseconds, 0 or more, found -1; a request is \{/,
    ],
    ['{"timestamp": "1s", "input_length": 3}', /:3: timestamp: expected milliseconds, 0 or more, found "1s"/],
    ['{"timestamp": 1, "input_length": 0}', /:3: input_length: expected a whole number of tokens, at least 1, found 0/],
    ['{"timestamp": 1, "output_length": 3}', /:3: input_length: .*, it is missing/],
    ['{"timestamp": 1, "input_length": 3, "output_length": 2.5}', /:3: output_length: expected a whole .*found 2.5/],
    [
      '{"timestamp": 1, "input_length": 600, "output_length": 2, "hash_ids": [1, 2, 3]}',
      /:3: hash_ids: expected 2 ids, one for each block of 512 of the 600 tokens, found 3$/,
    ],
    [
      '{"timestamp": 1, "input_length": 1100, "output_length": 2, "hash_ids": [1]}',
      /:3: hash_ids: expected 3 ids, .*, found 1$/,
    ],
    [
      '{"timestamp": 1, "input_length": 6, "output_length": 2, "hash_ids": ["a"]}',
      /:3: hash_ids: expected a list of whole numbers, 0 or more, found \["a"\]/,
    ],
    ['{"timestamp": 1, "input_length": 3', /:3: not valid JSON: .*; expected one JSON object a line/],
    ['hello', /:3: not valid JSON/],
    ['[1]', /:3: expected a JSON object, found \[1\]/],
    ['null', /:3: expected a JSON object, found null/],
  ])('refuses %s with its line', async (bad, message) => {
    const good = '{"timestamp": 1, "input_length": 3, "output_length": 1}';
    const found = await faultOf(trace(`${good}\n\n${bad}\n${good}\n`));
    expect(found).toMatch(message);
    expect(found.startsWith(folder)).toBe(true);
  });

  test('that is empty, or is not there, is refused', async () => {
    expect(await faultOf(trace(' \n\n'))).toMatch(/is empty; expected one JSON object a line/);
    expect(await faultOf(trace('[]'))).toMatch(/holds no request; expected lines \{timestamp: ms/);
    expect(await faultOf(read('trace', 'nowhere.jsonl', { file: join(folder, 's.yaml') }))).toBe(
      `prompt.trace: there is no file ${join(folder, 'nowhere.jsonl')}, nor ${join(process.cwd(), 'nowhere.jsonl')}`,
    );
    mkdirSync(join(folder, 'a-folder'));
    expect(await faultOf(read('trace', join(folder, 'a-folder')))).toMatch(/it is a folder; expected a file/);
  });

  test('is looked for beside the scenario', async () => {
    writeFileSync(join(folder, 'beside.jsonl'), JSON.stringify(line()));
    const file = await read('trace', 'beside.jsonl', { file: join(folder, 's.yaml') });
    expect(file).toMatchObject({ name: 'beside.jsonl', entries: [{ promptTokens: 600 }] });
  });
});

describe('a dataset', () => {
  test('takes prompt, text, or what a user says first, with the length of its answer', async () => {
    const file = await dataset([
      { prompt: 'one two', output_tokens: 5 },
      { text: ' three\n', max_tokens: 6 },
      { prompt: 'x', completion: 'four five six', other: 1 },
      {
        messages: [
          { role: 'system', content: 'be brief' },
          { role: 'user', content: 'why so' },
          { role: 'user', content: 'and now' },
        ],
        output_tokens: 2,
      },
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a b c' }, { type: 'image' }] }], output_tokens: 1 },
    ]);
    expect(file.entries).toEqual([
      { text: 'one two', promptTokens: 2, outputTokens: 5 },
      { text: ' three\n', promptTokens: 1, outputTokens: 6 },
      { text: 'x', promptTokens: 1, outputTokens: 3 },
      { text: 'why so', promptTokens: 2, outputTokens: 2 },
      { text: 'a b c', promptTokens: 3, outputTokens: 1 },
    ]);
    expect(file).toMatchObject({ leftOut: null, cut: false });
  });

  test('need not say how long answers are where the scenario does', async () => {
    const file = await dataset([{ prompt: 'a' }, { prompt: 'b', output_tokens: 'many' }], { output: 8 });
    expect(file.entries.map(({ outputTokens }) => outputTokens)).toEqual([null, null]);
  });

  const talk = (human: number, gpt: number, first = 'human') => ({
    id: 'x',
    conversations: [
      { from: first, value: words(human) },
      { from: 'gpt', value: words(gpt) },
      { from: 'human', value: 'more' },
    ],
  });

  test("of ShareGPT's conversations is filtered as vLLM's benchmark does, and says how many were left out", async () => {
    const kept = [talk(4, 4), talk(1024, 1024), talk(10, 2038), talk(5, 6, 'user')];
    const out = [
      ...[talk(3, 9), talk(9, 3), talk(1025, 9), talk(1024, 1025), talk(10, 2039)],
      { conversations: [{ from: 'human', value: words(9) }] },
      { conversations: [] },
      { conversations: [{ from: 'gpt', value: words(9) }] },
    ];
    for (const content of [JSON.stringify([...out, ...kept], null, 1), [...kept, ...out]]) {
      const file = await dataset(content);
      expect(file.entries.map((entry) => [entry.promptTokens, entry.outputTokens])).toEqual([
        [4, 4],
        [1024, 1024],
        [10, 2038],
        [5, 6],
      ]);
      expect(file.leftOut?.count).toBe(out.length);
      expect(file.leftOut?.why).toMatch(/shorter than 4 tokens, a question longer than 1024 or both than 2048/);
    }
    // The scenario says how long answers are: those of the file don't matter.
    const own = await dataset([talk(9, 3), talk(1024, 1500), talk(3, 9)], { output: 100 });
    expect(own.entries.map(({ promptTokens }) => promptTokens)).toEqual([9, 1024]);
    expect(own.leftOut?.count).toBe(1);
    expect(await faultOf(dataset(out.slice(0, 3)))).toMatch(
      /holds no prompt that can be sent; 3 were left out: without/,
    );
  });

  test.each<[string, RegExp]>([
    ['{"promt": "a"}', /:2: expected a prompt, \{prompt: text\}, .*, found \{"promt":"a"\}/],
    ['{"prompt": 5}', /:2: expected a prompt/],
    ['{"prompt": ""}', /:2: expected a prompt/],
    ['{"prompt": " "}', /:2: the prompt " " has no tokens/],
    ['{"messages": [{"role": "system", "content": "a"}]}', /:2: expected a prompt/],
    [
      '{"prompt": "a"}',
      /:2: nothing says how long the answer is; expected output_tokens, max_tokens or completion here, or output.tokens in/,
    ],
    ['{"prompt": "a", "max_tokens": 0}', /:2: max_tokens: expected a whole number of at least 1, found 0/],
    ['{"prompt": "a", "completion": ""}', /:2: completion: expected the text of an answer, found ""/],
    ['{"conversations": "x"}', /:2: conversations: expected a list of \{from: human or gpt, value: text\}, found "x"/],
    ['{"conversations": [{"from": "human"}]}', /:2: conversations: expected/],
  ])('refuses %s with its line', async (bad, message) => {
    expect(await faultOf(dataset(`{"prompt": "a", "output_tokens": 1}\n${bad}\n`))).toMatch(message);
  });

  test('is read up to a bound, and says that it goes on', async () => {
    const line = JSON.stringify({ prompt: 'a b', output_tokens: 1 });
    const file = await dataset(`${line}\n`.repeat(10_003));
    expect(file.entries).toHaveLength(10_000);
    expect(file.cut).toBe(true);
    expect((await dataset(`${line}\n`.repeat(10_000))).cut).toBe(false);
    const long = await dataset([9, 9, 9].map(() => ({ prompt: 'x'.repeat(9_000_000), output_tokens: 1 })));
    expect(long.entries).toHaveLength(2);
    expect(long.cut).toBe(true);
  });
});

describe('the objects of a file', () => {
  const itemsOf = async (text: string) => {
    const items: { value: unknown; line: number }[] = [];
    for await (const item of jsonItems(write(text))) items.push(item);
    return items;
  };

  test('are found in lines and in a list, whatever their texts hold, with the line they begin at', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }), async (objects) => {
        const plain = objects.map((one) => JSON.parse(JSON.stringify(one)) as object);
        const lines = await itemsOf(plain.map((one) => JSON.stringify(one)).join('\r\n'));
        expect(lines).toEqual(plain.map((value, i) => ({ value, line: i + 1 })));
        const list = await itemsOf(`\n[\n${plain.map((one) => JSON.stringify(one)).join(',\n')}]`);
        expect(list).toEqual(plain.map((value, i) => ({ value, line: i + 3 })));
        expect((await itemsOf(JSON.stringify(plain, null, 2))).map(({ value }) => value)).toEqual(plain);
      }),
      { numRuns: 40 },
    );
  });

  test('may be larger than the pieces a file is read in, with braces and quotes across their edges', async () => {
    const value = { text: '{"}[\\'.repeat(120_000), more: [{ a: 'ü'.repeat(300_000) }] };
    const found = await itemsOf(JSON.stringify([value, { b: 1 }, value]));
    expect(found.map((item) => item.value)).toEqual([value, { b: 1 }, value]);
    expect((await itemsOf(`${JSON.stringify(value)}\n{"b": 1}`)).map((item) => item.value)).toEqual([value, { b: 1 }]);
  });

  test('a byte order mark and empty lines around them are no fault', async () => {
    expect(await itemsOf('\uFEFF\n{"a": 1}\n\n\n{"a": 2}\n\n')).toEqual([
      { value: { a: 1 }, line: 2 },
      { value: { a: 2 }, line: 5 },
    ]);
    expect(await itemsOf('\uFEFF  [ {"a": 1} ]\n')).toEqual([{ value: { a: 1 }, line: 1 }]);
  });

  test.each<[string, RegExp]>([
    ['[{"a": 1},\n{"b": ', /:2: the file ends within its list; expected "\]"/],
    ['[{"a": 1},\n5]', /:2: expected a JSON object, found "5\]"/],
    ['[{"a": 1}]\n{"a": 2}', /:2: expected nothing behind the list, found "\{/],
    ['[{"a": 1},\n\n{"b" 1}]', /:3: not valid JSON/],
    ['5', /:1: expected a JSON object, found 5/],
  ])('%j is refused', async (text, message) => {
    expect(await faultOf(itemsOf(text))).toMatch(message);
  });

  test('one that is too long to be a request is refused before it is held', async () => {
    const long = `{"a": "${'x'.repeat(17 * 2 ** 20)}`;
    expect(await faultOf(itemsOf(`{"b": 1}\n${long}`))).toMatch(
      /:2: an object here is longer than 16777216 characters/,
    );
    expect(await faultOf(itemsOf(`[{"b": 1},\n${long}`))).toMatch(
      /:2: an object here is longer than 16777216 characters/,
    );
  });
});
