/**
 * Decides which rows the next step runs: continuous batching, decodes and prefill chunks in one batch under a token budget.
 *
 * In: sequences (add, cancel) and the ids of completed steps (complete). Out: Steps (schedule), each a list of parts in the
 * order of the rows: parts of one adapter lie together, base parts first, so that a kernel meets each adapter once.
 *
 * Planning never needs the previous step's ids: a decode row takes its token "from row i of the previous step" when that
 * step sampled it, and the end by length is known ahead. An end id, a stop string or a cancel takes effect one step late;
 * the extra token is dropped, and blocks and adapter are let go only when the last step that names the sequence has completed.
 *
 * A sequence is admitted by blocks and seats, first come, first served, whether or not its adapter is on the device; it gets
 * rows only while the adapter is. Which adapters are there, and for how long, lora/residency.ts decides before each step.
 */
import { now } from '../clock.ts';
import { EngineError } from '../errors.ts';
import type { BlockManager } from './block-manager.ts';
import { inOrder, type Sequence } from './sequence.ts';

/** What the device samples when it can choose none: kernels/sample.wgsl. */
const NO_ID = 0xffffffff;

/** Some rows of one sequence: positions first .. first + count - 1. */
export interface Part {
  sequence: Sequence;
  first: number;
  count: number;
  /** The last row's logits are sampled: a decode, or the chunk that ends the prompt. */
  samples: boolean;
  /** For a decode row whose token the previous step samples: that sample's index. Else null: the host knows the token. */
  previous: number | null;
}

export interface Step {
  parts: Part[];
  rows: number;
  /** Parts that sample, in order: sample i of the step belongs to sampled[i]. */
  sampled: Part[];
}

/** A sequence's news after a step: ids to deliver, and how it ended if it did. */
export interface Delivery {
  sequence: Sequence;
  ids: number[];
  finish: 'length' | 'stop' | null;
}

export interface SchedulerOptions {
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  blocks: BlockManager;
  endIds: readonly number[];
}

export class Scheduler {
  private readonly options: SchedulerOptions;
  private readonly waitingQueue: Sequence[] = [];
  private readonly runningSet = new Set<Sequence>();
  private holding = false;
  /** Sample index of each sequence in the step submitted last. */
  private lastSamples = new Map<Sequence, number>();

  constructor(options: SchedulerOptions) {
    this.options = options;
  }

  get waiting(): number {
    return this.waitingQueue.length;
  }

  get running(): number {
    return this.runningSet.size;
  }

  /** Some admitted sequence wants rows and has its adapter, so that a step could be planned. */
  get canRun(): boolean {
    for (const sequence of this.runningSet) if (sequence.canRun) return true;
    return false;
  }

  /** Sequences that have blocks and a seat, in the order of their admission. */
  get admitted(): Iterable<Sequence> {
    return this.runningSet;
  }

  /** Sequences that wait for blocks or a seat, in the order of their arrival. */
  get queued(): Iterable<Sequence> {
    return this.waitingQueue;
  }

  add(sequence: Sequence): void {
    if (sequence.adapter) sequence.adapter.users++;
    this.waitingQueue.push(sequence);
  }

  /** From now on nobody is admitted; those that run go on. */
  hold(): void {
    this.holding = true;
  }

  /** Ends that: who waits is admitted in the order that the requests ask for. @returns how many wait */
  letIn(): number {
    this.holding = false;
    this.waitingQueue.sort(inOrder);
    return this.waitingQueue.length;
  }

  /** The client is gone or has what it wanted. Safe to call at any time. */
  cancel(sequence: Sequence): void {
    if (sequence.ended) return;
    sequence.ended = true;
    const waiting = this.waitingQueue.indexOf(sequence);
    if (waiting >= 0) this.waitingQueue.splice(waiting, 1);
    this.release(sequence);
  }

  /** Gives blocks and seats to those that wait. schedule() does it too; before it, for who must know what is wanted. */
  admit(): void {
    if (this.holding) return;
    while (this.runningSet.size < this.options.maxNumSeqs) {
      const next = this.waitingQueue[0];
      const blocks = next && this.options.blocks.take(next.positions);
      if (!next || !blocks) return; // first come, first served: a smaller one behind it would starve it
      this.waitingQueue.shift();
      next.blocks = blocks;
      next.admitted = now();
      this.runningSet.add(next);
    }
  }

  /** The next step, or null when there is nothing to run. The caller submits it and later calls complete(). */
  schedule(): Step | null {
    this.admit();
    let budget = this.options.maxNumBatchedTokens;
    const parts: Part[] = [];
    const plan = (sequence: Sequence) => {
      const part = this.partOf(sequence, budget);
      if (!part) return;
      budget -= part.count;
      parts.push(part);
    };
    for (const sequence of this.runningSet) if (sequence.canRun && !sequence.prefilling) plan(sequence);
    for (const sequence of this.runningSet) if (sequence.canRun && sequence.prefilling) plan(sequence);
    if (parts.length === 0) return null;
    parts.sort(
      (a, b) =>
        (a.sequence.adapter?.place?.slot ?? -1) - (b.sequence.adapter?.place?.slot ?? -1) ||
        inOrder(a.sequence, b.sequence),
    );
    const sampled = parts.filter((part) => part.samples);
    this.lastSamples = new Map(sampled.map((part, i) => [part.sequence, i]));
    for (const { sequence, count, samples } of parts) {
      if (sequence.computed === 0) sequence.begins();
      if (sequence.adapter) sequence.adapter.inFlight++;
      sequence.computed += count;
      if (samples) sequence.planned++;
      sequence.inFlight++;
    }
    return { parts, rows: parts.reduce((sum, part) => sum + part.count, 0), sampled };
  }

  private partOf(sequence: Sequence, budget: number): Part | null {
    if (budget <= 0) return null;
    const { prompt } = sequence.request;
    if (sequence.prefilling) {
      const count = Math.min(budget, prompt.length - sequence.computed);
      const samples = sequence.computed + count === prompt.length;
      return { sequence, first: sequence.computed, count, samples, previous: null };
    }
    // Only what the step before this one samples is still on its way; anything older is in `output`.
    const previous = sequence.planned > sequence.output.length ? (this.lastSamples.get(sequence) ?? null) : null;
    return { sequence, first: sequence.computed, count: 1, samples: true, previous };
  }

  /**
   * @param ids one for each of step.sampled, in order
   * @throws EngineError bug when one is no id at all
   */
  complete(step: Step, ids: ArrayLike<number>): Delivery[] {
    const deliveries: Delivery[] = [];
    const at = now();
    step.sampled.forEach(({ sequence }, i) => {
      if (sequence.ended) return;
      const id = ids[i] as number;
      if (id === NO_ID) throw new EngineError('bug', `sequence ${sequence.id} got no token: every logit was NaN`);
      const { maxTokens, ignoreEos } = sequence.request;
      if (sequence.output.length === 0) sequence.firstToken = at;
      sequence.lastToken = at;
      if (!ignoreEos && this.options.endIds.includes(id)) {
        sequence.ended = true;
        deliveries.push({ sequence, ids: [], finish: 'stop' });
        return;
      }
      sequence.output.push(id);
      const finish = sequence.output.length === maxTokens ? 'length' : null;
      if (finish) sequence.ended = true;
      deliveries.push({ sequence, ids: [id], finish });
    });
    for (const { sequence } of step.parts) {
      sequence.inFlight--;
      if (sequence.adapter) sequence.adapter.inFlight--;
      if (sequence.ended) this.release(sequence);
    }
    return deliveries;
  }

  private release(sequence: Sequence): void {
    if (sequence.inFlight > 0) return;
    this.runningSet.delete(sequence);
    this.lastSamples.delete(sequence);
    this.options.blocks.give(sequence.blocks);
    sequence.blocks = [];
    sequence.adapter?.release();
  }
}
