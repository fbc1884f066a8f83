/**
 * --inject-delay, as it is given and as it is told: a server made slower by a known amount, so that whatever judges latency
 * can be tried on it. Here it is read, told and reckoned; http/delay-line.ts carries it out.
 */

/** What is added to a time: a share of itself, and so many nanoseconds. One of them is 0. */
export interface Delay {
  /** As it was given: "8%", "20ms". */
  text: string;
  share: number;
  nanoseconds: number;
}

export interface InjectDelay {
  /** To the time from a request's arrival to its first token. */
  ttft: Delay | null;
  /** To the time between two tokens. */
  itl: Delay | null;
}

const NANOSECONDS_OF: Readonly<Record<string, number>> = { us: 1e3, ms: 1e6, s: 1e9 };

/** @returns null where none was given; a sentence where one is not accepted */
export function parseInjectDelay(values: readonly string[]): InjectDelay | null | string {
  const delays: InjectDelay = { ttft: null, itl: null };
  for (const value of values) {
    const match = /^(ttft|itl)=(\d+(?:\.\d+)?)(%|us|ms|s)$/.exec(value);
    if (!match) return `"${value}" is not a delay; expected ttft=8%, itl=8%, or a time such as ttft=20ms or itl=2ms`;
    const [, metric, number, unit] = match as unknown as [string, keyof InjectDelay, string, string];
    if (delays[metric] !== null) return `${metric} is given twice`;
    const share = unit === '%' ? Number(number) / 100 : 0;
    const nanoseconds = unit === '%' ? 0 : Number(number) * NANOSECONDS_OF[unit]!;
    delays[metric] = { text: `${number}${unit}`, share, nanoseconds };
  }
  return values.length === 0 ? null : delays;
}

/**
 * When a stream's tokens are to be handed on, in ns. Reckoned from when they truly came, never from when the one before was in
 * fact handed on: what timers are late by does not add up.
 */
export class DueTimes {
  private readonly delays: InjectDelay;
  private readonly read: number;
  private came: number | null = null;
  private due = 0;

  /** @param read when the request had come: its first token's time is reckoned from there */
  constructor(delays: InjectDelay, read: number) {
    this.delays = delays;
    this.read = read;
  }

  /** @param came when so many tokens came: later than those before */
  next(came: number, tokens: number): number {
    const { ttft, itl } = this.delays;
    if (this.came === null) this.due = came + later(ttft, came - this.read, 1);
    else this.due += came - this.came + later(itl, came - this.came, tokens);
    this.came = came;
    return this.due;
  }
}

const later = (delay: Delay | null, time: number, times: number): number =>
  delay === null ? 0 : delay.share * time + delay.nanoseconds * times;

/** As the ready line and /version tell it: {"ttft": "8%", "itl": null}. */
export const told = (delays: InjectDelay | null): { ttft: string | null; itl: string | null } | null =>
  delays && { ttft: delays.ttft?.text ?? null, itl: delays.itl?.text ?? null };
