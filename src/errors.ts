/**
 * The one error type of the harness, and the exit codes it can carry.
 *
 * Match on `code`, never on the message. The message says what, where and what would be accepted; `hint` says what to do.
 */

/** Exit codes of `bench`; the README explains them. */
export const EXIT = {
  done: 0,
  gateFailed: 1,
  usage: 2,
  inconclusive: 3,
  invalid: 4,
  targetDied: 5,
  bug: 70,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const EXIT_OF = {
  USAGE: EXIT.usage,
  SCENARIO_INVALID: EXIT.usage,
  PLAN_INVALID: EXIT.usage,
  UNSUPPORTED: EXIT.usage,
  PORT_IN_USE: EXIT.usage,
  OUTPUT_NOT_WRITABLE: EXIT.usage,
  TOO_BIG: EXIT.usage,
  NO_DATA: EXIT.inconclusive,
  TARGET_UNREACHABLE: EXIT.targetDied,
  TARGET_DIED: EXIT.targetDied,
  DEVICE_UNAVAILABLE: EXIT.targetDied,
  OUTPUT_DISK_FULL: EXIT.targetDied,
  INTERRUPTED: EXIT.interrupted,
  BUG: EXIT.bug,
} as const satisfies Record<string, ExitCode>;

export type ErrorCode = keyof typeof EXIT_OF;

export class BenchError extends Error {
  override readonly name = 'BenchError';
  readonly code: ErrorCode;
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = EXIT_OF[code];
    this.hint = options.hint;
  }
}
