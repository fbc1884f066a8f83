/** Starts the calibrated server as a child, and ends it. In: its timing. Out: its URL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../../errors.ts';

export interface CalibratedServer {
  /** With /v1. */
  url: string;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;

/** @throws BenchError BUG when it does not start */
export async function startCalibratedServer(gapMs: number, ttftMs: number): Promise<CalibratedServer> {
  // From sources (tests) the built one is used: Node 20 runs no TypeScript.
  const here = import.meta.url.replace(/\/src\/runner\/self-check\/[^/]+$/, '/dist/src/runner/self-check/');
  const folder = import.meta.url.endsWith('.ts') ? here : new URL('.', import.meta.url).href;
  const entry = fileURLToPath(new URL('server-main.js', folder));
  const child = spawn(process.execPath, [entry, String(gapMs), String(ttftMs)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  try {
    const lines = createInterface({ input: child.stdout });
    const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(START_TIMEOUT_MS) })) as [string];
    const { port } = JSON.parse(line) as { port: number };
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
    throw new BenchError('BUG', `the server for the client's self-check did not start: ${(cause as Error).message}`, {
      cause,
    });
  }
}
