/**
 * Batches for kernel tests, made by the engine's own AdapterSlots, BlockManager, Scheduler and StepWriter, so that what the
 * kernels read is what they read in the engine. In: which sequences stand where. Out: the step's words, and for each row what
 * it stands for, from the scheduler's parts and not from those words.
 */
import type { SequenceRequest } from '../../../engine/core.ts';
import { AdapterSlots, type ResidentAdapter } from '../../../engine/lora/slots.ts';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { Scheduler, type Step } from '../../../engine/scheduler/scheduler.ts';
import { Sequence } from '../../../engine/scheduler/sequence.ts';
import { type StepShape, StepWriter } from '../../../engine/scheduler/step-data.ts';
import { type Random, randomFrom } from './random.ts';

type Adapter = ResidentAdapter | null;
type RequestPart = Partial<Omit<SequenceRequest, 'prompt' | 'adapter'>>;

export interface Wanted {
  /** Sequences past their prompt: one row each, at position `context`. */
  decodes?: { adapter?: Adapter; context: number; request?: RequestPart }[];
  /** Whole prompts. */
  prefills?: { adapter?: Adapter; rows: number; request?: RequestPart }[];
  /** Part of a longer prompt, `context` positions of which were computed before; it samples nothing. */
  chunk?: { adapter?: Adapter; context: number; rows: number };
  /** The decodes' tokens are still on the device when the step is planned, as in the engine; else the host knows them. */
  late?: boolean;
  vocab?: number;
  endIds?: number[];
  seed?: number;
  blocks?: number;
}

export interface Row {
  sequence: Sequence;
  adapter: Adapter;
  position: number;
  /** The token to embed, wherever it comes from. */
  token: number;
  /** Index into the previous step's ids, when it comes from there. */
  previous: number | null;
}

export interface Batch {
  step: Step;
  data: Uint32Array<ArrayBuffer>;
  shape: StepShape;
  rows: Row[];
  /** Row of each sample. */
  sampledRows: number[];
  previousIds: Uint32Array<ArrayBuffer>;
  blockSize: number;
  totalBlocks: number;
}

const BLOCK_SIZE = 16;

export function makeBatch(wanted: Wanted): Batch {
  const { decodes = [], prefills = [], chunk, late = true, vocab = 96, endIds = [], seed = 1, blocks = 160 } = wanted;
  const random = randomFrom(seed);
  const manager = shuffledBlocks(blocks, random);
  const options = { maxNumSeqs: 4096, maxNumBatchedTokens: 1 << 20, blocks: manager, endIds: [] };
  const scheduler = new Scheduler(options);
  const writer = new StepWriter(1 << 20, endIds);
  let id = 0;
  const add = (length: number, adapter: Adapter = null, request: RequestPart = {}): void => {
    const prompt = Uint32Array.from({ length }, () => random.below(vocab));
    const rest = {
      maxTokens: 8,
      minTokens: 0,
      ignoreEos: true,
      temperature: 0,
      topP: 1,
      topK: 0,
      seed: id,
      ...request,
    };
    scheduler.add(new Sequence(id++, { prompt, adapter: adapter?.name ?? null, ...rest }, adapter, 0));
  };
  const ids = (step: Step) => Uint32Array.from(step.sampled, () => random.below(vocab));
  const next = (): Step => {
    const step = scheduler.schedule();
    if (!step) throw new Error('nothing to run');
    return step;
  };

  // The chunk's first part runs in a step of its own, in which the decodes move on by one.
  const early = chunk && chunk.context > 0 ? 1 : 0;
  for (const { context, adapter, request } of decodes) add(context - early, adapter, request);
  let before = decodes.length > 0 ? next() : null;
  if (early && chunk) {
    if (before) scheduler.complete(before, ids(before));
    options.maxNumBatchedTokens = decodes.length + chunk.context;
    add(chunk.context + chunk.rows + 1, chunk.adapter);
    before = next();
  }
  let previousIds = before ? ids(before) : new Uint32Array(1);
  if (before && !late) {
    scheduler.complete(before, previousIds);
    previousIds = new Uint32Array(previousIds.length).fill(vocab - 1);
  }
  // Prefills first: the scheduler would give the rest of the budget to the chunk, which is cut by it.
  const rows = decodes.length + prefills.reduce((sum, one) => sum + one.rows, 0) + (chunk?.rows ?? 0);
  options.maxNumBatchedTokens = rows;
  if (chunk && early && prefills.length > 0)
    throw new Error('a chunk that goes on runs before new prompts and leaves them no rows');
  for (const { rows: count, adapter, request } of prefills) add(count, adapter, request);
  if (chunk && !early) add(chunk.rows + 1, chunk.adapter);
  const step = next();
  const { data, shape } = writer.write(step);
  if (shape.rows !== rows) throw new Error(`the step has ${shape.rows} rows, not ${rows}`);
  return {
    step,
    data: data.slice(),
    shape,
    ...rowsOf(step, previousIds),
    previousIds,
    blockSize: BLOCK_SIZE,
    totalBlocks: blocks,
  };
}

function rowsOf(step: Step, previousIds: Uint32Array): { rows: Row[]; sampledRows: number[] } {
  const rows: Row[] = [];
  const sampledRows: number[] = [];
  for (const { sequence, first, count, samples, previous } of step.parts) {
    const { prompt } = sequence.request;
    for (let position = first; position < first + count; position++) {
      const known = position < prompt.length ? prompt[position] : sequence.output[position - prompt.length];
      const token = (previous === null ? known : previousIds[previous]) as number;
      rows.push({ sequence, adapter: sequence.adapter as Adapter, position, token, previous });
    }
    if (samples) sampledRows.push(rows.length - 1);
  }
  return { rows, sampledRows };
}

function shuffledBlocks(total: number, random: Random): BlockManager {
  const manager = new BlockManager(total, BLOCK_SIZE);
  const blocks = manager.take(total * BLOCK_SIZE) as number[];
  manager.give(random.shuffle(blocks));
  return manager;
}

/**
 * A batch of so many rows over these adapters (null: the base model): up to five decodes and, when rows are left, a prompt.
 * Adapters take turns; with more than two rows, the prompt's adapter has a decode in the batch as well.
 */
export function batchOfRows(rows: number, adapters: readonly Adapter[], seed = 1): Batch {
  const of = (i: number): Adapter => adapters[i % adapters.length] ?? null;
  const decoding = rows <= 5 ? Math.max(1, rows - (rows > 2 ? 2 : 0)) : 5;
  const rest = rows - decoding;
  return makeBatch({
    decodes: Array.from({ length: decoding }, (_, i) => ({ adapter: of(i), context: 3 + 7 * i })),
    prefills: rest > 0 ? [{ adapter: of(decoding > 1 ? 1 : 0), rows: rest }] : [],
    seed,
  });
}

export interface TestAdapters {
  adapters: ResidentAdapter[];
  pages: number;
  slots: number;
}

/**
 * Adapters of these ranks whose pages do not lie in order: others were loaded between them and are gone.
 * @param columned of those, by index: they have column words
 */
export async function makeAdapters(
  ranks: readonly number[],
  columned: (index: number) => boolean = () => false,
  maxRank = 64,
): Promise<TestAdapters> {
  const slots = new AdapterSlots(2 * ranks.length + 1, maxRank);
  const add = (name: string, rank: number, scale: number, hasColumns = false): ResidentAdapter => {
    const adapter = slots.add(name, `test:${name}`, rank, scale, hasColumns);
    if (!adapter) throw new Error(`no slot for ${name}`);
    return adapter;
  };
  for (let i = 0; i <= ranks.length; i++) add(`gone ${i}`, 1 + ((i * 11) % maxRank), 1);
  for (let i = 0; i <= ranks.length; i += 2) await slots.remove(`gone ${i}`);
  const scales = [0.5, 2, -0.25];
  const adapters = ranks.map((rank, i) => add(`adapter ${i}`, rank, scales[i % 3] as number, columned(i)));
  for (let i = 1; i <= ranks.length; i += 2) await slots.remove(`gone ${i}`);
  return { adapters, pages: slots.pages, slots: slots.slots };
}
