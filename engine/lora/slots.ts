/**
 * Which places adapters have in device memory. A slot is an adapter's place; its weights lie in rank pages of 8, shared by a
 * number across the pools of all layers, so that memory follows the adapter's true rank. There are pages for every slot at
 * the largest rank, so whoever finds a free slot finds pages too.
 *
 * Who gets a slot, and when it may be given back, is residency.ts's business: it takes and gives places. add() and remove()
 * do that by name, for adapters that stay while somebody drives steps by hand.
 */
import type { ServedAdapter } from '../scheduler/sequence.ts';
import type { Place } from './place.ts';

export const RANKS_PER_PAGE = 8;

/** An adapter that is on the device and stays: for steps made by hand (warming up, known answers) and tests. */
export class ResidentAdapter implements Place, ServedAdapter {
  readonly name: string;
  readonly path: string;
  readonly slot: number;
  readonly rank: number;
  readonly scale: number;
  readonly pages: readonly number[];
  readonly hasColumns: boolean;
  readonly arrival = { at: 0, bytes: 0, nanoseconds: 0 };
  users = 0;
  inFlight = 0;
  private leaving: (() => void) | null = null;

  constructor(fields: {
    name: string;
    path: string;
    slot: number;
    rank: number;
    scale: number;
    pages: readonly number[];
    hasColumns?: boolean;
  }) {
    this.name = fields.name;
    this.path = fields.path;
    this.slot = fields.slot;
    this.rank = fields.rank;
    this.scale = fields.scale;
    this.pages = fields.pages;
    this.hasColumns = fields.hasColumns ?? false;
  }

  get place(): Place {
    return this;
  }

  release(): void {
    this.users--;
    if (this.users === 0) this.leaving?.();
  }

  /** Resolves when nobody uses it. */
  unused(): Promise<void> {
    if (this.users === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.leaving = resolve;
    });
  }
}

export class AdapterSlots {
  readonly slots: number;
  readonly pages: number;
  private readonly freeSlots: number[];
  private readonly freePages: number[];
  private readonly byName = new Map<string, ResidentAdapter>();

  constructor(slots: number, maxRank: number) {
    this.slots = slots;
    this.pages = pagesFor(slots, maxRank);
    this.freeSlots = Array.from({ length: slots }, (_, i) => slots - 1 - i);
    this.freePages = Array.from({ length: this.pages }, (_, i) => this.pages - 1 - i);
  }

  /** Slots that nobody has. */
  get free(): number {
    return this.freeSlots.length;
  }

  /** A slot and pages for this rank, or null when no slot is free. The caller fills them before they are used. */
  take(rank: number, scale: number, hasColumns: boolean): Place | null {
    const count = Math.ceil(rank / RANKS_PER_PAGE);
    const slot = this.freeSlots.at(-1);
    if (slot === undefined || count > this.freePages.length) return null;
    this.freeSlots.pop();
    const pages = this.freePages.splice(this.freePages.length - count, count);
    return { slot, rank, scale, pages, hasColumns };
  }

  /** To be called when no step that names the place is in flight. */
  give(place: Place): void {
    this.freeSlots.push(place.slot);
    this.freePages.push(...place.pages);
  }

  get(name: string): ResidentAdapter | undefined {
    return this.byName.get(name);
  }

  list(): ResidentAdapter[] {
    return [...this.byName.values()];
  }

  /** Takes a slot and pages, or null when no slot is free. The caller fills the pages before the adapter is used. */
  add(name: string, path: string, rank: number, scale: number, hasColumns = false): ResidentAdapter | null {
    const place = this.take(rank, scale, hasColumns);
    if (!place) return null;
    const adapter = new ResidentAdapter({ name, path, ...place });
    this.byName.set(name, adapter);
    return adapter;
  }

  /** Forbids new users at once; resolves when the last has left and its memory is free. False when there is none. */
  async remove(name: string): Promise<boolean> {
    const adapter = this.byName.get(name);
    if (!adapter) return false;
    this.byName.delete(name);
    await adapter.unused();
    this.give(adapter);
    return true;
  }
}

export const pagesFor = (slots: number, maxRank: number): number => slots * Math.ceil(maxRank / RANKS_PER_PAGE);
