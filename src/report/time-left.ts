/**
 * How long a plan still takes, from what was measured so far.
 *
 * Progress events' facts in, milliseconds out; null while nothing is known. Open loops and runs that end by time say it
 * themselves. A closed loop goes at the pace of the run in progress; one still to come at that of its own cell, else of
 * the cell whose concurrency is nearest, else at the plan's estimate.
 */
import type { Cell, Plan } from '../plan/plan.ts';

interface Current {
  cell: Cell;
  startedAt: number;
  /** When the first request counted, after warm-up. */
  measuringSince: number;
  ended: number;
  inFlight: number;
}

export class TimeLeft {
  readonly #plan: Plan;
  readonly #cells: Map<string, Cell>;
  /** Runs of each cell that are still to come, the one in progress not among them. */
  readonly #toCome = new Map<string, number>();
  /** Wall time of a whole run by requests it measured, latest first to be asked. */
  readonly #pace = new Map<string, number>();
  #current: Current | null = null;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#cells = new Map(plan.cells.map((cell) => [cell.id, cell]));
    for (const run of plan.runs) this.#toCome.set(run.cell, (this.#toCome.get(run.cell) ?? 0) + 1);
  }

  /** `now` here and below: milliseconds of any clock that only goes forward. */
  runStarted(cell: Cell, now: number): void {
    // A second attempt at a run that died is not one more of the plan's.
    if (this.#current?.cell.id !== cell.id) {
      this.#toCome.set(cell.id, Math.max(0, (this.#toCome.get(cell.id) ?? 0) - 1));
    }
    this.#current = { cell, startedAt: now, measuringSince: now, ended: 0, inFlight: 0 };
  }

  warmedUp(now: number): void {
    if (this.#current !== null) this.#current.measuringSince = now;
  }

  requestEnded(ended: number, inFlight: number): void {
    if (this.#current === null) return;
    this.#current.ended = ended;
    this.#current.inFlight = inFlight;
  }

  runEnded(now: number): void {
    if (this.#current === null) return;
    const { cell, startedAt, ended } = this.#current;
    if (ended > 0) this.#pace.set(cell.id, (now - startedAt) / ended);
    this.#current = null;
  }

  ms(now: number): number | null {
    let sum = this.#current === null ? 0 : this.#restOfCurrent(this.#current, now);
    for (const [id, runs] of this.#toCome) {
      const cell = this.#cells.get(id);
      if (runs === 0 || cell === undefined || sum === null) continue;
      const each = this.#expected(cell);
      sum = each === null ? null : sum + runs * each;
    }
    return sum;
  }

  #restOfCurrent(current: Current, now: number): number | null {
    const { cell, startedAt, measuringSince, ended, inFlight } = current;
    // A request in flight is half done on average; without it the first ones would look as slow as all of them.
    const done = ended + inFlight / 2;
    if ('requests' in cell.measure && cell.load.kind === 'closed' && ended > 0) {
      return ((now - measuringSince) / done) * Math.max(0, cell.measure.requests - done);
    }
    const expected = this.#expected(cell);
    return expected === null ? null : Math.max(0, expected - (now - startedAt));
  }

  #expected(cell: Cell): number | null {
    if ('durationMs' in cell.measure) return cell.measure.durationMs;
    if (cell.load.kind === 'open') return (cell.measure.requests / cell.load.rate) * 1000;
    const pace = this.#paceOf(cell);
    return pace === null ? null : pace * cell.measure.requests;
  }

  /** Milliseconds a request. */
  #paceOf(cell: Cell): number | null {
    const own = this.#pace.get(cell.id);
    if (own !== undefined) return own;
    const wanted = concurrencyOf(cell);
    let nearest: { distance: number; pace: number } | null = null;
    for (const [id, pace] of this.#pace) {
      const other = this.#cells.get(id);
      if (other === undefined || other.at.model !== cell.at.model) continue;
      const distance = Math.abs(Math.log(concurrencyOf(other) / wanted));
      // On a tie the later one: it is more like what is to come.
      if (nearest === null || distance <= nearest.distance) nearest = { distance, pace };
    }
    if (nearest !== null) return nearest.pace;
    const { seconds, requests } = this.#plan.estimate;
    return seconds === null || requests === 0 ? null : (seconds * 1000) / requests;
  }
}

const concurrencyOf = (cell: Cell): number => (cell.load.kind === 'closed' ? cell.load.concurrency : 1);
