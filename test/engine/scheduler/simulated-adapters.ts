/**
 * Adapters for the simulated device: the real Residency, registry and slots above a loader that takes some turns to read and a
 * device memory that only remembers whose weights are in each page.
 *
 * In: files with known sizes, turns to read, and faults. Out: every wait for a slot, with the place in the line it began at.
 * Throws at the first thing that a real device would get wrong: a page written while a step that names it runs, a row that
 * runs on pages which hold something else or a part of it only, a slot given twice.
 */
import { AdapterFileError, type AdapterLoader, type ReadImage, type Reading } from '../../../engine/lora/loader.ts';
import type { PackedAdapter } from '../../../engine/lora/packed-adapter.ts';
import type { Place } from '../../../engine/lora/place.ts';
import { type Adapter, AdapterRegistry } from '../../../engine/lora/registry.ts';
import { Residency } from '../../../engine/lora/residency.ts';
import type { AdapterDevice } from '../../../engine/lora/residency-device.ts';
import type { Demand } from '../../../engine/lora/residency-line.ts';
import { AdapterSlots } from '../../../engine/lora/slots.ts';
import type { Life, SimulatedDevice } from './simulated-device.ts';

export interface SimulatedFile {
  rank: number;
  /** Cost of each slice of its upload. */
  slices: number[];
  /** Turns its read takes. */
  readTurns: number;
  broken?: boolean;
  /** A DoRA, whose columns are read back; `bad` when what was computed is no number. */
  columns?: 'good' | 'bad';
}

export interface Wait {
  adapter: string;
  /** Turns in which it needed a slot, had its image in host memory, and was not on the device. */
  turns: number;
  /** Its place in the line when it began, 1 for the next. */
  position: number;
  /** Fewest slots not pinned meanwhile. */
  slots: number;
}

function check(right: boolean, what: string): asserts right {
  if (!right) throw new Error(what);
}

interface PendingRead {
  path: string;
  turns: number;
  settle(): void;
}

export class SimulatedAdapters implements AdapterDevice, AdapterLoader {
  readonly registry = new AdapterRegistry();
  readonly slots: AdapterSlots;
  readonly residency: Residency;
  readonly waits: Wait[] = [];
  /** Sequences that were told that their adapter cannot be had. */
  readonly failed = new Map<Life, string>();
  readonly files: Record<string, SimulatedFile>;
  /** Most images that were held at once, beyond the limit or what was in use. */
  mostOverLimit = 0;
  turns = 0;
  private readonly device: SimulatedDevice;
  private readonly maxCpuLoras: number;
  /** What each page holds: a path, or null for a part of something. */
  private readonly memory = new Map<number, string | null>();
  private readonly pathOf = new WeakMap<PackedAdapter, string>();
  private readonly waiting = new Map<Adapter, Wait>();
  private reads: PendingRead[] = [];
  /** Adapters that sequences name, or that are under way to the device, in this turn. */
  private used = 0;

  constructor(
    device: SimulatedDevice,
    files: Record<string, SimulatedFile>,
    options: { slots: number; maxRank: number; maxCpuLoras: number; uploadBytesATurn: number },
  ) {
    this.device = device;
    this.files = files;
    this.maxCpuLoras = options.maxCpuLoras;
    this.slots = new AdapterSlots(options.slots, options.maxRank);
    this.residency = new Residency({
      slots: this.slots,
      maxCpuLoras: options.maxCpuLoras,
      registry: this.registry,
      device: this,
      loader: this,
      failed: (adapter, why) => this.fail(adapter, why),
      wake: () => {},
      uploadBytesATurn: options.uploadBytesATurn,
    });
    device.residency = {
      turn: (demand, running) => {
        this.beforeTurn(demand);
        this.residency.turn(demand, running);
        this.afterTurn();
      },
      catchUp: () => this.residency.catchUp(),
    };
    device.checkMemory = (adapter) => {
      const { path, place } = adapter as Adapter;
      for (const page of place?.pages ?? []) {
        check(this.memory.get(page) === path, `${path} runs on page ${page}, which holds ${this.memory.get(page)}`);
      }
    };
  }

  /** Makes every file known under its own name, none of them read. */
  loadAll(): void {
    for (const [name, { rank }] of Object.entries(this.files)) {
      const description = {
        kind: 'lora',
        format: 'peft',
        rank,
        bytes: rank,
        synthetic: null,
        fingerprint: '',
      } as const;
      this.registry.publish(this.registry.add(name, name, description));
    }
  }

  adapter(name: string): Adapter {
    const adapter = this.registry.get(name);
    check(adapter !== undefined, `no adapter ${name}`);
    return adapter;
  }

  /** To be called between turns: reads go on. */
  async tick(): Promise<void> {
    for (const read of this.reads) read.turns--;
    const ready = this.reads.filter(({ turns }) => turns <= 0);
    this.reads = this.reads.filter(({ turns }) => turns > 0);
    for (const { settle } of ready) settle();
    await new Promise((resolve) => setImmediate(resolve));
  }

  get reading(): number {
    return this.reads.length;
  }

  read(path: string, _fingerprint: string, urgency: 'request' | 'prefetch'): Reading {
    const file = this.files[path] as SimulatedFile;
    const { rank, columns } = file;
    // A prefetch waits for its turn in a thread that has other things to do.
    const read: PendingRead = { path, turns: file.readTurns * (urgency === 'request' ? 1 : 3), settle: () => {} };
    const image = new Promise<ReadImage>((resolve, reject) => {
      read.settle = () => {
        if (file.broken) return reject(new AdapterFileError('bad_file', `${path} is broken`));
        const layer = { a: new Uint32Array(0), b: new Uint32Array(0), columns: null, magnitude: null };
        const made: PackedAdapter = { kind: 'lora', format: 'peft', rank, scale: 1, layers: [layer], bytes: 0 };
        if (columns) made.layers = [{ ...layer, magnitude: new Float32Array(1) }];
        this.pathOf.set(made, path);
        resolve({ image: made, nanoseconds: 1000 });
      };
    });
    this.reads.push(read);
    const hurry = () => {
      read.turns = Math.min(read.turns, file.readTurns);
    };
    return { image, hurry };
  }

  *upload(place: Place, image: PackedAdapter): Generator<number, void> {
    const path = this.pathOf.get(image) as string;
    const { slices } = this.files[path] as SimulatedFile;
    for (const [i, cost] of slices.entries()) {
      this.write(place, i === slices.length - 1 ? path : null);
      yield cost;
    }
  }

  makeSynthetic(place: Place): void {
    this.write(place, 'synthetic');
  }

  async readColumns(place: Place): Promise<Uint32Array<ArrayBuffer>[]> {
    await new Promise((resolve) => setImmediate(resolve));
    const path = this.memory.get(place.pages[0] as number) as string;
    if (this.files[path]?.columns === 'bad') throw new Error(`${path}: a row is zero`);
    return [new Uint32Array([1])];
  }

  async settled(): Promise<void> {}

  private write(place: Place, content: string | null): void {
    const clash = this.device.pagesInUse.find((page) => place.pages.includes(page));
    check(clash === undefined, `page ${clash} is written while a step that names it runs`);
    for (const page of place.pages) this.memory.set(page, content);
  }

  private fail(adapter: Adapter, why: string): void {
    for (const life of this.device.lives.values()) {
      if (life.sequence.adapter !== adapter || life.sequence.ended) continue;
      this.failed.set(life, why);
      this.device.cancel(life);
    }
  }

  /** Notes who begins to wait, before anybody is given a slot. */
  private beforeTurn({ admitted }: Demand): void {
    this.turns++;
    const needed = new Set<Adapter>();
    for (const { adapter, wantsRows } of admitted) {
      if (adapter && wantsRows) needed.add(adapter as Adapter);
    }
    for (const adapter of this.waiting.keys()) if (!needed.has(adapter)) this.waiting.delete(adapter);
    for (const adapter of needed) {
      if (adapter.place || this.waiting.has(adapter) || adapter.coming) continue;
      // Pins that are not carried out yet stand in the line too.
      const before = [...this.registry.all].filter((one) => one !== adapter && (this.waiting.has(one) || one.pinned));
      const inLine = before.filter(({ place, coming }) => place === null && coming === null);
      const wait = { adapter: adapter.name, turns: -1, position: inLine.length + 1, slots: this.slots.slots };
      this.waiting.set(adapter, wait);
    }
    this.used = [...this.registry.all].filter(({ users, coming }) => users > 0 || coming !== null).length;
  }

  private afterTurn(): void {
    const images = [...this.registry.all].filter(({ image }) => image !== null).length;
    this.mostOverLimit = Math.max(this.mostOverLimit, images - Math.max(this.maxCpuLoras, this.used));
    const pinned = [...this.registry.all].filter((adapter) => adapter.pinned).length;
    for (const [adapter, wait] of this.waiting) {
      wait.slots = Math.min(wait.slots, this.slots.slots - pinned);
      if (adapter.image !== null) wait.turns++;
      if (!adapter.place) continue;
      this.waits.push(wait);
      this.waiting.delete(adapter);
    }
  }
}
