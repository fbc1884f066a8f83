/**
 * The timed server as a process of its own, for tests that kill it, or that must not share a thread with it.
 *
 * In: those of its options that are plain data. Out: its URL, once it listens, and its end. Its log stays with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { emitModules } from './emit-modules.ts';
import type { TimedServerOptions } from './timed-server.ts';

type Functions = 'produce' | 'text' | 'fault' | 'clock';
export type PlainOptions = Partial<Omit<TimedServerOptions, Functions | 'ttftMs' | 'finish'>> & {
  ttftMs?: number;
  finish?: string;
};

export interface TimedServerProcess {
  url: string;
  port: number;
  process: ChildProcess;
  /** Kills it, and waits until it is gone. May be called twice. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export async function startTimedServerProcess(options: PlainOptions = {}): Promise<TimedServerProcess> {
  const emitted = emitModules('test/support/timed-server.ts');
  const script = `
    const { startTimedServer } = await import(${JSON.stringify(pathToFileURL(emitted.pathOf('test/support/timed-server.ts')).href)});
    const { url, port } = await startTimedServer(${JSON.stringify(options)});
    console.log(JSON.stringify({ url, port }));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), exited.then(() => null)]);
  lines.close();
  emitted.remove();
  if (first === null) throw new Error(`the timed server ended with ${child.exitCode ?? child.signalCode}`);
  const { url, port } = JSON.parse(String(first[0])) as { url: string; port: number };
  return {
    url,
    port,
    process: child,
    async kill(signal = 'SIGKILL') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
    },
  };
}
