/**
 * The adapters there are: by name for requests, and all of them (those being loaded or unloaded too) for who gives out memory.
 *
 * An Adapter is one identity: loading another file under its name makes a new one, and sequences of the old one end on the
 * old weights. Lives in the device thread; what changes is collected for the main thread, which only shows it.
 */
import type { AdapterFormat, AdapterKind } from '../adapter-files/adapter.ts';
import type { AdapterInfo, Tier } from '../core.ts';
import type { ServedAdapter } from '../scheduler/sequence.ts';
import type { PackedAdapter } from './packed-adapter.ts';
import type { Place } from './place.ts';
import type { SyntheticSpec } from './synthetic.ts';

/** What is known of an adapter once its file is checked, or its spec is read. */
export interface AdapterDescription {
  kind: AdapterKind;
  format: AdapterFormat | 'synthetic';
  rank: number;
  /** Bytes it takes on the device. */
  bytes: number;
  /** Null for one from a file. */
  synthetic: SyntheticSpec | null;
  /** Says whether the file is still the one that was checked; empty for a synthetic one. */
  fingerprint: string;
}

export class Adapter implements ServedAdapter {
  readonly name: string;
  readonly path: string;
  readonly description: AdapterDescription;
  /** Packed weights in host memory. */
  image: PackedAdapter | null = null;
  /** Settles with the read in progress; null when there is none. */
  reading: Promise<void> | null = null;
  /** Time that reading `image` took, ns; 0 once it has been on the device since, or has been there with nobody waiting for it. */
  readNanoseconds = 0;
  place: Place | null = null;
  /** A place that is being filled. */
  coming: Place | null = null;
  /** A place that a step in flight may still name. */
  going: Place | null = null;
  arrival = { at: 0, bytes: 0, nanoseconds: 0 };
  /** Turn of the step loop at which it came to its place, and how many turns that upload took. */
  arrivedTurn = 0;
  uploadTurns = 0;
  pinned = false;
  users = 0;
  inFlight = 0;
  loads = 0;
  /** Of the registry's clock: higher is more recent. */
  lastUsed = 0;
  private readonly released: (adapter: Adapter) => void;

  constructor(name: string, path: string, description: AdapterDescription, released: (adapter: Adapter) => void) {
    this.name = name;
    this.path = path;
    this.description = description;
    this.released = released;
  }

  get tier(): Tier {
    if (this.place) return 'device';
    return this.inHost ? 'host' : 'disk';
  }

  /** Its weights can be had without its file. */
  get inHost(): boolean {
    return this.image !== null || this.description.synthetic !== null;
  }

  /** It could be put into a free slot now. */
  get uploadable(): boolean {
    return this.inHost && !this.place && !this.coming && !this.going;
  }

  release(): void {
    this.users--;
    this.released(this);
  }

  get info(): AdapterInfo {
    const { name, path, tier, pinned, users, loads } = this;
    const { kind, format, rank, bytes } = this.description;
    return { name, path, kind, format, rank, bytes, tier, pinned, users, loads };
  }
}

export interface AdapterChanges {
  changed: AdapterInfo[];
  /** Names that mean nothing any more. */
  removed: string[];
}

export class AdapterRegistry {
  /** Every adapter that may hold memory. */
  readonly all = new Set<Adapter>();
  /** Those whose last sequence has ended; whoever acts on that takes them out. */
  readonly idled = new Set<Adapter>();
  private readonly named = new Map<string, Adapter>();
  private readonly changedNames = new Set<string>();
  private clock = 0;

  /** A new adapter, which no request can name yet. */
  add(name: string, path: string, description: AdapterDescription): Adapter {
    const adapter = new Adapter(name, path, description, (one) => {
      this.touch(one);
      if (one.users === 0) this.idled.add(one);
    });
    this.touch(adapter);
    this.all.add(adapter);
    return adapter;
  }

  /** Lets requests name it. @returns the adapter that had the name */
  publish(adapter: Adapter): Adapter | null {
    const before = this.named.get(adapter.name) ?? null;
    this.named.set(adapter.name, adapter);
    this.changedNames.add(adapter.name);
    return before;
  }

  get(name: string): Adapter | undefined {
    return this.named.get(name);
  }

  /** Forbids new users. */
  unpublish(name: string): void {
    this.named.delete(name);
    this.changedNames.add(name);
  }

  /** To be called when it holds no memory any more. */
  forget(adapter: Adapter): void {
    this.all.delete(adapter);
    this.idled.delete(adapter);
  }

  /** It was used just now. */
  touch(adapter: Adapter): void {
    adapter.lastUsed = ++this.clock;
  }

  /** Something that AdapterInfo shows has changed. */
  changed(adapter: Adapter): void {
    if (this.named.get(adapter.name) === adapter) this.changedNames.add(adapter.name);
  }

  /** Published adapters in each tier. */
  tiers(): Record<Tier, number> {
    const counts = { device: 0, host: 0, disk: 0 };
    for (const { tier } of this.named.values()) counts[tier]++;
    return counts;
  }

  /** What has changed since the last call; null when nothing has. */
  takeChanges(): AdapterChanges | null {
    if (this.changedNames.size === 0) return null;
    const changes: AdapterChanges = { changed: [], removed: [] };
    for (const name of this.changedNames) {
      const adapter = this.named.get(name);
      if (adapter) changes.changed.push(adapter.info);
      else changes.removed.push(name);
    }
    this.changedNames.clear();
    return changes;
  }
}
