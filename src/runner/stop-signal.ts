/**
 * Ends a run early: the user stopped everything, the server died, or the disk is full. In: those three. Out: one signal
 * that cuts what is in flight, and why; the first reason counts.
 */
import { setMaxListeners } from 'node:events';

type Why = 'interrupted' | 'died' | 'disk_full';

export class StopSignal {
  readonly #cut = new AbortController();
  readonly #interrupt: AbortSignal;
  #released = false;
  why: Why | null = null;

  constructor(interrupt: AbortSignal, died: Promise<string>, full: Promise<void>) {
    setMaxListeners(0, this.#cut.signal); // every request in flight and every lane listens
    this.#interrupt = interrupt;
    if (interrupt.aborted) this.#stop('interrupted');
    interrupt.addEventListener('abort', this.#onInterrupt, { once: true });
    void died.then(() => this.#stop('died'));
    void full.then(() => this.#stop('disk_full'));
  }

  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  /** Waits for a step on the way to a run, but not when the run is to end: what the step does then matters to nobody. */
  async orStopped(step: Promise<void>): Promise<void> {
    let onAbort: () => void = () => {};
    const stopped = new Promise<void>((resolve) => {
      onAbort = resolve;
    });
    this.signal.addEventListener('abort', onAbort, { once: true });
    if (this.signal.aborted) onAbort();
    try {
      await Promise.race([step, stopped]);
    } finally {
      this.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Cuts what is in flight without ending the run early: a drain that is over. */
  cut(): void {
    this.#cut.abort();
  }

  release(): void {
    this.#released = true;
    this.#interrupt.removeEventListener('abort', this.#onInterrupt);
  }

  #onInterrupt = (): void => this.#stop('interrupted');

  #stop(why: Why): void {
    if (this.#released) return;
    this.why ??= why;
    this.#cut.abort();
  }
}
