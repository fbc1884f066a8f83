/**
 * A real model: SmolLM2-135M-Instruct against llama.cpp, for the base and for two adapters, over HTTP and by logits.
 *
 * Both sides have the same weights to the bit (smollm2.py), and llama.cpp computes in f32 with keys and values in f32. What
 * the engine rounds beside that is its cache, to f16. How far that moves logits is measured here: llama.cpp runs once more
 * with its own cache in f16, and the engine may be off by three times the largest difference that this makes.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { generate, makeModel } from '../engine/transformer/generate.ts';
import { loadFile } from '../engine/transformer/load-file.ts';
import { HARD_TEXTS } from './hard-texts.ts';
import type { Prepared } from './prepare.ts';
import { type Server, startEngine, startLlama } from './servers.ts';

const prepared = inject('interop');
const BOUND_IN_ROUNDINGS = 3;
const TOKENS = 16;
/** Likeliest ids of a position that are compared. */
const TOP = 1000;
const QUESTIONS = ['What is the capital of France?', 'Explain in one sentence why the sky is blue.'];

interface Step {
  id: number;
  /** Text of the token. */
  token: string;
  top_logprobs: { id: number; logprob: number }[];
}
interface LlamaAnswer {
  content: string;
  tokens: number[];
  completion_probabilities: Step[];
}
/** What llama.cpp said to one question under one adapter. */
interface Reference {
  adapter: string | null;
  prompt: number[];
  steps: Step[];
}

const chat = (question: string) => [{ role: 'user', content: question }];

describe.skipIf('skipped' in prepared)('SmolLM2-135M-Instruct', () => {
  const { model, adapters } = prepared as Prepared;
  let llama: Server;
  let references: Reference[];
  /** Largest difference of a log-probability that a cache in f16 makes to llama.cpp. */
  let rounding = 0;

  beforeAll(async () => {
    llama = await startLlama(prepared as Prepared, 'f32');
    references = await answers(llama, QUESTIONS);
    const halved = await startLlama(prepared as Prepared, 'f16');
    try {
      // One question is enough: 3 x 16 positions of a thousand ids.
      rounding = largestDifference(references, await answers(halved, QUESTIONS.slice(0, 1)));
    } finally {
      await halved.stop();
    }
  });
  afterAll(() => llama?.stop());

  /** Greedy answers of llama.cpp to each question, under the base and each adapter. */
  async function answers(server: Server, questions: string[]): Promise<Reference[]> {
    const all: Reference[] = [];
    for (const question of questions) {
      const { prompt: text } = await server.post<{ prompt: string }>('/apply-template', { messages: chat(question) });
      const tokenized = { content: text, parse_special: true };
      const { tokens: prompt } = await server.post<{ tokens: number[] }>('/tokenize', tokenized);
      for (const adapter of [null, ...adapters.map(({ name }) => name)]) {
        const lora = adapters.map(({ name }, id) => ({ id, scale: name === adapter ? 1 : 0 }));
        const answer = await server.post<LlamaAnswer>('/completion', {
          prompt,
          lora,
          n_predict: TOKENS,
          n_probs: TOP,
          temperature: 0,
          cache_prompt: false,
          return_tokens: true,
        });
        all.push({ adapter, prompt, steps: answer.completion_probabilities });
      }
    }
    return all;
  }

  test('llama.cpp answers differently under each adapter, and rounding is small', () => {
    for (let i = 0; i < references.length; i += 1 + adapters.length) {
      const texts = references.slice(i, i + 1 + adapters.length).map(({ steps }) => textOf(steps));
      expect(new Set(texts).size).toBe(texts.length);
    }
    // Of logits whose spread is about 3: were it more, the bound below would let anything through.
    expect(rounding).toBeGreaterThan(0);
    expect(rounding).toBeLessThan(0.1);
  });

  describe('the engine over HTTP', () => {
    let engine: Server;
    beforeAll(async () => {
      const flags = adapters.flatMap(({ name, folder }) => ['--lora', `${name}=${folder}`]);
      engine = await startEngine(['--model', model, '--max-model-len', '512', '--max-gpu-loras', '2', ...flags]);
    });
    afterAll(() => engine?.stop());

    test('ids of hard texts', async () => {
      for (const content of HARD_TEXTS) {
        const theirs = await llama.post<{ tokens: number[] }>('/tokenize', { content, parse_special: false });
        const ours = await engine.post<{ tokens: number[] }>('/tokenize', {
          prompt: content,
          add_special_tokens: false,
        });
        expect({ content, tokens: ours.tokens }).toEqual({ content, tokens: theirs.tokens });
      }
    });

    test('ids of chats', async () => {
      const long = [
        { role: 'system', content: 'You answer briefly.' },
        ...chat(QUESTIONS[0] as string),
        { role: 'assistant', content: 'Paris.\n' },
        { role: 'user', content: '  And of   Italy?\n\n' },
      ];
      for (const messages of [...QUESTIONS.map(chat), long]) {
        const { prompt } = await llama.post<{ prompt: string }>('/apply-template', { messages });
        const theirs = await llama.post<{ tokens: number[] }>('/tokenize', { content: prompt, parse_special: true });
        const ours = await engine.post<{ tokens: number[] }>('/tokenize', { messages });
        expect(ours.tokens).toEqual(theirs.tokens);
      }
    });

    test('a chat is answered sensibly, and ends by itself', async () => {
      const answer = await engine.post<{ choices: { message: { content: string }; finish_reason: string }[] }>(
        '/v1/chat/completions',
        { model: 'SmolLM2-135M-Instruct', messages: chat(QUESTIONS[0] as string), temperature: 0, max_tokens: 40 },
      );
      expect(answer.choices[0]?.message.content).toContain('Paris');
      expect(answer.choices[0]?.finish_reason).toBe('stop');
    });

    test("greedy text, all at once, is llama.cpp's as far as no choice was a near tie", async () => {
      const texts = await Promise.all(
        references.map(async ({ adapter, prompt }) => {
          const body = { model: adapter ?? 'SmolLM2-135M-Instruct', prompt, temperature: 0, max_tokens: TOKENS };
          const answer = await engine.post<{ choices: { text: string }[] }>('/v1/completions', body);
          return answer.choices[0]?.text;
        }),
      );
      let compared = 0;
      references.forEach(({ steps }, i) => {
        const tie = steps.findIndex((step) => lead(step) <= 2 * BOUND_IN_ROUNDINGS * rounding);
        if (tie < 0) expect(texts[i]).toBe(textOf(steps));
        else expect(texts[i]?.startsWith(textOf(steps.slice(0, tie)))).toBe(true);
        compared += tie < 0 ? steps.length : tie;
      });
      // Else the questions are badly chosen.
      expect(compared).toBeGreaterThan(references.reduce((sum, { steps }) => sum + steps.length, 0) / 2);
    });
  });

  test('logits in one batch of the base and both adapters, token for token', async () => {
    const inProcess = await makeModel({ model, maxModelLen: 256, maxGpuLoras: adapters.length, validate: false });
    for (const { name, folder } of adapters) await loadFile(inProcess, name, folder);
    const got = await generate(
      inProcess,
      references.map(({ adapter, prompt, steps }) => ({
        adapter,
        prompt,
        forced: steps.slice(0, -1).map(({ id }) => id),
      })),
    );
    const worst = new Map<string, number>();
    let agreed = 0;
    let clear = 0;
    references.forEach(({ adapter, steps }, i) => {
      steps.forEach((step, position) => {
        const logits = got[i]?.logits[position] as Float32Array;
        const name = adapter ?? 'base';
        worst.set(name, Math.max(worst.get(name) ?? 0, ...differences(logits, step)));
        if (lead(step) <= 2 * BOUND_IN_ROUNDINGS * rounding) return;
        clear++;
        if (logits.every((value) => value <= (logits[step.id] as number))) agreed++;
      });
    });
    console.log(
      `log-probabilities, largest difference from llama.cpp: ${[...worst].map(([name, d]) => `${name} ${d.toFixed(4)}`).join(', ')}; a cache in f16 makes ${rounding.toFixed(4)} to llama.cpp itself; top-1 agreed at ${agreed} of ${clear} positions without a near tie`,
    );
    for (const difference of worst.values()) expect(difference).toBeLessThan(BOUND_IN_ROUNDINGS * rounding);
    expect(agreed).toBe(clear);
  });

  test('bench runs scenarios/smollm2.yaml on it', async () => {
    const reports = await mkdtemp(join(tmpdir(), 'lorabench-interop-'));
    try {
      const cli = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
      const scenario = fileURLToPath(new URL('../../scenarios/smollm2.yaml', import.meta.url));
      const ran = promisify(execFile)(process.execPath, [
        cli,
        scenario,
        '--set',
        `models=["${model}"]`,
        '--out',
        reports,
      ]);
      await ran;
      const result = JSON.parse(await readFile(join(reports, 'result.json'), 'utf8')) as {
        cells: { runs: { state: string; counts: { ok: number; issued: number } }[] }[];
      };
      const runs = result.cells.flatMap((cell) => cell.runs);
      expect(runs.length).toBeGreaterThan(0);
      for (const { state, counts } of runs) {
        expect(state).toBe('done');
        expect(counts.ok).toBe(counts.issued);
      }
    } finally {
      await rm(reports, { recursive: true, force: true });
    }
  });
});

/** Text of the tokens; the one that ends an answer has none. */
const textOf = (steps: Step[]): string => steps.map(({ token }) => (token.startsWith('<|') ? '' : token)).join('');

/** How far the likeliest is ahead of the second. */
function lead({ top_logprobs: [first, second] }: Step): number {
  return (first?.logprob ?? 0) - (second?.logprob ?? 0);
}

/** Of the log-probabilities of the likeliest ids. */
function differences(logits: Float32Array, step: Step): number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const logSum = largest + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return step.top_logprobs.map(({ id, logprob }) => Math.abs((logits[id] as number) - logSum - logprob));
}

/** Between two runs of llama.cpp, as long as both chose the same ids. */
function largestDifference(one: Reference[], other: Reference[]): number {
  let largest = 0;
  one.forEach(({ steps }, i) => {
    for (const [position, step] of steps.entries()) {
      const theirs = other[i]?.steps[position];
      if (!theirs) break;
      const known = new Map(theirs.top_logprobs.map(({ id, logprob }) => [id, logprob]));
      for (const { id, logprob } of step.top_logprobs) {
        const found = known.get(id);
        if (found !== undefined) largest = Math.max(largest, Math.abs(logprob - found));
      }
      if (theirs.id !== step.id) break;
    }
  });
  return largest;
}
