/**
 * Adapters on their way down: who wants which adapter off the device (host), out of memory (disk), or gone for good. What is
 * wanted is carried out between steps, once nobody uses the adapter; who asked is told when its memory is free.
 */
import type { Adapter, AdapterRegistry } from './registry.ts';

type Target = 'host' | 'disk' | 'gone';

interface Wish {
  to: Target;
  /** @param done false when it was used again, or asked for, meanwhile */
  settle(done: boolean): void;
}

export interface DepartureOptions {
  registry: AdapterRegistry;
  /** Takes it off the device and, for disk, out of host memory. */
  lower(adapter: Adapter, to: 'host' | 'disk'): void;
  /** Somebody has asked for it to be brought in. */
  asked(adapter: Adapter): boolean;
}

export class Departures {
  private readonly options: DepartureOptions;
  private readonly wishes = new Map<Adapter, Wish[]>();

  constructor(options: DepartureOptions) {
    this.options = options;
  }

  /**
   * Resolves when it is done: true; or false when somebody came to use it. `gone` waits for its users instead, and ends with
   * the registry knowing it no more.
   */
  want(adapter: Adapter, to: Target): Promise<boolean> {
    return new Promise((settle) => {
      this.wishes.set(adapter, [...(this.wishes.get(adapter) ?? []), { to, settle }]);
    });
  }

  /** Goes on with all of them, as far as nobody is in the way. */
  carryOut(): void {
    for (const [adapter, wishes] of this.wishes) {
      if (adapter.coming) continue; // when it is there
      const gone = wishes.some(({ to }) => to === 'gone');
      const wanted = adapter.users > 0 || (!gone && (adapter.pinned || this.options.asked(adapter)));
      if (wanted) this.keep(adapter, wishes);
      else this.lower(adapter, wishes);
    }
  }

  /** Tells all but those who wait for its end. */
  private keep(adapter: Adapter, wishes: readonly Wish[]): void {
    for (const { to, settle } of wishes) if (to !== 'gone') settle(false);
    const left = wishes.filter(({ to }) => to === 'gone');
    if (left.length > 0) this.wishes.set(adapter, left);
    else this.wishes.delete(adapter);
  }

  private lower(adapter: Adapter, wishes: readonly Wish[]): void {
    const gone = wishes.some(({ to }) => to === 'gone');
    this.options.lower(adapter, gone || wishes.some(({ to }) => to === 'disk') ? 'disk' : 'host');
    if (adapter.going) return; // a step in flight names its place
    this.wishes.delete(adapter);
    if (gone) this.options.registry.forget(adapter);
    for (const { settle } of wishes) settle(true);
  }
}
