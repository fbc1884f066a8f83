/**
 * The device's places: one adapter at a time is put into a free one, a slice between steps, and one that leaves gives its
 * slot and pages back when the last step that names it has completed.
 */
import { now } from '../clock.ts';
import type { PackedAdapter, PackedLayer } from './packed-adapter.ts';
import type { Place } from './place.ts';
import type { Adapter, AdapterRegistry } from './registry.ts';
import type { AdapterSlots } from './slots.ts';
import { SYNTHETIC_SCALE } from './synthetic.ts';

/** What residency.ts needs of the device; LoraPools behind it. */
export interface AdapterDevice {
  /** Queues a slice with each turn and gives its cost in bytes. */
  upload(place: Place, image: PackedAdapter): Generator<number, void>;
  makeSynthetic(place: Place, seed: number): void;
  /**
   * The column words of each layer, as they are once the work queued so far is done.
   * @throws EngineError usage when what the device has computed from the adapter's magnitudes is no number
   */
  readColumns(place: Place): Promise<NonNullable<PackedLayer['columns']>[]>;
  /** Resolves when the device has done what is queued. */
  settled(): Promise<void>;
}

export interface PlaceEvents {
  /** Something came to its place while no turn ran. */
  arrived(): void;
  /** What it holds cannot be served; it has no place and no image any more. */
  failed(adapter: Adapter, why: string): void;
}

interface Upload {
  adapter: Adapter;
  place: Place;
  slices: Generator<number, void>;
  nanoseconds: number;
  turns: number;
}

export class DevicePlaces {
  readonly counted = { loadsFromHost: 0, loadsFromDisk: 0, evictions: 0, swaps: 0 };
  private readonly slots: AdapterSlots;
  private readonly device: AdapterDevice;
  private readonly registry: AdapterRegistry;
  private readonly events: PlaceEvents;
  private readonly leaving = new Set<Adapter>();
  private upload: Upload | null = null;
  private turn = 0;

  constructor(slots: AdapterSlots, device: AdapterDevice, registry: AdapterRegistry, events: PlaceEvents) {
    this.slots = slots;
    this.device = device;
    this.registry = registry;
    this.events = events;
  }

  get slotCount(): number {
    return this.slots.slots;
  }

  get free(): number {
    return this.slots.free;
  }

  /** An adapter is being put in. */
  get busy(): boolean {
    return this.upload !== null;
  }

  /** Begins to put it into a free slot. */
  begin(adapter: Adapter): void {
    const { rank, synthetic, bytes } = adapter.description;
    const { image } = adapter;
    const scale = image ? image.scale : SYNTHETIC_SCALE;
    const place = this.slots.take(rank, scale, image !== null && hasColumns(image));
    if (!place || this.upload) throw new Error(`no slot for adapter "${adapter.name}", or another is being put in`);
    adapter.coming = place;
    const slices = synthetic
      ? made(() => this.device.makeSynthetic(place, synthetic.seed), bytes)
      : this.device.upload(place, image as PackedAdapter);
    this.upload = { adapter, place, slices, nanoseconds: adapter.readNanoseconds, turns: 0 };
  }

  /** Goes on with the upload, if there is one: at least a slice, then until so many bytes are queued. @returns bytes queued */
  pump(budget: number, turn: number): number {
    const { upload } = this;
    this.turn = turn;
    if (!upload || budget <= 0) return 0;
    upload.turns++;
    const from = now();
    let spent = 0;
    let done = false;
    while (!done && spent < budget) {
      const slice = upload.slices.next();
      done = slice.done === true;
      spent += slice.value ?? 0;
    }
    upload.nanoseconds += now() - from;
    if (!done) return spent;
    this.upload = null;
    const { image } = upload.adapter;
    if (image?.layers.some(({ magnitude }) => magnitude !== null)) void this.check(upload, image);
    else this.arrive(upload);
    return spent;
  }

  /** As pump(), and waits until the device has done it: for when nothing else runs, so that its time is known. */
  async pumpAndWait(budget: number, turn: number): Promise<void> {
    const { upload } = this;
    if (!upload) return;
    this.pump(budget, turn);
    const from = now();
    await this.device.settled();
    const to = now();
    const { adapter } = upload;
    if (this.upload === upload) upload.nanoseconds += to - from;
    // A checked one has its time from check(), which waits for the same work.
    else if (adapter.place === upload.place && adapter.arrival.at <= from) {
      adapter.arrival = { ...adapter.arrival, at: to, nanoseconds: adapter.arrival.nanoseconds + to - from };
    }
  }

  /** Takes it off the device: no step planned from now on names it. */
  leave(adapter: Adapter): void {
    if (!adapter.place) return;
    adapter.going = adapter.place;
    adapter.place = null;
    this.counted.evictions++;
    this.leaving.add(adapter);
    this.registry.changed(adapter);
    this.releaseDrained();
  }

  /** Gives back the places that no step in flight names. */
  releaseDrained(): void {
    for (const adapter of this.leaving) {
      if (adapter.inFlight > 0 || !adapter.going) continue;
      this.slots.give(adapter.going);
      adapter.going = null;
      this.leaving.delete(adapter);
    }
  }

  private arrive(upload: Upload): void {
    const { adapter, place, nanoseconds, turns } = upload;
    // Not what the slices cost: that of a DoRA's norms stands for work, not for bytes.
    const { bytes } = adapter.description;
    const { counted } = this;
    if (adapter.readNanoseconds > 0) counted.loadsFromDisk++;
    else counted.loadsFromHost++;
    adapter.coming = null;
    adapter.place = place;
    adapter.arrival = { at: now(), bytes, nanoseconds };
    adapter.arrivedTurn = this.turn;
    adapter.uploadTurns = turns;
    adapter.readNanoseconds = 0;
    adapter.loads++;
    this.registry.changed(adapter);
  }

  /**
   * What the device has computed from DoRA's magnitudes is looked at before anybody runs on it, and goes into the image, so
   * that it is computed once.
   */
  private async check(upload: Upload, { layers }: PackedAdapter): Promise<void> {
    const { adapter, place } = upload;
    const from = now();
    try {
      const columns = await this.device.readColumns(place);
      layers.forEach((layer, i) => {
        layer.columns = columns[i] ?? null;
        layer.magnitude = null;
      });
      upload.nanoseconds += now() - from;
      this.arrive(upload);
      this.events.arrived();
    } catch (error) {
      adapter.coming = null;
      adapter.image = null;
      adapter.readNanoseconds = 0;
      this.slots.give(place);
      this.events.failed(adapter, error instanceof Error ? error.message : String(error));
    }
  }
}

const hasColumns = ({ layers }: PackedAdapter): boolean =>
  layers.some(({ columns, magnitude }) => columns !== null || magnitude !== null);

function* made(make: () => void, bytes: number): Generator<number, void> {
  make();
  yield bytes;
}
