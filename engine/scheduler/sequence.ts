/**
 * One request inside the engine: its tokens, where its KV lies, and how far it is planned and delivered.
 *
 * Planning runs ahead of delivery by one step: `planned` counts tokens that steps have been asked for, `output` holds
 * those whose ids have come back. Nothing in planning reads an id that has not.
 */
import type { SequenceRequest } from '../core.ts';
import type { ResidentAdapter } from '../lora/slots.ts';

export class Sequence {
  readonly id: number;
  readonly request: SequenceRequest;
  readonly adapter: ResidentAdapter | null;
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
  admitted = 0;
  prefillStart = 0;
  firstToken = 0;
  lastToken = 0;

  constructor(id: number, request: SequenceRequest, adapter: ResidentAdapter | null, received: number) {
    this.id = id;
    this.request = request;
    this.adapter = adapter;
    this.received = received;
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
}
