/**
 * `bench serve`: the engine alone. Its flags are handed on as they are (engine/flags.ts reads them), its output is the
 * terminal's, and its exit code is ours.
 */
import { spawn } from 'node:child_process';
import { EXIT, type ExitCode } from '../errors.ts';
import { engineEntry } from '../target/engine-process.ts';
import type { CommandIo } from './io.ts';

export async function serve(flags: readonly string[], { env, signal }: CommandIo): Promise<ExitCode> {
  const child = spawn(process.execPath, [engineEntry(), ...flags], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env,
  });
  // In a terminal Ctrl-C has reached the engine already; a signal sent to us alone has not.
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code === null) return EXIT.targetDied;
  return (Object.values(EXIT) as number[]).includes(code) ? (code as ExitCode) : EXIT.bug;
}
