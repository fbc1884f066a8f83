/**
 * Which adapters are on the device, in host memory, or in their files only: brings in what sequences want, and decides who
 * makes way. Called once a turn of the step loop, between steps; nothing here waits, so no step is held up.
 *
 * Reading starts when a request comes (residency-host.ts), and an adapter takes part in what follows once its image is in host
 * memory: a slot never waits for a disk. Adapters that admitted sequences need and that are not on the device stand in a line,
 * first come, first served (residency-line.ts). One upload runs at a time, in slices of some bytes a turn, so that the slots
 * of the others keep working and their tokens keep coming. When no slot is free or idle, the adapter that has had its slot
 * longest gives it up once its quantum is over; its sequences keep their KV, and it goes to the end of the line.
 *
 * Bound. With S slots that are not pinned, an upload of at most U turns, and a quantum Q = max(16, 4 U), the adapter at
 * position p in the line is on the device after at most
 *
 *   ceil(p / S) * (Q + S * E) + E   turns,   E = U + 1: drain the slot, then upload,
 *
 * because any Q + S * E turns in which somebody waits bring in S adapters. Take the last S * E of them. Either an upload or a
 * drain runs in each, and then S of them end; or in one of them none runs though somebody waits, so every slot is in its
 * quantum: all S were filled within the Q turns before. The last E is an upload for a prefetch that may be under way when the
 * adapter joins. p counts adapters, not requests: it is at most the number of distinct adapters that are needed. Swapping
 * takes a slot's time at a share of at most E / (Q + E), about one part in four.
 */

import type { Tier } from '../core.ts';
import { AdapterFileError, type AdapterLoader } from './loader.ts';
import type { Adapter, AdapterRegistry } from './registry.ts';
import { Departures } from './residency-departures.ts';
import { type AdapterDevice, DevicePlaces } from './residency-device.ts';
import { HostCache } from './residency-host.ts';
import { type Demand, idleVictim, Line } from './residency-line.ts';
import type { AdapterSlots } from './slots.ts';

/**
 * Bytes queued for the device in a turn while steps run: about a millisecond of copying on a host that copies 8 GB/s, so that
 * tokens of others come at most that much later.
 */
const UPLOAD_BYTES_A_TURN = 8 * 2 ** 20;
/** The same when nothing else runs: as much as may be staged at once before the device is waited for. */
const UPLOAD_BYTES_IDLE = 64 * 2 ** 20;

export interface ResidencyOptions {
  slots: AdapterSlots;
  maxCpuLoras: number;
  registry: AdapterRegistry;
  device: AdapterDevice;
  loader: AdapterLoader;
  /** Its file could not be read: its sequences must end, and be told why. */
  failed(adapter: Adapter, why: string): void;
  /** Something can go on that could not before; the loop should turn. */
  wake(): void;
  /** By default UPLOAD_BYTES_A_TURN. */
  uploadBytesATurn?: number;
}

/** How far a wish to have an adapter on the device goes: into a free slot, or an idle one's, or a place in the line. */
export type DeviceRight = 'free' | 'idle' | 'need';
interface Ask {
  right: DeviceRight;
  /** @param there false when no room could be had */
  settle(there: boolean): void;
  fail(error: AdapterFileError): void;
}

export class Residency {
  private readonly options: ResidencyOptions;
  private readonly places: DevicePlaces;
  private readonly host: HostCache;
  private readonly line = new Line();
  private readonly asks = new Map<Adapter, Ask[]>();
  private readonly departures: Departures;
  /** Gets the next slot that comes free: another is draining for it. */
  private chosen: Adapter | null = null;
  private turns = 0;
  private idleTier: Tier = 'device';

  constructor(options: ResidencyOptions) {
    const { slots, maxCpuLoras, registry, device, loader } = options;
    this.options = options;
    this.places = new DevicePlaces(slots, device, registry, {
      arrived: () => options.wake(),
      failed: (adapter, why) => this.failed(adapter, why),
    });
    this.host = new HostCache({
      limit: maxCpuLoras,
      registry,
      loader,
      leave: (adapter) => this.places.leave(adapter),
      asked: (adapter) => this.asks.has(adapter),
      needed: (adapter) => this.line.isAdmitted(adapter),
      read: (adapter, problem) => {
        if (problem === null) options.wake();
        else this.failed(adapter, problem);
      },
    });
    this.departures = new Departures({
      registry,
      lower: (adapter, to) => this.lower(adapter, to),
      asked: (adapter) => this.asks.has(adapter),
    });
  }

  get counted(): DevicePlaces['counted'] {
    return this.places.counted;
  }

  /** Why no sequence of this adapter could ever run, or null. */
  refusal(adapter: Adapter): string | null {
    if (adapter.pinned || this.pinned().length < this.places.slotCount) return null;
    return `all ${this.places.slotCount} slots (--max-gpu-loras) hold pinned adapters: ${names(this.pinned())}; unpin one first`;
  }

  /**
   * One turn of the step loop, before its step is planned.
   * @param running steps are under way or can be planned, which an upload must not hold up
   */
  turn(demand: Demand, running: boolean): void {
    this.turns++;
    this.places.releaseDrained();
    this.line.see(demand, this.asked('need'));
    this.depart();
    this.readAhead();
    let left = running ? (this.options.uploadBytesATurn ?? UPLOAD_BYTES_A_TURN) : 0;
    do left -= this.places.pump(left, this.turns);
    while (!this.places.busy && this.choose() && left > 0);
    this.settleAsks();
  }

  /** Goes on with the upload under way when nothing else runs. @returns false when there is none */
  async catchUp(): Promise<boolean> {
    if (!this.places.busy) return false;
    await this.places.pumpAndWait(UPLOAD_BYTES_IDLE, this.turns);
    return true;
  }

  /**
   * Brings an adapter to host memory, or to the device, as far as `right` goes.
   * @returns false when there was no room for it
   * @throws AdapterFileError when its file cannot be read
   */
  async bring(adapter: Adapter, to: 'host' | 'device', right: DeviceRight): Promise<boolean> {
    if (adapter.place) return true;
    if (!this.host.fetch(adapter, 'prefetch', right)) return false;
    if (to === 'host') {
      await adapter.reading;
      return true;
    }
    // Asked from now on, so that it is not dropped between its read and its upload.
    const there = new Promise<boolean>((settle, fail) => {
      this.asks.set(adapter, [...(this.asks.get(adapter) ?? []), { right, settle, fail }]);
    });
    this.options.wake();
    return there;
  }

  /**
   * Brings it to the device, in line with what sequences need, and keeps it there.
   * @returns why it cannot be pinned, or null
   * @throws AdapterFileError when its file cannot be read
   */
  async pin(adapter: Adapter): Promise<string | null> {
    const problem = this.refusal(adapter) ?? this.starved(adapter);
    if (problem !== null) return problem;
    if (!adapter.pinned) this.setPinned(adapter, true);
    try {
      if (await this.bring(adapter, 'device', 'need')) return null;
    } catch (error) {
      this.setPinned(adapter, false);
      throw error;
    }
    return 'it was unloaded meanwhile';
  }

  /** Whose sequences would wait for ever if this adapter were pinned, as a sentence; null when nobody's. */
  private starved(adapter: Adapter): string | null {
    if (adapter.pinned || this.pinned().length + 1 < this.places.slotCount) return null;
    const starved = [...this.options.registry.all].filter((one) => one.users > 0 && !one.pinned && one !== adapter);
    return starved.length === 0 ? null : `pinning it would leave no slot for adapters in use: ${names(starved)}`;
  }

  setPinned(adapter: Adapter, pinned: boolean): void {
    adapter.pinned = pinned;
    this.options.registry.changed(adapter);
    this.options.wake();
  }

  /** Moves an adapter that nobody uses down to a tier. @returns false when somebody came to use it */
  async evict(adapter: Adapter, to: 'host' | 'disk'): Promise<boolean> {
    await adapter.reading?.catch(() => {}); // what is on its way in goes out again
    return this.departed(adapter, to);
  }

  /** Takes it out of all memory once its last sequence has ended; resolves then. New sequences must not name it any more. */
  async retire(adapter: Adapter): Promise<void> {
    this.setPinned(adapter, false);
    this.settle(adapter, false);
    await adapter.reading?.catch(() => {});
    await this.departed(adapter, 'gone');
  }

  /** Where adapters go when their last sequence ends; those that are idle go there now. Resolves when they have. */
  async setIdleTier(tier: Tier): Promise<void> {
    this.idleTier = tier;
    if (tier === 'device') return;
    const idle = [...this.options.registry.all].filter(({ users, pinned }) => users === 0 && !pinned);
    await Promise.all(idle.map((adapter) => this.evict(adapter, tier)));
  }

  /** It cannot be read, or what was read cannot be served: tells everybody who waits for it. */
  private failed(adapter: Adapter, why: string): void {
    const wishes = this.asks.get(adapter) ?? [];
    this.asks.delete(adapter);
    for (const { fail } of wishes) fail(new AdapterFileError('bad_file', why));
    this.options.failed(adapter, why);
    this.options.registry.changed(adapter);
    this.options.wake();
  }

  private pinned(): Adapter[] {
    return [...this.options.registry.all].filter(({ pinned }) => pinned);
  }

  private departed(adapter: Adapter, to: 'host' | 'disk' | 'gone'): Promise<boolean> {
    const departed = this.departures.want(adapter, to);
    this.options.wake();
    return departed;
  }

  /** Carries out the idle tier for those whose last sequence has ended, and what evict() and retire() want. */
  private depart(): void {
    const { registry } = this.options;
    this.host.trim(registry.idled.size > 0);
    for (const adapter of registry.idled) {
      if (adapter.users === 0 && !this.asks.has(adapter)) {
        if (adapter.coming || adapter.reading) continue; // when it is there
        adapter.readNanoseconds = 0; // whoever comes next finds it in host memory
        if (this.idleTier !== 'device' && !adapter.pinned) this.lower(adapter, this.idleTier);
      }
      registry.idled.delete(adapter);
    }
    this.departures.carryOut();
  }

  private lower(adapter: Adapter, to: 'host' | 'disk'): void {
    this.places.leave(adapter);
    if (to === 'disk') this.host.drop(adapter);
  }

  /** Has read what is needed, and what will be as far as there is room. */
  private readAhead(): void {
    for (const adapter of this.line.order) this.host.fetch(adapter, 'request', 'need');
    for (const adapter of this.line.next) if (!this.host.fetch(adapter, 'request', 'idle')) return;
  }

  /** Gives a slot to the adapter whose turn it is. @returns whether an upload has begun */
  private choose(): boolean {
    const { places, line, options } = this;
    const { all } = options.registry;
    const { chosen } = this;
    // Nobody wants it any more, or its image had to make room for one that is needed.
    const wanted = chosen && (line.has(chosen) || this.asks.has(chosen) || chosen.users > 0);
    if (!wanted || !chosen.inHost) this.chosen = null;
    if (this.chosen) return this.place(this.chosen, null);
    for (const adapter of line.order) {
      if (!adapter.uploadable) continue;
      const victim = places.free > 0 ? null : line.victim(all, this.turns, this.pinned().length < places.slotCount);
      return places.free > 0 || victim !== null ? this.place(adapter, victim) : false;
    }
    // Nobody who needs one could use a slot now: those who have a right to one, and those who will need one.
    for (const adapter of all) {
      if (adapter.pinned && adapter.uploadable && this.canPlace('idle')) return this.place(adapter, this.idleVictim());
    }
    for (const adapter of line.next) {
      if (adapter.uploadable && this.canPlace('idle')) return this.place(adapter, this.idleVictim());
    }
    for (const [adapter, wishes] of this.asks) {
      const right = wishes.some((wish) => wish.right === 'idle') ? 'idle' : 'free';
      if (adapter.uploadable && this.canPlace(right)) return this.place(adapter, this.idleVictim());
    }
    return false;
  }

  /** Puts it into a free slot, or has the victim leave for it. */
  private place(adapter: Adapter, victim: Adapter | null): boolean {
    const { places } = this;
    if (victim && places.free === 0) {
      if (this.line.isNeeded(victim)) places.counted.swaps++;
      places.leave(victim);
    }
    // One that is still draining from its own last place waits for that as well.
    if (places.free === 0 || !adapter.uploadable) {
      this.chosen = adapter;
      return false;
    }
    this.chosen = null;
    places.begin(adapter);
    return true;
  }

  private canPlace(right: 'free' | 'idle'): boolean {
    return this.places.free > 0 || (right === 'idle' && this.idleVictim() !== null);
  }

  /** An adapter that somebody has pinned or just asked for is not idle. */
  private idleVictim(): Adapter | null {
    return idleVictim([...this.options.registry.all].filter((one) => !one.pinned && !this.asks.has(one)));
  }

  private *asked(right: DeviceRight): Generator<Adapter> {
    for (const [adapter, wishes] of this.asks) if (wishes.some((wish) => wish.right === right)) yield adapter;
  }

  /** Tells those who asked for an adapter that it is there, or that it cannot be had. */
  private settleAsks(): void {
    for (const [adapter, wishes] of this.asks) {
      if (adapter.place) this.settle(adapter, true);
      if (!adapter.uploadable || adapter === this.chosen) continue;
      const left = wishes.filter(({ right, settle }) => {
        const hopeless = right !== 'need' && !this.canPlace(right);
        if (hopeless) settle(false);
        return !hopeless;
      });
      if (left.length > 0) this.asks.set(adapter, left);
      else this.asks.delete(adapter);
    }
  }

  private settle(adapter: Adapter, there: boolean): void {
    for (const { settle } of this.asks.get(adapter) ?? []) settle(there);
    this.asks.delete(adapter);
  }
}

const names = (adapters: readonly Adapter[]): string => adapters.map(({ name }) => `"${name}"`).join(', ');
