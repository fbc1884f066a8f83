/**
 * The one clock of the harness: integer nanoseconds of the monotonic clock since the invocation's origin.
 *
 * Every stamp in requests.jsonl comes from here. process.hrtime and not performance.now(), whose origin differs between
 * threads and which counts in floating-point milliseconds. A number holds 104 days of nanoseconds exactly. Threads that
 * measure are given the main thread's origin (`clockOrigin` in their workerData), so that all stamps are on one clock.
 */
import { workerData } from 'node:worker_threads';

/** Seconds and nanoseconds, as process.hrtime gives them. */
export type ClockOrigin = [seconds: number, nanoseconds: number];

const given = (workerData as { clockOrigin?: ClockOrigin } | null)?.clockOrigin;

export const clockOrigin: ClockOrigin = given ?? process.hrtime();
const [originSeconds, originNanoseconds] = clockOrigin;

/** Nanoseconds since the origin, never falling. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds - originSeconds) * 1e9 + (nanoseconds - originNanoseconds);
}

/** A stamp of process.hrtime in another process of this machine, in nanoseconds, on the clock of now(). */
export const onClock = (absolute: number): number => absolute - (originSeconds * 1e9 + originNanoseconds);
