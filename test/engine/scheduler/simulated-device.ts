/**
 * Drives the real Scheduler, BlockManager and StepWriter as worker/loop.ts does, with one step in flight, against a device that
 * is only arithmetic: it reads the step's words, keeps a KV cache of who wrote each position, and answers with scripted ids.
 *
 * In: sequences to add and cancel at given turns, and who moves adapters between them, if they are not there for good. Out: what was delivered. Throws at the first thing that a real device would
 * get wrong: a token that is not the sequence's last one, a position whose KV is not there or is another's, a limit passed,
 * memory given back while a step that names it runs.
 */
import { now } from '../../../engine/clock.ts';
import type { SequenceRequest } from '../../../engine/core.ts';
import type { Residency } from '../../../engine/lora/residency.ts';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { type Delivery, Scheduler, type Step } from '../../../engine/scheduler/scheduler.ts';
import { Sequence, type ServedAdapter } from '../../../engine/scheduler/sequence.ts';
import {
  HEADER,
  QUERY_ROWS,
  SAMPLE_WORDS,
  type StepShape,
  StepWriter,
  stepCapacity,
  TILE_ROWS,
} from '../../../engine/scheduler/step-data.ts';

export interface Limits {
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  blocks: number;
  blockSize: number;
  endIds: number[];
  /** Rank pages of all adapters. */
  pages: number;
}

/** What a sequence's device side knows and what came of it. */
export interface Life {
  sequence: Sequence;
  /** Every id the device sampled for it, in order; the host learns of each a step later. */
  sampled: number[];
  delivered: number[];
  finish: Delivery['finish'];
  cancelled: boolean;
  admittedAt: number | null;
}

function check(right: boolean, what: string): asserts right {
  if (!right) throw new Error(what);
}

/** Refuses to take blocks back while a step that names them runs, or twice. */
class WatchedBlocks extends BlockManager {
  readonly owned = new Set<number>();
  running: Step[] = [];

  override take(positions: number): number[] | null {
    const blocks = super.take(positions);
    for (const block of blocks ?? []) {
      check(!this.owned.has(block), `block ${block} is handed out twice`);
      this.owned.add(block);
    }
    return blocks;
  }

  override give(blocks: number[]): void {
    for (const block of blocks) {
      check(this.owned.delete(block), `block ${block} comes back and was not out`);
      const user = this.running.flatMap(({ parts }) => parts).find(({ sequence }) => sequence.blocks.includes(block));
      check(!user, `block ${block} comes back while a step with sequence ${user?.sequence.id} runs`);
    }
    super.give(blocks);
  }
}

export class SimulatedDevice {
  readonly scheduler: Scheduler;
  readonly blocks: WatchedBlocks;
  readonly lives = new Map<number, Life>();
  steps = 0;
  private readonly limits: Limits;
  private readonly writer: StepWriter;
  private readonly nextId: (life: Life) => number;
  private readonly kv = new Map<number, { id: number; position: number }>();
  private inFlight: { step: Step; ids: number[] } | null = null;
  private admissions = 0;
  /** Adapter pages each step names, as it was submitted. */
  private readonly stepPages = new WeakMap<Step, readonly number[]>();
  /** Moves adapters before each step is planned, as in the loop. */
  residency: Pick<Residency, 'turn' | 'catchUp'> | null = null;
  /** Called after the adapters have moved, before the step is planned. */
  moved: () => void = () => {};
  /** Looks at a row's adapter in device memory. */
  checkMemory: (adapter: ServedAdapter) => void = () => {};

  /** @param nextId what the device samples for a sequence, given what it sampled before */
  constructor(limits: Limits, nextId: (life: Life) => number) {
    this.limits = limits;
    this.nextId = nextId;
    this.blocks = new WatchedBlocks(limits.blocks, limits.blockSize);
    this.scheduler = new Scheduler({ ...limits, blocks: this.blocks });
    const capacity = {
      rows: limits.maxNumBatchedTokens,
      sequences: limits.maxNumSeqs,
      blocks: limits.blocks,
      pages: limits.pages,
    };
    this.writer = new StepWriter(stepCapacity(capacity), limits.endIds);
  }

  add(request: SequenceRequest, adapter: ServedAdapter | null): Life {
    const sequence = new Sequence(this.lives.size, request, adapter, now());
    const life: Life = { sequence, sampled: [], delivered: [], finish: null, cancelled: false, admittedAt: null };
    this.lives.set(sequence.id, life);
    this.scheduler.add(sequence);
    return life;
  }

  cancel(life: Life): void {
    life.cancelled = true;
    this.scheduler.cancel(life.sequence);
  }

  /** Adapter pages that steps name which are submitted and not finished. */
  get pagesInUse(): number[] {
    return this.blocks.running.flatMap((step) => this.stepPages.get(step) ?? []);
  }

  /** One turn of worker/loop.ts: move adapters, plan and submit, then finish the step before. False when there was nothing to do. */
  async turn(): Promise<boolean> {
    if (this.residency) {
      this.scheduler.admit();
      this.residency.turn(this.scheduler, this.inFlight !== null || this.scheduler.canRun);
      this.moved();
    }
    const step = this.scheduler.schedule();
    for (const life of this.lives.values()) {
      if (life.admittedAt === null && life.sequence.blocks.length > 0) life.admittedAt = this.admissions++;
    }
    const before = this.inFlight;
    const submitted = step && { step, ids: this.run(step, before?.ids ?? []) };
    this.blocks.running = [before?.step, step].filter((one): one is Step => one !== null && one !== undefined);
    if (before) this.finish(before);
    this.inFlight = submitted;
    if (submitted !== null || before !== null) return true;
    return (await this.residency?.catchUp()) ?? false;
  }

  private finish({ step, ids }: { step: Step; ids: number[] }): void {
    this.blocks.running = this.blocks.running.filter((one) => one !== step);
    for (const { sequence, ids: delivered, finish } of this.scheduler.complete(step, ids)) {
      const life = this.lives.get(sequence.id) as Life;
      check(!life.cancelled, `sequence ${sequence.id} gets ids after its cancel`);
      check(life.finish === null, `sequence ${sequence.id} gets ids after its end`);
      life.delivered.push(...delivered);
      life.finish = finish;
    }
  }

  /** Runs a step by its words. @returns the ids it samples */
  private run(step: Step, previous: readonly number[]): number[] {
    const { limits } = this;
    this.steps++;
    check(step.rows <= limits.maxNumBatchedTokens, `${step.rows} rows, the budget is ${limits.maxNumBatchedTokens}`);
    check(step.rows > 0, 'a step without rows');
    check(this.scheduler.running <= limits.maxNumSeqs, `${this.scheduler.running} sequences run at once`);
    check(
      new Set(step.parts.map(({ sequence }) => sequence)).size === step.parts.length,
      'a sequence has two parts in a step',
    );
    const slots = step.parts.map(({ sequence }) => sequence.adapter?.place?.slot ?? -1);
    check(
      slots.every((slot, i) => i === 0 || slot >= (slots[i - 1] as number)),
      `parts are not grouped by slot: ${slots}`,
    );

    this.stepPages.set(
      step,
      step.parts.flatMap(({ sequence }) => sequence.adapter?.place?.pages ?? []),
    );
    const { data, shape } = this.writer.write(step);
    const word = (section: number, at: number): number => data[(data[section] as number) + at] as number;
    check(data[HEADER.ROW_COUNT] === step.rows && shape.rows === step.rows, 'the header counts other rows');
    const rowLife: Life[] = [];
    const owner = step.parts.flatMap((part) => Array.from({ length: part.count }, () => part));
    // As on the device: all of a step's KV is written before any of it is read.
    owner.forEach(({ sequence }, row) => {
      const position = word(HEADER.ROWS_AT, 4 * row + 1);
      this.kv.set(this.place(word, row, position), { id: sequence.id, position });
    });
    owner.forEach(({ sequence }, row) => {
      const life = this.lives.get(sequence.id) as Life;
      const position = word(HEADER.ROWS_AT, 4 * row + 1);
      rowLife.push(life);
      this.checkToken(life, position, word(HEADER.ROWS_AT, 4 * row), previous);
      for (let p = 0; p <= position; p++) {
        const written = this.kv.get(this.place(word, row, p));
        check(
          written?.id === sequence.id && written.position === p,
          `sequence ${sequence.id} at ${position} misses its KV at ${p}`,
        );
      }
      this.checkAdapter(sequence, word, row);
    });
    this.checkTiles(step, word, shape.tiles);
    this.checkQueries(step, data, shape);

    return step.sampled.map(({ sequence }, i) => {
      const row = word(HEADER.SAMPLES_AT, SAMPLE_WORDS * i);
      const life = this.lives.get(sequence.id) as Life;
      const last = sequence.request.prompt.length + life.sampled.length - 1;
      check(rowLife[row] === life && word(HEADER.ROWS_AT, 4 * row + 1) === last, `sample ${i} is of another row`);
      const masked = word(HEADER.SAMPLES_AT, SAMPLE_WORDS * i + 5) !== 0;
      check(
        masked === (!sequence.request.ignoreEos && life.sampled.length < sequence.request.minTokens),
        'end ids are masked wrongly',
      );
      const id = this.nextId(life);
      life.sampled.push(id);
      return id;
    });
  }

  private checkToken({ sequence, sampled }: Life, position: number, token: number, previous: readonly number[]): void {
    const { prompt } = sequence.request;
    const right = position < prompt.length ? prompt[position] : sampled[position - prompt.length];
    const got = token >= 0x80000000 ? previous[token - 0x80000000] : token;
    check(
      right !== undefined && got === right,
      `sequence ${sequence.id} reads ${got} at ${position}, its token is ${right}`,
    );
  }

  private checkAdapter(sequence: Sequence, word: (section: number, at: number) => number, row: number): void {
    const entry = word(HEADER.ROWS_AT, 4 * row + 3);
    const { adapter } = sequence;
    if (!adapter) {
      check(entry === 0xffffffff, `base row ${row} names an adapter`);
      return;
    }
    const { place } = adapter;
    check(place !== null, `row ${row} runs on an adapter that is not on the device`);
    check(adapter.users > 0, `row ${row} runs on an adapter without users`);
    const pages = place.pages.map((_, i) => word(HEADER.PAGES_AT, word(HEADER.SLOTS_AT, 4 * entry + 2) + i));
    check(word(HEADER.SLOTS_AT, 4 * entry) === place.rank, `row ${row} has another rank`);
    check(
      pages.every((page, i) => page === place.pages[i]),
      `row ${row} has other pages`,
    );
    this.checkMemory(adapter);
  }

  /** Tiles cover every row that has an adapter once, and no base row. */
  private checkTiles(step: Step, word: (section: number, at: number) => number, tiles: number): void {
    const covered = new Set<number>();
    for (let tile = 0; tile < tiles; tile++) {
      const [first, count, entry] = [0, 1, 2].map((i) => word(HEADER.TILES_AT, 4 * tile + i)) as [
        number,
        number,
        number,
      ];
      check(count >= 1 && count <= TILE_ROWS, `tile ${tile} has ${count} rows`);
      for (let row = first; row < first + count; row++) {
        check(!covered.has(row), `row ${row} is in two tiles`);
        covered.add(row);
        check(word(HEADER.ROWS_AT, 4 * row + 3) === entry, `row ${row} is in a tile of another adapter`);
      }
    }
    const withAdapter = step.parts.reduce((sum, { sequence, count }) => sum + (sequence.adapter ? count : 0), 0);
    check(covered.size === withAdapter, `${covered.size} rows in tiles, ${withAdapter} have an adapter`);
  }

  /** Tiles of queries cover every row once, each of one sequence, decodes first. */
  private checkQueries({ rows }: Step, data: Uint32Array, { decodes, longest, queryTiles }: StepShape): void {
    const word = (section: number, at: number): number => data[(data[section] as number) + at] as number;
    const covered = new Set<number>();
    let most = 0;
    for (let tile = 0; tile < decodes + queryTiles; tile++) {
      const [first, count, position, table] = [0, 1, 2, 3].map((i) => word(HEADER.QUERIES_AT, 4 * tile + i)) as [
        number,
        number,
        number,
        number,
      ];
      check(count >= 1 && count <= QUERY_ROWS, `tile ${tile} has ${count} queries`);
      if (tile < decodes) {
        check(count === 1, `tile ${tile} is no decode`);
        most = Math.max(most, position + 1);
      }
      for (let row = first; row < first + count; row++) {
        check(!covered.has(row), `row ${row} is in two tiles of queries`);
        covered.add(row);
        const entry = word(HEADER.ROWS_AT, 4 * row + 2);
        check(entry === word(HEADER.ROWS_AT, 4 * first + 2), `tile ${tile} has queries of two sequences`);
        check(word(HEADER.ROWS_AT, 4 * row + 1) === position + row - first, `query ${row} has another position`);
        const own = (data[HEADER.BLOCKS_AT] as number) + word(HEADER.SEQUENCES_AT, entry);
        check(table === own, `tile ${tile} reads another block table`);
      }
    }
    check(covered.size === rows, `${covered.size} rows are queries, the step has ${rows}`);
    check(most === longest, `the longest decode attends to ${most} positions, not ${longest}`);
  }

  private place(word: (section: number, at: number) => number, row: number, position: number): number {
    const { blockSize } = this.limits;
    const table = word(HEADER.SEQUENCES_AT, word(HEADER.ROWS_AT, 4 * row + 2));
    return word(HEADER.BLOCKS_AT, table + Math.floor(position / blockSize)) * blockSize + (position % blockSize);
  }
}
