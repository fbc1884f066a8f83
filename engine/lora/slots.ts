/**
 * Which adapters are in device memory. A slot is an adapter's place; its weights lie in rank pages of 8, shared by a number
 * across the pools of all layers, so that memory follows the adapter's true rank.
 *
 * An adapter is let go in two moves: remove() forbids new users, and its slot and pages come free when the last has left.
 */
export const RANKS_PER_PAGE = 8;

export class ResidentAdapter {
  readonly name: string;
  readonly path: string;
  readonly slot: number;
  readonly rank: number;
  readonly scale: number;
  readonly pages: readonly number[];
  users = 0;
  private leaving: (() => void) | null = null;

  constructor(fields: { name: string; path: string; slot: number; rank: number; scale: number; pages: number[] }) {
    this.name = fields.name;
    this.path = fields.path;
    this.slot = fields.slot;
    this.rank = fields.rank;
    this.scale = fields.scale;
    this.pages = fields.pages;
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

  get(name: string): ResidentAdapter | undefined {
    return this.byName.get(name);
  }

  list(): ResidentAdapter[] {
    return [...this.byName.values()];
  }

  /** Takes a slot and pages, or null when no slot is free. The caller fills the pages before the adapter is used. */
  add(name: string, path: string, rank: number, scale: number): ResidentAdapter | null {
    const count = Math.ceil(rank / RANKS_PER_PAGE);
    const slot = this.freeSlots.at(-1);
    if (slot === undefined || count > this.freePages.length) return null;
    this.freeSlots.pop();
    const pages = this.freePages.splice(this.freePages.length - count, count);
    const adapter = new ResidentAdapter({ name, path, slot, rank, scale, pages });
    this.byName.set(name, adapter);
    return adapter;
  }

  /** Forbids new users at once; resolves when the last has left and its memory is free. False when there is none. */
  async remove(name: string): Promise<boolean> {
    const adapter = this.byName.get(name);
    if (!adapter) return false;
    this.byName.delete(name);
    await adapter.unused();
    this.freeSlots.push(adapter.slot);
    this.freePages.push(...adapter.pages);
    return true;
  }
}

export const pagesFor = (slots: number, maxRank: number): number => slots * Math.ceil(maxRank / RANKS_PER_PAGE);
