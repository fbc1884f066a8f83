/**
 * Tells people how far long work has come: a line when 5 percent more is done, but not more than one a second, and one at the
 * end. In: what is done, as it is done. Out: lines through `report`.
 */
import { now } from '../clock.ts';

const SHARE_A_LINE = 0.05;
const NANOSECONDS_A_LINE = 1e9;

/** How amounts are told. Bytes are counted, MiB told. */
const UNITS = {
  bytes: (amount: number) => ({ amount: (amount / 2 ** 20).toFixed(1), name: 'MiB' }),
  layers: (amount: number) => ({ amount: String(amount), name: 'layers' }),
};

export class Progress {
  private readonly what: string;
  private readonly total: number;
  private readonly unit: keyof typeof UNITS;
  private readonly report: (line: string) => void;
  private readonly clock: () => number;
  private readonly began: number;
  private done = 0;
  private toldAt: number;
  private told = 0;

  /**
   * @param total that will be done
   * @param clock nanoseconds
   */
  constructor(
    what: string,
    total: number,
    unit: keyof typeof UNITS,
    report: (line: string) => void,
    clock: () => number = now,
  ) {
    this.what = what;
    this.total = total;
    this.unit = unit;
    this.report = report;
    this.clock = clock;
    this.began = clock();
    this.toldAt = this.began;
  }

  add(amount: number): void {
    this.done += amount;
    if (this.done - this.told < SHARE_A_LINE * this.total) return;
    const at = this.clock();
    if (at - this.toldAt < NANOSECONDS_A_LINE) return;
    this.toldAt = at;
    this.told = this.done;
    const percent = Math.floor((100 * this.done) / this.total);
    const { amount: total, name } = UNITS[this.unit](this.total);
    this.report(`${this.what}: ${UNITS[this.unit](this.done).amount} of ${total} ${name}, ${percent}%`);
  }

  end(): void {
    const seconds = (this.clock() - this.began) / 1e9;
    const { amount, name } = UNITS[this.unit](this.done);
    this.report(`${this.what}: ${amount} ${name} in ${seconds.toFixed(1)} s`);
  }
}
