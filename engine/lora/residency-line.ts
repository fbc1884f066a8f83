/**
 * Who is to have a slot, and who has to give one up: the policy alone, on what admitted and waiting sequences want.
 *
 * The line is first come, first served: an adapter joins it when an admitted sequence wants rows (or somebody pins it) and it
 * is not on the device, and again at its end after it has given up its slot. residency.ts states the bound that follows.
 */
import type { Sequence } from '../scheduler/sequence.ts';
import { Adapter } from './registry.ts';

/** Turns that an adapter in use keeps its slot at least: this many, and so many times what its own upload took. */
export const QUANTUM_TURNS = 16;
export const QUANTUM_UPLOADS = 4;

/** Turns of the step loop that an adapter keeps its slot while its sequences want it and others wait. */
export const quantumOf = (adapter: Adapter): number => Math.max(QUANTUM_TURNS, QUANTUM_UPLOADS * adapter.uploadTurns);

/** What the scheduler holds, in its order. */
export interface Demand {
  readonly admitted: Iterable<Sequence>;
  readonly queued: Iterable<Sequence>;
}

export class Line {
  /** Adapters that need a slot and have none, by how long they have waited. */
  private readonly waiting = new Set<Adapter>();
  private needed = new Set<Adapter>();
  private admittedOnes = new Set<Adapter>();
  /** Adapters of sequences that wait to be admitted, the next one first. */
  private comingUp = new Set<Adapter>();

  /** Looks at what is wanted now. `asked`: adapters that somebody has a right to see on the device, as a pin gives. */
  see({ admitted, queued }: Demand, asked: Iterable<Adapter>): void {
    this.needed = new Set();
    this.admittedOnes = new Set();
    for (const { adapter, wantsRows } of admitted) {
      if (!(adapter instanceof Adapter)) continue;
      this.admittedOnes.add(adapter);
      if (wantsRows) this.needed.add(adapter);
    }
    for (const adapter of asked) this.needed.add(adapter);
    this.comingUp = new Set();
    for (const { adapter } of queued) if (adapter instanceof Adapter) this.comingUp.add(adapter);
    for (const adapter of this.waiting)
      if (!this.needed.has(adapter) || onDevice(adapter)) this.waiting.delete(adapter);
    for (const adapter of this.needed) if (!onDevice(adapter)) this.waiting.add(adapter);
  }

  /** Adapters that need a slot, the one that has waited longest first. */
  get order(): Iterable<Adapter> {
    return this.waiting;
  }

  /** Adapters of waiting sequences, the next to be admitted first. */
  get next(): Iterable<Adapter> {
    return this.comingUp;
  }

  has(adapter: Adapter): boolean {
    return this.waiting.has(adapter);
  }

  /** An admitted sequence names it. */
  isAdmitted(adapter: Adapter): boolean {
    return this.admittedOnes.has(adapter);
  }

  /** Its sequences want rows, so that taking its slot makes them pause. */
  isNeeded(adapter: Adapter): boolean {
    return this.needed.has(adapter);
  }

  /**
   * The adapter on the device that gives up its slot for one in the line, or null when nobody has to yet: nobody's, least
   * recently used first; then one that is not wanted now, the latest to be; then the one that has had its slot longest, once
   * its quantum is over.
   * @param pinsHold false when every slot is pinned: who is in the line then has lost its own pin to an adapter that replaced
   *   it, and could not end if the pinned ones, where they alone are there, did not take turns with it
   */
  victim(adapters: Iterable<Adapter>, turn: number, pinsHold: boolean): Adapter | null {
    const placed = [...adapters].filter((adapter) => adapter.place !== null);
    const free = placed.filter(({ pinned }) => !pinned);
    const there = free.length > 0 || pinsHold ? free : placed;
    const idle = idleVictim(there);
    if (idle) return idle;
    const rank = new Map([...this.comingUp].map((adapter, i) => [adapter, i]));
    const whenWanted = (adapter: Adapter) => rank.get(adapter) ?? Number.POSITIVE_INFINITY;
    const unwanted = least(
      there.filter((adapter) => !this.needed.has(adapter)),
      (adapter) => -whenWanted(adapter),
    );
    if (unwanted) return unwanted;
    const over = there.filter((adapter) => turn - adapter.arrivedTurn >= quantumOf(adapter));
    return least(over, ({ arrivedTurn }) => arrivedTurn);
  }
}

/** The one on the device that nobody uses, least recently used first. */
export const idleVictim = (adapters: Iterable<Adapter>): Adapter | null =>
  least(
    [...adapters].filter(({ place, users }) => place !== null && users === 0),
    ({ lastUsed }) => lastUsed,
  );

const onDevice = ({ place, coming }: Adapter): boolean => place !== null || coming !== null;

function least(adapters: readonly Adapter[], of: (adapter: Adapter) => number): Adapter | null {
  let best: Adapter | null = null;
  for (const adapter of adapters) if (!best || of(adapter) < of(best)) best = adapter;
  return best;
}
