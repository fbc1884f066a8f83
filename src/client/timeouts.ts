/**
 * How long each phase of a request may take, from the one limit a scenario states (`request.timeout`).
 *
 * The total is the promise; the earlier limits exist to name the phase in which a server hung. They are late shares of
 * the total on purpose: a server that queues may be slow to its headers and first content without being broken.
 */
export interface Timeouts {
  /** Until the request is on a connection. */
  connectMs: number;
  /** Each of these counts from the moment the request was sent. */
  headersMs: number;
  firstContentMs: number;
  totalMs: number;
}

/** A handshake that takes longer than this is not slow, it is lost. */
export const CONNECT_LIMIT_MS = 10_000;

export function timeoutsOf(totalMs: number): Timeouts {
  return {
    connectMs: Math.min(CONNECT_LIMIT_MS, totalMs),
    headersMs: 0.8 * totalMs,
    firstContentMs: 0.9 * totalMs,
    totalMs,
  };
}

/**
 * [DONE] says that the answer is whole; the body's end should follow at once. A server that never closes loses its
 * connection after this, and its lane of a closed loop as much time.
 */
export const DONE_GRACE_MS = 250;

/** How long the body of an error answer is waited for: its status has said enough. */
export const ERROR_BODY_MS = 1_000;
