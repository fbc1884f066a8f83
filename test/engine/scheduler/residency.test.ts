/** More adapters than slots, whatever arrives: everybody gets its own tokens on its own weights, and nobody waits for ever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SequenceRequest, Tier } from '../../../engine/core.ts';
import { QUANTUM_TURNS, QUANTUM_UPLOADS } from '../../../engine/lora/residency-line.ts';
import { AdapterService } from '../../../engine/worker/adapter-service.ts';
import { SimulatedAdapters, type SimulatedFile, type Wait } from './simulated-adapters.ts';
import { type Life, SimulatedDevice } from './simulated-device.ts';

const MAX_RANK = 64;
const BUDGET = 4;

interface World {
  slots: number;
  maxCpuLoras: number;
  files: SimulatedFile[];
  maxNumSeqs: number;
  blocks: number;
  extraTokens: number;
  idleTier: Tier;
}

interface Arrival {
  turn: number;
  promptLength: number;
  maxTokens: number;
  /** Index into the files; their number for the base model. */
  adapter: number;
  cancelAfter: number | null;
}

type Move = {
  turn: number;
  adapter: number;
  action: 'pin' | 'unpin' | 'evict' | 'drop' | 'prefetch' | 'replace' | 'unload';
};

const file = fc.record<SimulatedFile>({
  rank: fc.integer({ min: 1, max: MAX_RANK }),
  slices: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
  readTurns: fc.nat(12),
});
const worlds = fc.record<World>({
  slots: fc.integer({ min: 1, max: 4 }),
  maxCpuLoras: fc.integer({ min: 1, max: 8 }),
  files: fc.array(file, { minLength: 1, maxLength: 9 }),
  maxNumSeqs: fc.integer({ min: 1, max: 10 }),
  blocks: fc.integer({ min: 6, max: 60 }),
  extraTokens: fc.nat(30),
  idleTier: fc.constantFrom<Tier>('device', 'device', 'host', 'disk'),
});
const arrivalsOf = (adapters: number, most = 40) =>
  fc.array(
    fc.record<Arrival>({
      turn: fc.nat(60),
      promptLength: fc.integer({ min: 1, max: 30 }),
      maxTokens: fc.integer({ min: 1, max: 50 }),
      adapter: fc.nat(adapters),
      cancelAfter: fc.option(fc.nat(60), { freq: 6 }),
    }),
    { minLength: 1, maxLength: most, size: 'max' },
  );
const movesOf = (adapters: number) =>
  fc.array(
    fc.record<Move>({
      turn: fc.nat(100),
      adapter: fc.nat(adapters - 1),
      action: fc.constantFrom('pin', 'unpin', 'evict', 'drop', 'prefetch', 'replace', 'unload'),
    }),
    { maxLength: 12 },
  );

function request({ promptLength, maxTokens }: Pick<Arrival, 'promptLength' | 'maxTokens'>): SequenceRequest {
  return {
    prompt: Uint32Array.from({ length: promptLength }, (_, i) => 100 + i),
    adapter: null,
    maxTokens,
    minTokens: 0,
    ignoreEos: true,
    temperature: 0,
    topP: 1,
    topK: 0,
    seed: 0,
  };
}

function setUp({ slots, maxCpuLoras, files, maxNumSeqs, blocks, extraTokens }: World) {
  const limits = {
    maxNumSeqs,
    maxNumBatchedTokens: maxNumSeqs + extraTokens,
    blockSize: 16,
    blocks,
    endIds: [],
    pages: (slots * MAX_RANK) / 8,
  };
  const device = new SimulatedDevice(limits, ({ sequence, sampled }) => 1000 * sequence.id + sampled.length);
  const named = Object.fromEntries(files.map((one, i) => [`a${i}`, one]));
  const options = { slots, maxRank: MAX_RANK, maxCpuLoras, uploadBytesATurn: BUDGET };
  const adapters = new SimulatedAdapters(device, named, options);
  adapters.loadAll();
  return { device, adapters };
}

/** Loads and unloads as the main thread asks for it. */
const serviceOf = ({ files, registry, residency, slots }: SimulatedAdapters): AdapterService =>
  new AdapterService({
    registry,
    residency,
    loader: {
      check: async (path) => {
        const { rank } = files[path] as SimulatedFile;
        return { kind: 'lora', format: 'peft', rank, hasColumns: false, fingerprint: '' };
      },
    },
    maxGpuLoras: slots.slots,
    maxLoraRank: MAX_RANK,
    merged: null,
    bytesOf: (rank) => rank,
  });

/** As worker/adapter-service.ts asks; what is refused is refused. */
async function move(adapters: SimulatedAdapters, { adapter: i, action }: Move): Promise<unknown> {
  const { registry, residency } = adapters;
  const adapter = registry.get(`a${i}`);
  if (!adapter) return null; // unloaded
  if (action === 'replace') return serviceOf(adapters).load(adapter.name, adapter.path, { replace: true });
  if (action === 'unload') return serviceOf(adapters).unload(adapter.name);
  if (action === 'pin') return residency.pin(adapter);
  if (action === 'unpin') return residency.setPinned(adapter, false);
  if (action === 'prefetch') return residency.bring(adapter, 'device', 'idle');
  if (adapter.users > 0 || adapter.pinned) return null;
  return residency.evict(adapter, action === 'evict' ? 'host' : 'disk');
}

async function drive(world: World, arrivals: readonly Arrival[], moves: readonly Move[] = []) {
  const { device, adapters } = setUp(world);
  const idle = adapters.residency.setIdleTier(world.idleTier);
  const lives = new Map<Life, Arrival>();
  const refused: Arrival[] = [];
  const moving: Promise<unknown>[] = [idle];
  const pending = arrivals.toSorted((a, b) => a.turn - b.turn);
  const last = Math.max(...arrivals.map(({ turn }) => turn), ...moves.map(({ turn }) => turn));
  for (let turn = 0, quiet = 0; quiet < 3; turn++) {
    while (pending[0] && pending[0].turn <= turn) {
      const arrival = pending.shift() as Arrival;
      const adapter = adapters.registry.get(`a${arrival.adapter}`) ?? null;
      if (adapter && adapters.residency.refusal(adapter)) refused.push(arrival);
      else lives.set(device.add(request(arrival), adapter), arrival);
    }
    for (const one of moves) if (one.turn === turn) moving.push(move(adapters, one));
    for (const [life, arrival] of lives) {
      const at = arrival.cancelAfter;
      if (at !== null && arrival.turn + at === turn && life.finish === null && !life.sequence.ended)
        device.cancel(life);
    }
    const busy = await device.turn();
    quiet = busy || turn <= last || adapters.reading > 0 ? 0 : quiet + 1;
    await adapters.tick();
    if (turn > 20_000) throw new Error('it never comes to an end');
  }
  await Promise.all(moving);
  return { device, adapters, lives, refused };
}

/** The bound that residency.ts states. */
function bound({ position, slots }: Wait, files: readonly SimulatedFile[]): number {
  // One turn a slice at worst, and one to see that there are no more.
  const upload = Math.max(...files.map(({ slices }) => slices.length + 1));
  const quantum = Math.max(QUANTUM_TURNS, QUANTUM_UPLOADS * upload);
  const each = upload + 1;
  return Math.ceil(position / slots) * (quantum + slots * each) + each;
}

const ownIds = ({ sequence }: Life): number[] =>
  Array.from({ length: sequence.request.maxTokens }, (_, i) => 1000 * sequence.id + i);

describe('any adapters, arrivals, cancels and moves', () => {
  it('give every sequence its tokens on its own weights, keep the limits, and let nobody wait past the bound', async () => {
    let waits = 0;
    let swaps = 0;
    await fc.assert(
      fc.asyncProperty(
        worlds.chain((world) =>
          fc.tuple(fc.constant(world), arrivalsOf(world.files.length), movesOf(world.files.length)),
        ),
        async ([world, arrivals, moves]) => {
          const { device, adapters, lives } = await drive(world, arrivals, moves);
          for (const life of lives.keys()) {
            if (life.cancelled) expect(life.delivered).toEqual(ownIds(life).slice(0, life.delivered.length));
            else expect({ ids: life.delivered, finish: life.finish }).toEqual({ ids: ownIds(life), finish: 'length' });
          }
          expect(adapters.failed.size).toBe(0);
          for (const wait of adapters.waits) expect(wait.turns).toBeLessThanOrEqual(bound(wait, world.files));
          waits += adapters.waits.filter(({ turns }) => turns > 0).length;
          swaps += adapters.residency.counted.swaps;

          expect(device.blocks.free).toBe(world.blocks);
          expect([device.scheduler.running, device.scheduler.waiting]).toEqual([0, 0]);
          const all = [...adapters.registry.all];
          expect(all.map(({ users, inFlight, going, coming }) => ({ users, inFlight, going, coming }))).toEqual(
            all.map(() => ({ users: 0, inFlight: 0, going: null, coming: null })),
          );
          expect(adapters.slots.free).toBe(world.slots - all.filter(({ place }) => place !== null).length);
          const pinned = all.filter(({ pinned: one }) => one);
          expect(pinned.every(({ place }) => place !== null)).toBe(true);
          expect(pinned.length).toBeLessThanOrEqual(world.slots);
          expect(all.filter(({ image }) => image !== null).length).toBeLessThanOrEqual(
            Math.max(world.maxCpuLoras, pinned.length),
          );
        },
      ),
      { numRuns: 150 },
    );
    // The property is about waiting and swapping: there was enough of both.
    expect(waits).toBeGreaterThan(300);
    expect(swaps).toBeGreaterThan(30);
  });

  it('never hold more images than allowed but for what runs', async () => {
    await fc.assert(
      fc.asyncProperty(
        worlds.chain((world) => fc.tuple(fc.constant(world), arrivalsOf(world.files.length))),
        async ([world, arrivals]) => {
          const { adapters } = await drive(world, arrivals);
          expect(adapters.mostOverLimit).toBeLessThanOrEqual(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('let those with broken files end with the reason, and all others end as they should', async () => {
    await fc.assert(
      fc.asyncProperty(
        worlds.chain((world) =>
          fc.tuple(
            fc.constant(world),
            arrivalsOf(world.files.length),
            fc.array(fc.constantFrom('broken', 'bad', 'good', null), { minLength: 9, maxLength: 9 }),
          ),
        ),
        async ([world, arrivals, faults]) => {
          const files = world.files.map((one, i): SimulatedFile => {
            const fault = faults[i] ?? null;
            return fault === 'broken' ? { ...one, broken: true } : fault ? { ...one, columns: fault } : one;
          });
          const { adapters, lives } = await drive({ ...world, files }, arrivals);
          for (const [life, { adapter, cancelAfter }] of lives) {
            const { broken, columns } = files[adapter] ?? {};
            const why = adapters.failed.get(life);
            if (broken || columns === 'bad') {
              if (cancelAfter === null) expect(why).toContain(broken ? `a${adapter} is broken` : 'a row is zero');
              expect(life.delivered).toEqual([]);
            } else {
              expect(why).toBeUndefined();
              if (!life.cancelled) expect(life.delivered).toEqual(ownIds(life));
            }
          }
          const held = [...adapters.registry.all].filter(({ place }) => place !== null).length;
          expect(adapters.slots.free).toBe(world.slots - held);
        },
      ),
      { numRuns: 100 },
    );
  });
});

const world = (fields: Partial<World> & { files: SimulatedFile[] }): World => ({
  slots: 1,
  maxCpuLoras: 16,
  maxNumSeqs: 16,
  blocks: 400,
  extraTokens: 64,
  idleTier: 'device',
  ...fields,
});
const small: SimulatedFile = { rank: 8, slices: [1], readTurns: 0 };
const arrival = (fields: Partial<Arrival>): Arrival => ({
  turn: 0,
  promptLength: 4,
  maxTokens: 20,
  adapter: 0,
  cancelAfter: null,
  ...fields,
});

async function runToEnd(device: SimulatedDevice, adapters: SimulatedAdapters): Promise<void> {
  for (let turn = 0; [...device.lives.values()].some(({ finish }) => finish === null); turn++) {
    await device.turn();
    await adapters.tick();
    if (turn > 5000) throw new Error('it never comes to an end');
  }
}

describe('time slicing', () => {
  it('takes a slot in turns: a quantum each, in the order of the line, whatever the age of the sequences', async () => {
    const { device, adapters } = setUp(world({ files: [small, small, small] }));
    const seen: string[] = [];
    for (const name of ['a0', 'a1', 'a2']) {
      device.add(request(arrival({ maxTokens: 40 })), adapters.adapter(name));
    }
    device.moved = () => {
      const there = [...adapters.registry.all].find(({ place }) => place !== null);
      if (there && seen.at(-1) !== there.name) seen.push(there.name);
    };
    await runToEnd(device, adapters);
    // 40 tokens: two whole quanta of 16 and a rest.
    expect(seen).toEqual(['a0', 'a1', 'a2', 'a0', 'a1', 'a2', 'a0', 'a1', 'a2']);
    for (const life of device.lives.values()) expect(life.delivered).toEqual(ownIds(life));
    for (const wait of adapters.waits) expect(wait.turns).toBeLessThanOrEqual(bound(wait, [small]));
    expect(adapters.residency.counted.swaps).toBe(6);
  });

  it('takes the slot of the one that has had it longest', async () => {
    const { device, adapters } = setUp(world({ slots: 2, files: [small, small, small] }));
    const start = async (name: string, turns: number) => {
      device.add(request(arrival({ maxTokens: 60 })), adapters.adapter(name));
      for (let i = 0; i < turns; i++) {
        await device.turn();
        await adapters.tick();
      }
    };
    await start('a1', 8);
    await start('a0', 20);
    await start('a2', 2); // one turn to be read, one to have somebody leave
    expect(['a0', 'a1'].map((name) => adapters.adapter(name).tier)).toEqual(['device', 'host']);
    await runToEnd(device, adapters);
  });

  it('leaves alone who has its slot while idle ones can go, least recently used first', async () => {
    const { device, adapters } = setUp(world({ slots: 3, files: [small, small, small, small, small] }));
    const use = async (name: string, maxTokens: number) => {
      const life = device.add(request(arrival({ maxTokens })), adapters.adapter(name));
      while (life.finish === null) {
        await device.turn();
        await adapters.tick();
      }
    };
    await use('a0', 1);
    await use('a1', 1);
    const long = device.add(request(arrival({ maxTokens: 200 })), adapters.adapter('a2'));
    await use('a0', 1);
    await use('a3', 1);
    expect(adapters.adapter('a1').tier).toBe('host');
    await use('a4', 1);
    expect(adapters.adapter('a0').tier).toBe('host');
    expect(adapters.adapter('a2').loads).toBe(1);
    expect(long.finish).toBeNull();
    expect(adapters.residency.counted.swaps).toBe(0);
  });

  it('gives an adapter that is long in coming a longer stay', async () => {
    const slow: SimulatedFile = { rank: 8, slices: Array.from({ length: 10 }, () => BUDGET), readTurns: 0 };
    const { device, adapters } = setUp(world({ files: [slow, slow] }));
    // A base sequence keeps steps running, so that uploads go by slices.
    device.add(request(arrival({ maxTokens: 600 })), null);
    for (const name of ['a0', 'a1']) device.add(request(arrival({ maxTokens: 100 })), adapters.adapter(name));
    const stays = new Map<string, number[]>();
    let before = '';
    device.moved = () => {
      const there = [...adapters.registry.all].find(({ place }) => place !== null)?.name ?? '';
      const own = stays.get(there) ?? [];
      if (there !== before) own.push(0);
      own[own.length - 1] = (own.at(-1) ?? 0) + 1;
      stays.set(there, own);
      before = there;
    };
    await runToEnd(device, adapters);
    const first = stays.get('a0')?.[0] as number;
    expect(first).toBeGreaterThanOrEqual(QUANTUM_UPLOADS * 10);
    expect(first).toBeLessThanOrEqual(QUANTUM_UPLOADS * 11 + 1);
    const [base] = device.lives.values();
    expect(base?.delivered.length).toBe(600);
  });
});

describe('what a sequence is told', () => {
  it('is where its adapter was, what was moved for it, and how long it waited', async () => {
    const { device, adapters } = setUp(world({ slots: 2, files: [{ ...small, slices: [3, 3], readTurns: 5 }, small] }));
    const run = async (name: string) => {
      const life = device.add(request(arrival({ maxTokens: 3 })), adapters.adapter(name));
      while (life.finish === null) {
        await device.turn();
        await adapters.tick();
      }
      return life.sequence.timings;
    };
    const cold = await run('a0');
    const { bytes } = adapters.adapter('a0').description; // and not the cost of its slices, which stands for work too
    expect(cold.adapterBytes).toBe(bytes);
    expect(cold.adapterLoad).toBeGreaterThan(1000); // the read's share alone
    expect(cold.adapterWait).toBeGreaterThan(0);
    const warm = await run('a0');
    expect([warm.adapterBytes, warm.adapterLoad, warm.adapterWait]).toEqual([0, 0, 0]);
    expect(adapters.residency.counted).toMatchObject({ loadsFromDisk: 1, loadsFromHost: 0 });
    const evicted = adapters.residency.evict(adapters.adapter('a0'), 'host');
    await adapters.tick();
    await device.turn();
    expect(await evicted).toBe(true);
    const lukewarm = await run('a0');
    expect(lukewarm.adapterBytes).toBe(bytes);
    expect(adapters.residency.counted).toMatchObject({ loadsFromDisk: 1, loadsFromHost: 1 });
  });
});

describe('pins', () => {
  it('hold the slot against everybody, and are refused where others would wait for ever', async () => {
    const { device, adapters } = setUp(world({ slots: 2, files: [small, small, small] }));
    const [a0, a1, a2] = ['a0', 'a1', 'a2'].map((name) => adapters.adapter(name));
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await device.turn();
        await adapters.tick();
      }
    };
    const first = adapters.residency.pin(a0!);
    await turns(5);
    expect(await first).toBeNull();
    const user = device.add(request(arrival({ maxTokens: 400 })), a1!);
    await turns(3);
    expect(await adapters.residency.pin(a2!)).toContain('"a1"');
    expect(a2!.pinned).toBe(false);
    expect(adapters.residency.refusal(a2!)).toBeNull();
    device.cancel(user);
    await turns(3);
    const second = adapters.residency.pin(a2!);
    await turns(5);
    expect(await second).toBeNull();
    expect(adapters.residency.refusal(a1!)).toMatch(/2 slots.*"a0", "a2"/);
    expect(adapters.residency.refusal(a0!)).toBeNull();
    expect([a0!.tier, a1!.tier, a2!.tier]).toEqual(['device', 'host', 'device']);
  });
});

const turnsOf = (device: SimulatedDevice, adapters: SimulatedAdapters) => async (count: number) => {
  for (let i = 0; i < count; i++) {
    await device.turn();
    await adapters.tick();
  }
};

describe('replacing a pinned adapter', () => {
  it('lets the sequences of the old one end, and then keeps the new one where the old one was', async () => {
    const { device, adapters } = setUp(world({ files: [small, { ...small, readTurns: 3 }] }));
    const { registry, residency } = adapters;
    const service = serviceOf(adapters);
    const turns = turnsOf(device, adapters);
    const pinning = residency.pin(adapters.adapter('a0'));
    await turns(4);
    expect(await pinning).toBeNull();
    const old = adapters.adapter('a0');
    const ofOld = device.add(request(arrival({ maxTokens: 80 })), old);
    await turns(3);
    const replacing = service.load('a0', 'a1', { replace: true });
    await turns(14);
    expect(await replacing).toBeNull();
    const fresh = adapters.adapter('a0');
    const ofFresh = device.add(request(arrival({ maxTokens: 60 })), fresh);
    // Who has no pin is refused, as before: nobody joins the two.
    expect(residency.refusal(adapters.adapter('a1'))).toContain('"a0"');
    await runToEnd(device, adapters);
    for (const life of [ofOld, ofFresh]) expect(life.delivered).toEqual(ownIds(life));
    await turns(4);
    expect([fresh.tier, fresh.pinned, old.tier, registry.all.has(old)]).toEqual(['device', true, 'disk', false]);
  });

  it('brings the new one in when the old one has ended, requests or not', async () => {
    const { device, adapters } = setUp(world({ slots: 2, files: [small, small, small] }));
    const { residency } = adapters;
    const turns = turnsOf(device, adapters);
    const pinning = residency.pin(adapters.adapter('a0'));
    await turns(4);
    expect(await pinning).toBeNull();
    const life = device.add(request(arrival({ maxTokens: 40 })), adapters.adapter('a0'));
    device.add(request(arrival({ maxTokens: 300 })), adapters.adapter('a1'));
    await turns(3);
    const service = serviceOf(adapters);
    const replacing = service.load('a0', 'a2', { replace: true });
    await turns(4);
    expect(await replacing).toBeNull();
    while (life.finish === null) await turns(1);
    await turns(4);
    expect(adapters.adapter('a0')).toMatchObject({ path: 'a2', tier: 'device', pinned: true });
  });
});

describe('a read that outlives who wanted it', () => {
  it('leaves the adapter where idle ones go', async () => {
    const { device, adapters } = setUp(world({ files: [{ ...small, readTurns: 6 }] }));
    const idling = adapters.residency.setIdleTier('disk');
    const turns = turnsOf(device, adapters);
    await turns(2);
    await idling;
    const life = device.add(request(arrival({})), adapters.adapter('a0'));
    await turns(2);
    expect(adapters.reading).toBe(1);
    device.cancel(life);
    await turns(12);
    expect([adapters.reading, adapters.adapter('a0').tier]).toEqual([0, 'disk']);
  });
});

describe('an adapter that lies in host memory', () => {
  it('comes from there, though it was read for nobody and never on the device', async () => {
    const { device, adapters } = setUp(world({ files: [{ ...small, readTurns: 2 }] }));
    const adapter = adapters.adapter('a0');
    const reading = adapters.residency.bring(adapter, 'host', 'idle');
    await turnsOf(device, adapters)(8);
    expect([await reading, adapter.tier, adapter.readNanoseconds]).toEqual([true, 'host', 0]);
    device.add(request(arrival({ maxTokens: 3 })), adapter);
    await runToEnd(device, adapters);
    expect(adapters.residency.counted).toMatchObject({ loadsFromDisk: 0, loadsFromHost: 1 });
  });
});
