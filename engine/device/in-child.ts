/**
 * Runs one of this folder's scripts in a child process with a candidate's environment, since drivers abort rather than throw,
 * and reads the JSON line it prints last: {ok: true, ..} or {ok: false, message, hint}.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EngineError } from '../errors.ts';
import { type Candidate, type Environment, mergedEnvironment } from './candidates.ts';

export interface ChildTask {
  /** File name in dist/engine/device. */
  script: string;
  /** What it is called in errors: "its self-test". */
  what: string;
  timeoutMs: number;
}

/** @throws EngineError no_device: with the script's own reason, or how its process ended */
export function inChild<T>({ script, what, timeoutMs }: ChildTask, candidate: Candidate, env: Environment): Promise<T> {
  // Beside this module in dist/; from sources (tests), the built one is used, since Node 20 runs no TypeScript.
  const here = import.meta.url.replace(/\/engine\/device\/in-child\.ts$/, '/dist/engine/device/in-child.js');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL(`./${script}`, here)), candidate], {
      env: mergedEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.on('error', (cause) => reject(new EngineError('no_device', `${what} could not start: ${cause.message}`)));
    child.on('close', (code, signal) => {
      const line = out.trim().split('\n').at(-1) ?? '';
      try {
        const answer = JSON.parse(line) as ({ ok: true } & T) | { ok: false; message: string; hint?: string };
        if (answer.ok) return resolve(answer);
        const { message, hint } = answer;
        reject(new EngineError('no_device', message, hint === undefined ? {} : { hint }));
      } catch {
        const end = signal ? `was ended by ${signal}` : `exited with ${code}`;
        const last = err.trim().split('\n').at(-1);
        reject(new EngineError('no_device', `${what} ${end}${last ? `: ${last}` : ''}`));
      }
    });
  });
}
