/**
 * Host memory's adapters: packed images of files, at most so many, least recently used ones dropped first.
 *
 * An adapter on the device counts: it keeps its image, so that it can come back without its file, and dropping the image takes
 * it off the device too. What admitted sequences run on is read even where that passes the limit, and goes when nobody uses it
 * any more; synthetic adapters take no host memory and are not counted.
 */
import type { AdapterLoader, Reading } from './loader.ts';
import type { Adapter, AdapterRegistry } from './registry.ts';

/**
 * What may be dropped to make room: nothing; adapters that nobody uses; or also those that only waiting sequences name (for
 * an adapter that an admitted sequence needs, which is read whether there is room or not).
 */
export type RoomRight = 'free' | 'idle' | 'need';

export interface HostOptions {
  limit: number;
  registry: AdapterRegistry;
  loader: AdapterLoader;
  /** Takes an adapter off the device. */
  leave(adapter: Adapter): void;
  /** Somebody has asked for it to be brought in, so that it must stay where it is. */
  asked(adapter: Adapter): boolean;
  /** Admitted sequences run on it. */
  needed(adapter: Adapter): boolean;
  /** Its image is there, or could not be read: sequences that wait for it must be told why. */
  read(adapter: Adapter, problem: string | null): void;
}

export class HostCache {
  private readonly options: HostOptions;
  private readonly readings = new Map<Adapter, Reading>();
  /** There may be more images than the limit allows. */
  private unsure = false;

  constructor(options: HostOptions) {
    this.options = options;
  }

  /** Sees to it that the adapter's image is there or on its way. @returns false when there is no room for it */
  fetch(adapter: Adapter, urgency: 'request' | 'prefetch', right: RoomRight): boolean {
    if (adapter.inHost) return true;
    if (adapter.reading !== null) {
      if (urgency === 'request') this.readings.get(adapter)?.hurry();
      return true;
    }
    if (!this.makeRoom(right) && right !== 'need') return false;
    const { loader, registry } = this.options;
    const reading = loader.read(adapter.path, adapter.description.fingerprint, urgency);
    this.readings.set(adapter, reading);
    const done = () => {
      adapter.reading = null;
      this.readings.delete(adapter);
    };
    adapter.reading = reading.image.then(
      ({ image, nanoseconds }) => {
        done();
        adapter.image = image;
        // Read for nobody who waits, it is an adapter in host memory like any other.
        adapter.readNanoseconds = adapter.users > 0 || this.options.asked(adapter) ? nanoseconds : 0;
        this.unsure = true;
        registry.touch(adapter);
        registry.changed(adapter);
        this.options.read(adapter, null);
      },
      (error: Error) => {
        done();
        this.options.read(adapter, error.message);
        throw error;
      },
    );
    adapter.reading.catch(() => {}); // told to those who wait for it
    return true;
  }

  drop(adapter: Adapter): void {
    const { leave, registry } = this.options;
    if (adapter.place) leave(adapter);
    if (!adapter.image) return;
    adapter.image = null;
    adapter.readNanoseconds = 0;
    registry.changed(adapter);
  }

  /**
   * Drops what nobody uses while there are more than the limit allows, as there may be after many were in use at once.
   * @param idled somebody has ended since the last call
   */
  trim(idled: boolean): void {
    if (!this.unsure && !idled) return;
    this.unsure = !this.makeRoom('idle', this.options.limit + 1);
  }

  /** Drops what may be dropped until there are fewer than `limit`. */
  private makeRoom(right: RoomRight, limit = this.options.limit): boolean {
    const { registry } = this.options;
    const held = [...registry.all].filter((adapter) => adapter.image !== null);
    let count = held.length + this.readings.size;
    if (count < limit) return true;
    if (right === 'free') return false;
    const { asked, needed } = this.options;
    const inUse = (adapter: Adapter) => (right === 'need' ? needed(adapter) : adapter.users > 0);
    const droppable = held
      .filter((adapter) => !inUse(adapter) && !adapter.pinned && !adapter.coming && !asked(adapter))
      .sort((a, b) => Math.sign(a.users) - Math.sign(b.users) || a.lastUsed - b.lastUsed);
    for (const adapter of droppable) {
      if (count < limit) break;
      this.drop(adapter);
      count--;
    }
    return count < limit;
  }
}
