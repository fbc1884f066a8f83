/**
 * Waits for a moment to within microseconds, so that an open loop's requests leave when they should.
 *
 * A timer alone is up to two milliseconds late: it brings us near, and setImmediate, which lets sockets be read between
 * two looks at the clock, does the rest. A busy loop would be as exact, but would hold back the stamps of replies.
 */

/** Timers fire on whole milliseconds, and up to one late. */
const TIMER_SLACK_NS = 1_500_000;

/** Resolves at `atNs` on the clock of `now` (at once when that is past) or when the signal aborts; never rejects. */
export async function waitUntil(atNs: number, now: () => number, signal: AbortSignal): Promise<void> {
  const farNs = atNs - now() - TIMER_SLACK_NS;
  if (farNs > 0) await timer(farNs / 1e6, signal);
  while (now() < atNs && !signal.aborted) await new Promise(setImmediate);
}

/** Sleeps so many milliseconds, or until the signal aborts; never rejects. */
export function timer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(id);
      signal.removeEventListener('abort', done);
      resolve();
    };
    // setTimeout takes 2^31-1 ms at most, and fires at once beyond.
    const id = setTimeout(done, Math.min(Math.floor(ms), 2 ** 31 - 1));
    signal.addEventListener('abort', done, { once: true });
  });
}
