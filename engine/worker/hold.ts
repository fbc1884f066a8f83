/**
 * Keeps requests waiting until all of a set are there, and then lets them in in the order they ask for, so that what runs does
 * not depend on when each arrived. A hold ends by itself after the time it was asked for: whoever asked may have died.
 */
import type { HoldError } from '../core.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';

export class Hold {
  private readonly scheduler: Pick<Scheduler, 'hold' | 'letIn'>;
  private readonly wake: () => void;
  private timer: NodeJS.Timeout | null = null;
  private asked = 0;
  private overran = false;

  constructor(scheduler: Pick<Scheduler, 'hold' | 'letIn'>, wake: () => void) {
    this.scheduler = scheduler;
    this.wake = wake;
  }

  get held(): boolean {
    return this.timer !== null;
  }

  /** The last hold was not released: its time was over. */
  get expired(): boolean {
    return this.overran;
  }

  begin(milliseconds: number): HoldError | null {
    if (this.held) {
      return { code: 'held', message: `requests are held already, for ${this.asked / 1000} s at most; release first` };
    }
    this.asked = milliseconds;
    this.overran = false;
    this.scheduler.hold();
    this.timer = setTimeout(() => {
      this.overran = true;
      this.end();
    }, milliseconds);
    return null;
  }

  /** @returns how many requests were let in */
  release(): number | HoldError {
    if (this.held) return this.end();
    const why = this.overran ? `the hold ended by itself after the ${this.asked / 1000} s it was asked for` : null;
    return { code: 'not_held', message: why ?? 'requests are not held' };
  }

  private end(): number {
    clearTimeout(this.timer ?? undefined);
    this.timer = null;
    const released = this.scheduler.letIn();
    this.wake();
    return released;
  }
}
