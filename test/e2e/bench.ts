/** Runs the built bin as a user would: a process of its own, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestRecord, Result } from '../../src/result/schema.ts';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const BIN = join(ROOT, 'dist', 'src', 'cli.js');

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  ended: Promise<Ended>;
  /** Resolves once the text has appeared on stdout or stderr; rejects when the process ends before it does. */
  said(pattern: RegExp): Promise<void>;
}

export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-e2e-'));
  readonly #running = new Set<ChildProcess>();

  /** Writes a file into the folder. @returns its path */
  file(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  start(args: readonly string[], env: Record<string, string> = {}, command: readonly string[] = []): Running {
    const [program, ...rest] = [...command, process.execPath, BIN, ...args];
    const child = spawn(program!, rest, {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    const output = { stdout: '', stderr: '' };
    const listeners = new Set<() => void>();
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
        for (const listener of listeners) listener();
      });
    }
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        this.#running.delete(child);
        resolve({ code, ...output });
      });
    });
    const said = (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        const look = () => {
          if (!pattern.test(output.stdout) && !pattern.test(output.stderr)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
        void ended.then(({ code, stderr }) => reject(new Error(`ended with ${code} without ${pattern}: ${stderr}`)));
      });
    return { child, ended, said };
  }

  bench(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return this.start(args, env).ended;
  }

  result(out: string): Result {
    return JSON.parse(readFileSync(join(this.folder, out, 'result.json'), 'utf8')) as Result;
  }

  records(out: string): RequestRecord[] {
    const text = readFileSync(join(this.folder, out, 'requests.jsonl'), 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as RequestRecord);
  }

  /** Resolves once so many measured requests are on record; rejects when the process ends before that. */
  async measured(running: Running, out: string, count: number): Promise<void> {
    let ended: Ended | null = null;
    void running.ended.then((end) => {
      ended = end;
    });
    const path = join(this.folder, out, 'requests.jsonl');
    const done = () => existsSync(path) && this.records(out).filter(({ phase }) => phase === 'measure').length >= count;
    while (!done()) {
      if (ended !== null) throw new Error(`ended before ${count} requests were measured: ${JSON.stringify(ended)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Every file below the folder. */
  files(): string[] {
    return readdirSync(this.folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  }

  /** Ends what still runs and removes the folder. */
  clear(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Six requests of four tokens to an endpoint; `more` is added as it stands. */
export const ENDPOINT_SCENARIO = `
name: little
description: Does it work?
models: [llama-3-8b]
adapters: {rank: [16], count: [0, 2], popularity: round_robin}
prompt: {tokens: 8}
output: {tokens: 4}
load: {concurrency: [2]}
measure: {requests: 6}
`;
