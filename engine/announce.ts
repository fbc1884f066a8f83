/**
 * How the engine tells the process that started it what became of it: one JSON line on stdout, and for people the same
 * as a sentence on stderr. EXTENSIONS.md specifies the lines.
 */
import { writeSync } from 'node:fs';
import { asEngineError, type EngineError } from './errors.ts';

/** Version of what EXTENSIONS.md specifies. */
export const PROTOCOL = 1;

/** Writes one JSON line to stdout, whole before it returns: the process may exit next. */
export const announce = (line: object): void => writeWhole(1, `${JSON.stringify(line)}\n`);

/** A line for people, on stderr. */
export const tell = (line: string): void => writeWhole(2, `${line}\n`);

/** Says why the engine cannot start or go on. @returns the code to exit with */
export function announceFailure(thrown: unknown, options: { line: boolean } = { line: true }): number {
  const error: EngineError = asEngineError(thrown);
  tell(`engine: ${error.message}`);
  if (error.hint !== undefined) tell(`        ${error.hint}`);
  if (error.code === 'bug' && error.cause instanceof Error) tell(error.cause.stack ?? '');
  if (options.line) {
    announce({ ready: false, protocol: PROTOCOL, code: error.code, message: error.message, hint: error.hint ?? null });
  }
  return error.exitCode;
}

/** writeSync to a pipe may write a part, or nothing while the pipe is full; a reader that is gone is no reason to fail. */
function writeWhole(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else return;
    }
  }
}
