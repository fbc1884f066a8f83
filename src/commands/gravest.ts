/**
 * Which of several failures the exit code tells of. In: failures, in the order they happened. Out: the gravest of them.
 *
 * One sweep may meet several, and a pipeline sees one code: a server that died must not hide behind an adapter that was
 * refused before it. Of equally grave ones the first is told, since it may have caused the others.
 */
import { type BenchError, EXIT, type ExitCode } from '../errors.ts';

/** Gravest first. An interruption explains all that came after it; a death is what somebody must look into. */
const BY_GRAVITY: readonly ExitCode[] = [
  EXIT.bug,
  EXIT.interrupted,
  EXIT.targetDied,
  EXIT.usage,
  EXIT.invalid,
  EXIT.inconclusive,
  EXIT.gateFailed,
  EXIT.done,
];

/** undefined when nothing failed. */
export function gravest(failures: readonly BenchError[]): BenchError | undefined {
  const gravity = ({ exitCode }: BenchError) => BY_GRAVITY.indexOf(exitCode);
  return [...failures].sort((a, b) => gravity(a) - gravity(b))[0];
}
