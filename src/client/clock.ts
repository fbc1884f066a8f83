/**
 * The one clock of the harness: integer nanoseconds of the monotonic clock since the invocation's origin.
 *
 * Every stamp in requests.jsonl comes from here. process.hrtime and not performance.now(), whose origin differs between
 * threads and which counts in floating-point milliseconds. A number holds 104 days of nanoseconds exactly.
 */
const [originSeconds, originNanoseconds] = process.hrtime();

/** Wall time of the origin, ISO 8601 in UTC: for people, and to line records up with a server's log. */
export const originIso = new Date().toISOString();

/** Nanoseconds since the origin, never falling. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds - originSeconds) * 1e9 + (nanoseconds - originNanoseconds);
}
