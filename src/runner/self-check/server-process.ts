/** Starts the calibrated server as a child, and ends it. In: its timing. Out: its URL. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../../errors.ts';

export interface CalibratedServer {
  /** With /v1. */
  url: string;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;

/** @throws BenchError UNSUPPORTED when it does not start, or is not to any more */
export async function startCalibratedServer(
  gapMs: number,
  ttftMs: number,
  signal: AbortSignal,
): Promise<CalibratedServer> {
  // From sources (tests) the built one is used: Node 20 runs no TypeScript.
  const here = import.meta.url.replace(/\/src\/runner\/self-check\/[^/]+$/, '/dist/src/runner/self-check/');
  const folder = import.meta.url.endsWith('.ts') ? here : new URL('.', import.meta.url).href;
  const entry = fileURLToPath(new URL('server-main.js', folder));
  // A process group of its own: Ctrl-C in a terminal reaches the harness alone, which then ends it.
  const child = spawn(process.execPath, [entry, String(gapMs), String(ttftMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    windowsHide: true,
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve()).once('error', () => resolve());
  });
  try {
    const { port } = JSON.parse(await firstLine(child, signal)) as { port: number };
    return {
      url: `http://127.0.0.1:${port}/v1`,
      async stop() {
        child.stdin.end();
        child.kill();
        await exited;
      },
    };
  } catch (cause) {
    child.kill();
    const why = (cause as Error).message;
    throw new BenchError('UNSUPPORTED', `the server for the client's self-check did not start: ${why}`, { cause });
  }
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Rejects when the child ends without one, takes too long, or is not wanted any more. */
function firstLine(child: Child, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`nothing came for ${START_TIMEOUT_MS / 1000} s`)),
      START_TIMEOUT_MS,
    );
    const stopped = () => reject(new Error('interrupted'));
    const over = () => {
      clearTimeout(limit);
      signal.removeEventListener('abort', stopped);
    };
    if (signal.aborted) stopped();
    signal.addEventListener('abort', stopped, { once: true });
    child.once('error', reject).once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      over();
      resolve(line);
    });
    child.once('exit', over);
  });
}
