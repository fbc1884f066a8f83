/**
 * The one error type of the engine: a stable code, the exit code it ends the process with, and a hint.
 *
 * Thrown anywhere in engine/ for what a person can act on; main.ts and serve.ts turn it into one sentence on stderr and
 * one JSON line on stdout. Anything else that is thrown counts as a bug of ours.
 */

const EXIT_OF = {
  /** A flag or a value that is not accepted. */
  usage: 2,
  port_in_use: 2,
  /** The model, its cache or its adapters do not fit the device; the message holds the arithmetic. */
  too_big: 2,
  /** No device passed its self-test, or the package that drives it cannot be loaded. */
  no_device: 5,
  /** The device, its driver or the process that held it died. */
  device_lost: 5,
  bug: 70,
} as const;

export type EngineErrorCode = keyof typeof EXIT_OF;

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(code: EngineErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = EXIT_OF[code];
    this.hint = options.hint;
  }
}

/** Any thrown value as an EngineError; what is not one already is a bug, and keeps its stack as the cause. */
export function asEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new EngineError('bug', message, { cause: thrown });
}
