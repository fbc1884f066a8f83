/**
 * Hands tokens on later than they came, by --inject-delay's amounts (inject-delay.ts), each at its time to well below a
 * millisecond and without holding up anything else.
 *
 * A stream's tokens keep their order. An error is told at once, behind the tokens that had come before it.
 */
import { now } from '../clock.ts';
import type { SequenceListener, SequenceTimings } from '../core.ts';
import { DueTimes, type InjectDelay } from '../inject-delay.ts';

/** Timers fire within a millisecond or so; the rest of a wait is spent between turns of the event loop. */
const TURNS_MS = 1.5;

interface Due {
  at: number;
  hand: () => void;
}

export class DelayLine {
  private readonly delays: InjectDelay;
  /** By time; of equal times, the one that was put in first. */
  private readonly queue: Due[] = [];
  private timer: NodeJS.Timeout | null = null;
  private turning = false;

  constructor(delays: InjectDelay) {
    this.delays = delays;
  }

  /** @param read when the request had come, ns: its first token's time is reckoned from there */
  listener(to: SequenceListener, read: number): DelayedListener {
    return new DelayedListener(to, new DueTimes(this.delays, read), this);
  }

  put(due: Due): void {
    const place = this.queue.findLastIndex(({ at }) => at <= due.at) + 1;
    this.queue.splice(place, 0, due);
    if (place === 0) this.wait();
  }

  take(due: Due): void {
    const place = this.queue.indexOf(due);
    if (place >= 0) this.queue.splice(place, 1);
  }

  private wait(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const [first] = this.queue;
    if (!first || this.turning) return;
    const milliseconds = (first.at - now()) / 1e6;
    if (milliseconds > TURNS_MS) {
      this.timer = setTimeout(() => this.turn(), Math.floor(milliseconds - TURNS_MS) + 1);
      return;
    }
    this.turning = true;
    setImmediate(() => {
      this.turning = false;
      this.turn();
    });
  }

  private turn(): void {
    const at = now();
    while (this.queue[0] && this.queue[0].at <= at) this.queue.shift()!.hand();
    this.wait();
  }
}

export class DelayedListener implements SequenceListener {
  private readonly to: SequenceListener;
  private readonly times: DueTimes;
  private readonly line: DelayLine;
  private readonly pending: Due[] = [];

  constructor(to: SequenceListener, times: DueTimes, line: DelayLine) {
    this.to = to;
    this.times = times;
    this.line = line;
  }

  onTokens(ids: number[], finish: 'length' | 'stop' | null, timings: SequenceTimings): void {
    const at = now();
    const due: Due = {
      at: this.times.next(at, ids.length),
      hand: () => {
        this.pending.shift();
        this.to.onTokens(ids, finish, timings);
      },
    };
    this.pending.push(due);
    if (this.pending.length === 1 && due.at <= at) due.hand();
    else this.line.put(due);
  }

  onError(error: Parameters<SequenceListener['onError']>[0]): void {
    for (const due of [...this.pending]) {
      this.line.take(due);
      due.hand();
    }
    this.to.onError(error);
  }

  /** Nobody wants what is still to come. */
  drop(): void {
    for (const due of this.pending.splice(0)) this.line.take(due);
  }
}
