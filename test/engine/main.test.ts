/** The built launcher, as the harness starts it: its lines, its exit codes, and that no process outlives it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OpenAI } from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { chosenDevice } from '../support/device.ts';

const MAIN = fileURLToPath(new URL('../../dist/engine/main.js', import.meta.url));
const MODEL = 'llama-3.2-1b@1/8';

interface Launched {
  child: ChildProcess;
  /** The next JSON line of stdout. */
  line(): Promise<Record<string, unknown>>;
  ended: Promise<{ code: number | null; stderr: string }>;
}

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL'); // the server ends with its launcher
});

function launch(...flags: string[]): Launched {
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  started.push(child);
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const lines: Record<string, unknown>[] = [];
  const waiting: Array<(line: Record<string, unknown>) => void> = [];
  let rest = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    for (const part of parts) {
      const line = JSON.parse(part) as Record<string, unknown>;
      const resolve = waiting.shift();
      if (resolve) resolve(line);
      else lines.push(line);
    }
  });
  // Not the event "close": it does not come for a child whose IPC channel was disconnected from this side.
  const ended = Promise.all([once(child, 'exit'), once(child.stdout!, 'close'), once(child.stderr!, 'close')]).then(
    ([[code]]) => ({ code: code as number | null, stderr }),
  );
  const line = () => {
    const first = lines.shift();
    if (first) return Promise.resolve(first);
    return Promise.race([
      new Promise<Record<string, unknown>>((resolve) => waiting.push(resolve)),
      ended.then(({ code }) => {
        throw new Error(`the launcher ended with ${code} before it said anything:\n${stderr}`);
      }),
    ]);
  };
  return { child, line, ended };
}

/** Whether the process runs: one that has ended and was not collected by its parent yet does not. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('the launcher', () => {
  it('refuses a flag in a sentence and in a line, with exit code 2', async () => {
    const { line, ended } = launch('--model', 'gpt-2');
    expect(await line()).toEqual({
      ready: false,
      protocol: 1,
      code: 'usage',
      message: expect.stringContaining('expected a Hugging Face folder or one of llama-3-8b'),
      hint: expect.any(String),
    });
    const { code, stderr } = await ended;
    expect(code).toBe(2);
    expect(stderr).toContain('unknown model "gpt-2"');
  });

  it('says which device it would take', async () => {
    const { line, ended } = launch('--probe');
    expect(await line()).toEqual({
      probe: true,
      protocol: 1,
      device: {
        candidate: expect.stringMatching(/^(gpu|lavapipe|llvmpipe|swiftshader)$/),
        name: expect.any(String),
        vendor: expect.any(String),
        driver: expect.any(String),
        software: expect.any(Boolean),
        features: expect.any(Array),
      },
    });
    expect((await ended).code).toBe(0);
  });

  it('brings a server up, refuses a second one on its port, and ends with 0 when asked to', async () => {
    const first = launch('--model', MODEL, '--port', '0', '--lora', 'support=synthetic:rank=2,seed=1');
    const ready = await first.line();
    expect(ready).toMatchObject({
      ready: true,
      protocol: 1,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      model: MODEL,
      standIn: { for: 'llama-3.2-1b', scale: '1/8' },
      adapters: [{ name: 'support', rank: 2 }],
    });
    const url = ready['url'] as string;
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
    const answers = [];
    for (const model of [MODEL, 'support']) {
      const answer = await client.completions.create({
        model,
        prompt: 'Hello world!',
        max_tokens: 4,
        temperature: 0,
        ...{ ignore_eos: true },
      });
      expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
      answers.push(answer.choices[0]!.text);
    }
    expect(answers[0]).not.toBe(answers[1]);

    const second = launch('--model', MODEL, '--port', new URL(url).port);
    expect(await second.line()).toMatchObject({ ready: false, code: 'port_in_use' });
    expect((await second.ended).code).toBe(2);

    first.child.kill('SIGTERM');
    expect((await first.ended).code).toBe(0);
    await untilGone(ready['pid'] as number);
  });

  it('hands tokens on later when told to, and says so', async () => {
    const flags = ['--inject-delay', 'ttft=150ms', '--inject-delay', 'itl=20ms', '--max-gpu-loras', '1'];
    const { line } = launch('--model', MODEL, '--port', '0', ...flags);
    const ready = await line();
    expect(ready).toMatchObject({ injectDelay: { ttft: '150ms', itl: '20ms' }, variants: ['portable'] });
    const url = ready['url'] as string;
    expect(await (await fetch(`${url}/version`)).json()).toMatchObject({
      inject_delay: { ttft: '150ms', itl: '20ms' },
    });
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, prompt: [5, 6, 7], max_tokens: 6, ignore_eos: true }),
    });
    const { timings, usage } = (await response.json()) as Record<string, Record<string, number>>;
    expect(usage).toMatchObject({ completion_tokens: 6 });
    const { ttft_ms, stream_ms, prefill_ms, decode_ms } = timings as Record<string, number>;
    expect(ttft_ms! - prefill_ms!).toBeGreaterThan(150);
    const total = ttft_ms! + stream_ms! - prefill_ms! - decode_ms!;
    // Messages between the two threads take the rest.
    expect(total).toBeGreaterThan(150 + 5 * 20 - 5);
    expect(total).toBeLessThan(150 + 5 * 20 + 150);
  });

  it('answers /health while a long step runs', async () => {
    // A second or so on two cores; a GPU needs a bigger model to be busy at all.
    const model = chosenDevice().software ? MODEL : 'llama-3.2-1b';
    const rows = 256;
    const limits = ['--max-model-len', `${rows + 1}`, '--max-num-batched-tokens', `${rows}`, '--max-num-seqs', '1'];
    const { line } = launch('--model', model, '--port', '0', ...limits);
    const url = (await line())['url'] as string;
    const stepsIn = async () =>
      Number(/^lorabench:steps_total\S* (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
    const before = await stepsIn();
    let done = false;
    const completion = fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: Array(rows).fill(5), max_tokens: 1 }),
    }).then(async (response) => {
      done = true;
      return response.json();
    });
    let answered = 0;
    while (!done) {
      expect((await fetch(`${url}/health`)).status).toBe(200);
      if (!done) answered += 1;
    }
    expect(await completion).toMatchObject({ usage: { prompt_tokens: rows, completion_tokens: 1 } });
    expect((await stepsIn()) - before).toBe(1);
    // Held up by the step, the first could come before it and the second with its result.
    expect(answered).toBeGreaterThan(3);
  });

  it('says so with exit code 5 when the server dies', async () => {
    const { line, ended } = launch('--model', MODEL, '--port', '0');
    const { pid } = await line();
    process.kill(pid as number, 'SIGKILL');
    expect(await line()).toMatchObject({
      ready: false,
      code: 'device_lost',
      message: expect.stringContaining('SIGKILL'),
    });
    expect((await ended).code).toBe(5);
  });

  it('leaves no server behind when it is killed, or when the one that started it is gone', async () => {
    for (const end of ['kill', 'disconnect'] as const) {
      const { child, line, ended } = launch('--model', MODEL, '--port', '0');
      const { pid } = await line();
      if (end === 'kill') child.kill('SIGKILL');
      else child.disconnect();
      await ended;
      await untilGone(pid as number);
    }
  });
});
