/** The two servers compared, each a process of its own on a free port: llama.cpp's, and the engine as built into dist/. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Prepared } from './prepare.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export interface Server {
  url: string;
  /** As the server says it; empty where it doesn't. */
  version: string;
  post<T>(path: string, body: unknown): Promise<T>;
  stop(): Promise<void>;
}

/** llama.cpp on the converted model, with both adapters; keys and values kept in f32 or f16. `flags` are llama-server.py's. */
export async function startLlama(prepared: Prepared, cache: 'f32' | 'f16', flags: string[] = []): Promise<Server> {
  const { python, gguf, adapters } = prepared;
  const args = [here('llama-server.py'), cache, gguf, ...adapters.map((adapter) => adapter.gguf), ...flags];
  const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  return server(child, 'llama.cpp', () => child.stdin?.end());
}

export async function startEngine(flags: string[]): Promise<Server> {
  const main = here('../../dist/engine/main.js');
  const child = spawn(process.execPath, [main, '--port', '0', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  return server(child, 'the engine', () => child.kill('SIGTERM'));
}

/** Waits for the line of JSON that has its address. */
async function server(child: ChildProcess, name: string, end: () => void): Promise<Server> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-20_000);
  });
  const gone = once(child, 'exit');
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    gone.then(
      ([code]) => reject(new Error(`${name} ended with ${code}:\n${stderr}`)),
      (error: unknown) => reject(error),
    );
  });
  const said = JSON.parse(line) as { url?: string; version?: string };
  if (!said.url) throw new Error(`${name} did not start: ${line}`);
  const { url, version = '' } = said;
  return {
    url,
    version,
    async post<T>(path: string, body: unknown): Promise<T> {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${name}: ${path} answered ${response.status}: ${text.slice(0, 2000)}`);
      return (text === '' || text[0] !== '{' ? text : JSON.parse(text)) as T;
    },
    async stop() {
      end();
      await gone;
    },
  };
}
