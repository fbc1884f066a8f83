/**
 * One engine process: `bench serve` as a child, from its start to its end. In: its flags. Out: its ready line, its last
 * words, and `died`.
 *
 * A process and not a thread, so that a driver that aborts costs one cell and not the sweep. It has its own process group,
 * so that Ctrl-C in a terminal reaches the harness alone, and an IPC channel, whose end tells it that the harness is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchError, type ErrorCode } from '../errors.ts';

const PROTOCOL = 1;
/** A large model's weights and its first compilation of every kernel fit in this, on slow devices too. */
const START_TIMEOUT_MS = 15 * 60_000;
/** The engine gives answers in progress five seconds, and its own child ten. */
const STOP_GRACE_MS = 12_000;
const KEPT_STDERR_LINES = 40;

/** The engine's codes (engine/errors.ts, in its ready line) as ours. */
const CODE_OF: Readonly<Record<string, ErrorCode>> = {
  usage: 'USAGE',
  port_in_use: 'PORT_IN_USE',
  too_big: 'TOO_BIG',
  no_device: 'DEVICE_UNAVAILABLE',
  device_lost: 'TARGET_DIED',
  bug: 'BUG',
};

export type ReadyLine = { ready: true; protocol: number; url: string } & Record<string, unknown>;

export interface EngineProcess {
  readonly ready: ReadyLine;
  readonly pid: number;
  /** A sentence when it ended without being asked to. */
  readonly died: Promise<string>;
  stop(): Promise<void>;
}

export interface SpawnOptions {
  flags: readonly string[];
  /** Told what the engine writes to stderr, a line at a time. */
  report?: (line: string) => void;
  signal?: AbortSignal;
  /** The script to start; the engine that was built with this harness if not given. */
  entry?: string;
}

/** The built engine's entry: beside this module in dist/; from sources the one in dist/, as Node 20 runs no TypeScript. */
export function engineEntry(): string {
  const here = import.meta.url.replace(/\/src\/target\/engine-process\.ts$/, '/dist/src/target/engine-process.js');
  const entry = fileURLToPath(new URL('../../engine/main.js', here));
  if (!existsSync(entry)) {
    throw new BenchError('TARGET_UNREACHABLE', `the engine is not built: ${entry} does not exist`, {
      hint: 'run `npm run build` first',
    });
  }
  return entry;
}

/** Starts an engine and waits for its ready line. @throws BenchError with the engine's own reason when it does not start */
export async function startEngine(options: SpawnOptions): Promise<EngineProcess> {
  const child = spawnEngine(options);
  const lastWords = keepStderr(child, options.report);
  const exit = exitOf(child);
  const stop = () => stopChild(child, exit);
  const ready = await readyLine(child, exit, lastWords, options.signal).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  lastWords().length = 0; // what it said while it started explains no death later
  const reason = keepReason(child);
  let asked = false;
  const died = new Promise<string>((resolve) => {
    void exit.then((how) => {
      if (!asked) resolve(reason() ?? `the engine ${how}${quoted(lastWords())}`);
    });
  });
  return {
    ready,
    pid: child.pid!,
    died,
    stop: () => {
      asked = true;
      return stop();
    },
  };
}

/** What `--probe`, or `--ceilings`, says about the device that would be taken. @throws BenchError when there is none */
export async function probeEngine(options: SpawnOptions & { ceilings?: boolean }): Promise<Record<string, unknown>> {
  const how = options.ceilings === true ? '--ceilings' : '--probe';
  const child = spawnEngine({ ...options, flags: [...options.flags, how] });
  const lastWords = keepStderr(child, options.report);
  const exit = exitOf(child);
  try {
    const line = await firstLine(child, exit, lastWords, options.signal);
    if ('ready' in line && line['ready'] === false) throw startError(line);
    return line;
  } finally {
    await stopChild(child, exit);
  }
}

function spawnEngine({ flags, entry = engineEntry() }: SpawnOptions): ChildProcess {
  const child = spawn(process.execPath, [entry, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  return child;
}

/** "exited with code 3" or "was ended by SIGKILL", once it has. */
function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (cause) => resolve(`could not be started: ${cause.message}`));
    // "close" and not "exit": its last words have been read by then.
    child.once('close', (code, signal) =>
      resolve(signal === null ? `exited with code ${String(code)}` : `was ended by ${signal}`),
    );
  });
}

function keepStderr(child: ChildProcess, report?: (line: string) => void): () => string[] {
  const kept: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (line.trim() === '') return;
    kept.push(line);
    if (kept.length > KEPT_STDERR_LINES) kept.shift();
    report?.(line);
  });
  return () => kept;
}

/** Why an engine that was ready ends: it says so in a second line, unless it was killed itself. */
function keepReason(child: ChildProcess): () => string | null {
  let reason: string | null = null;
  createInterface({ input: child.stdout! }).on('line', (text) => {
    const line = jsonObject(text);
    if (line?.['ready'] === false && typeof line['message'] === 'string')
      reason = `the engine died: ${line['message']}`;
  });
  return () => reason;
}

async function readyLine(
  child: ChildProcess,
  exit: Promise<string>,
  lastWords: () => string[],
  signal?: AbortSignal,
): Promise<ReadyLine> {
  const line = await firstLine(child, exit, lastWords, signal);
  if (line['ready'] !== true) throw startError(line);
  if (line['protocol'] !== PROTOCOL || typeof line['url'] !== 'string') {
    throw new BenchError(
      'TARGET_UNREACHABLE',
      `the engine speaks protocol ${String(line['protocol'])}, not ${PROTOCOL}`,
      {
        hint: 'harness and engine are from different builds: run `npm run build`',
      },
    );
  }
  return line as ReadyLine;
}

/** The first line of stdout that is a JSON object. */
function firstLine(
  child: ChildProcess,
  exit: Promise<string>,
  lastWords: () => string[],
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(new BenchError('TARGET_UNREACHABLE', `the engine was not ready after ${START_TIMEOUT_MS / 60_000} minutes`));
    }, START_TIMEOUT_MS);
    const onAbort = () => fail(new BenchError('INTERRUPTED', 'interrupted while the engine was starting'));
    const fail = (error: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      reject(error);
    };
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const lines = createInterface({ input: child.stdout! }).on('line', (text) => {
      const line = jsonObject(text);
      if (line === null) return; // a driver's chatter
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      lines.close();
      child.stdout!.resume(); // whatever else it prints must not fill the pipe
      resolve(line);
    });
    void exit.then((how) =>
      fail(new BenchError('TARGET_UNREACHABLE', `the engine ${how} before it was ready${quoted(lastWords())}`)),
    );
  });
}

function startError(line: Record<string, unknown>): BenchError {
  const code = CODE_OF[String(line['code'])] ?? 'TARGET_UNREACHABLE';
  const hint = line['hint'];
  const message = `the engine did not start: ${String(line['message'] ?? line['code'])}`;
  return new BenchError(code, message, typeof hint === 'string' ? { hint } : {});
}

async function stopChild(child: ChildProcess, exit: Promise<string>): Promise<void> {
  if (child.pid === undefined) return;
  child.kill('SIGTERM');
  const gone = await Promise.race([exit.then(() => true), sleep(STOP_GRACE_MS, false, { ref: false })]);
  if (!gone) {
    child.kill('SIGKILL');
    await exit;
  }
}

function jsonObject(text: string): Record<string, unknown> | null {
  if (!text.startsWith('{')) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

const quoted = (lines: string[]): string =>
  lines.length === 0 ? '' : `; its last words: ${lines.slice(-3).join(' | ')}`;
