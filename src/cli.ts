#!/usr/bin/env node
/**
 * The bin: argv in, exit code out. The only file that ends the process, and the only one that hears signals.
 *
 * The first Ctrl-C lets a run in progress finish, a second one stops it and keeps what was measured, a third one ends at once. Other
 * signals stop it, since those who send them do not wait.
 */
import { runCommandLine } from './commands/command-line.ts';
import { FinishRequest } from './commands/io.ts';
import { BenchError, EXIT } from './errors.ts';

const interrupt = new AbortController();
const finish = new FinishRequest();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && !interrupt.signal.aborted && finish.ask()) return;
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
  });
}

// A reader that went away (`bench .. | head`) ends nothing: what is measured goes to files.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
process.on('uncaughtException', (error) => process.exit(tell(error)));
process.on('unhandledRejection', (error) => process.exit(tell(error)));

/** Says what went wrong: a sentence and what to do, or a stack when it is our fault. @returns the exit code */
function tell(thrown: unknown): number {
  if (thrown instanceof BenchError && thrown.code !== 'BUG') {
    process.stderr.write(`bench: ${thrown.message}\n`);
    if (thrown.hint !== undefined) process.stderr.write(`       ${thrown.hint}\n`);
    return thrown.exitCode;
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  process.stderr.write(`${stack}\nbench: this is a bug; please report it with the lines above\n`);
  return EXIT.bug;
}

/** Pipes are written in the background; leaving before they are would cut the last lines. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else {
      stream.once('drain', resolve);
      stream.once('error', () => resolve());
      stream.once('close', () => resolve());
    }
  });

const code = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interrupt.signal,
  finish,
}).catch(tell);
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(code);
