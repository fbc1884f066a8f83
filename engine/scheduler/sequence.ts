/**
 * One request inside the engine: its tokens, where its KV lies, and how far it is planned and delivered.
 *
 * Planning runs ahead of delivery by one step: `planned` counts tokens that steps have been asked for, `output` holds
 * those whose ids have come back. Nothing in planning reads an id that has not.
 */
import type { SequenceRequest, SequenceTimings, Tier } from '../core.ts';
import type { Place } from '../lora/place.ts';

/** An adapter as sequences and steps see it. */
export interface ServedAdapter {
  /** Where it is on the device; null while it is not there: its sequences then keep their KV and get no rows. */
  readonly place: Place | null;
  /** How it came to that place: when (ns), what was put on the device for it, and how long that work alone took. */
  readonly arrival: { readonly at: number; readonly bytes: number; readonly nanoseconds: number };
  /** Sequences that name it, those that wait included. */
  users: number;
  /** Parts of submitted steps that name it and have not completed: above 0 its place must not go to another. */
  inFlight: number;
  /** One of its users has ended, and no step in flight names that sequence. */
  release(): void;
}

/** The order in which sequences are let in when a hold ends, and stand within an adapter's rows of a step. */
export const inOrder = (a: Sequence, b: Sequence): number => a.order - b.order || a.id - b.id;

export class Sequence {
  readonly id: number;
  readonly request: SequenceRequest;
  readonly adapter: ServedAdapter | null;
  /** KV blocks, position p in blocks[floor(p / blockSize)]. Empty until admitted. */
  blocks: number[] = [];
  /** Positions whose KV is computed by the steps submitted so far. */
  computed = 0;
  /** Output tokens that steps have been asked for. */
  planned = 0;
  /** Output ids that have come back, in order. */
  readonly output: number[] = [];
  /** Submitted steps that name this sequence and have not completed. */
  inFlight = 0;
  /** Finished or cancelled: gets no more rows; what it holds is freed when inFlight is 0. */
  ended = false;

  readonly received: number;
  /** Where its adapter was when it came; null for the base model. */
  readonly adapterTier: Tier | null;
  admitted = 0;
  adapterWait = 0;
  adapterBytes = 0;
  adapterLoad = 0;
  prefillStart = 0;
  firstToken = 0;
  lastToken = 0;

  constructor(
    id: number,
    request: SequenceRequest,
    adapter: ServedAdapter | null,
    received: number,
    adapterTier: Tier | null = null,
  ) {
    this.id = id;
    this.request = request;
    this.adapter = adapter;
    this.received = received;
    this.adapterTier = adapterTier;
  }

  /** Its place among those that are held, where its request names one; else behind all that do, first come first. */
  get order(): number {
    return this.request.order ?? Number.MAX_SAFE_INTEGER;
  }

  /** Positions it may come to hold: prompt and every output token but the last, whose KV nobody needs. */
  get positions(): number {
    return this.request.prompt.length + this.request.maxTokens - 1;
  }

  get prefilling(): boolean {
    return this.computed < this.request.prompt.length;
  }

  get wantsRows(): boolean {
    return !this.ended && this.planned < this.request.maxTokens;
  }

  /** It wants rows and its adapter is there to run them. */
  get canRun(): boolean {
    return this.wantsRows && (this.adapter === null || this.adapter.place !== null);
  }

  /** To be called when it gets its first rows: what its adapter has cost it so far is known then. */
  begins(): void {
    if (!this.adapter) return;
    const { at, bytes, nanoseconds } = this.adapter.arrival;
    this.adapterWait = Math.max(0, at - this.admitted);
    if (at <= this.received) return; // it was there already
    this.adapterBytes = bytes;
    this.adapterLoad = nanoseconds;
  }

  get timings(): SequenceTimings {
    const { received, admitted, adapterWait, adapterTier, adapterBytes, adapterLoad } = this;
    const { prefillStart, firstToken, lastToken } = this;
    return {
      received,
      admitted,
      adapterWait,
      adapterTier,
      adapterBytes,
      adapterLoad,
      prefillStart,
      firstToken,
      lastToken,
    };
  }
}
