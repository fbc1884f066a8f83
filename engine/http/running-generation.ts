/**
 * One generation in progress: submits the sequence, turns ids into text events, and keeps the stamps of its life.
 *
 * A Generation in; events out, one for each token, also for those whose text is not certain yet (empty text then), and
 * exactly one end: an event with `finish`, or an error. Nothing is told after the end or after cancel().
 */
import { now } from '../clock.ts';
import type { EngineCore, SequenceHandle, SequenceListener, SequenceTimings, Tier } from '../core.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { ApiError, modelNotFound } from './api-error.ts';
import { baseName } from './base-name.ts';
import type { DelayedListener, DelayLine } from './delay-line.ts';
import type { Generation } from './generation.ts';
import { OutputText } from './output-text.ts';

export type Finish = 'length' | 'stop';

export interface TokenEvent {
  text: string;
  /** 1, or 0 for an end that brings no token. */
  tokens: 0 | 1;
  finish: Finish | null;
}

export interface GenerationListener {
  onEvent(event: TokenEvent): void;
  onError(error: ApiError): void;
}

/** Where a request's time went. Milliseconds; EXTENSIONS.md says from when to when. */
export interface RequestTimings {
  queue_ms: number;
  adapter_ms: number;
  /** Where the adapter was when the request came; null for the base model. */
  adapter_tier: Tier | null;
  /** Bytes read and sent to the device for this request to run. */
  adapter_bytes: number;
  adapter_load_ms: number;
  prefill_ms: number;
  decode_ms: number;
  ttft_ms: number;
  stream_ms: number;
}

export class RunningGeneration {
  readonly generation: Generation;
  /** When the request's body had been read, ns. */
  readonly #read: number;
  readonly #text: OutputText;
  readonly #core: EngineCore;
  readonly #listener: GenerationListener;
  readonly #line: DelayLine | null;
  #handle: SequenceHandle | null = null;
  #delayed: DelayedListener | null = null;
  #ended = false;
  #firstContent: number | null = null;
  #lastContent: number | null = null;
  /** The core's stamps as of the last token. */
  sequenceTimings: SequenceTimings | null = null;

  constructor(
    generation: Generation,
    context: { core: EngineCore; tokenizer: Tokenizer; read: number; line: DelayLine | null },
    listener: GenerationListener,
  ) {
    this.generation = generation;
    this.#read = context.read;
    this.#core = context.core;
    this.#line = context.line;
    this.#listener = listener;
    this.#text = new OutputText(context.tokenizer, generation.stop, generation.sequence.minTokens);
  }

  start(): void {
    const listener: SequenceListener = {
      onTokens: (ids, finish, timings) => this.#onTokens(ids, finish, timings),
      onError: ({ code, message }) => {
        if (this.#ended) return;
        this.#ended = true;
        this.#listener.onError(this.#errorOf(code, message));
      },
    };
    this.#delayed = this.#line?.listener(listener, this.#read) ?? null;
    this.#handle = this.#core.submit(this.generation.sequence, this.#delayed ?? listener);
    if (this.#ended) this.#handle.cancel(); // by a stop string, before the handle was known
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Ends it without a word: the client is gone. */
  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#delayed?.drop();
    this.#handle?.cancel();
  }

  /** To be called at the moment an event that carries a token is written. */
  wroteContent(): void {
    this.#lastContent = now();
    this.#firstContent ??= this.#lastContent;
  }

  timings(): RequestTimings | null {
    const t = this.sequenceTimings;
    if (t === null) return null;
    return {
      queue_ms: milliseconds(t.prefillStart - t.received - t.adapterWait),
      adapter_ms: milliseconds(t.adapterWait),
      adapter_tier: t.adapterTier,
      adapter_bytes: t.adapterBytes,
      adapter_load_ms: milliseconds(t.adapterLoad),
      prefill_ms: milliseconds(t.firstToken - t.prefillStart),
      decode_ms: milliseconds(t.lastToken - t.firstToken),
      ttft_ms: this.#firstContent === null ? 0 : milliseconds(this.#firstContent - this.#read),
      stream_ms: this.#firstContent === null ? 0 : milliseconds(this.#lastContent! - this.#firstContent),
    };
  }

  #onTokens(ids: number[], finish: Finish | null, timings: SequenceTimings): void {
    if (this.#ended) return;
    this.sequenceTimings = timings;
    for (const [i, id] of ids.entries()) {
      const { text, stopped } = this.#text.push(id);
      if (stopped) {
        this.#ended = true;
        this.#handle?.cancel();
        this.#listener.onEvent({ text, tokens: 1, finish: 'stop' });
        return;
      }
      if (finish !== null && i === ids.length - 1) this.#finish(text, 1, finish);
      else this.#listener.onEvent({ text, tokens: 1, finish: null });
      if (this.#ended) return;
    }
    if (finish !== null && ids.length === 0) this.#finish('', 0, finish);
  }

  #finish(text: string, tokens: 0 | 1, finish: Finish): void {
    this.#ended = true;
    const rest = this.#text.finish();
    this.#listener.onEvent({ text: text + rest.text, tokens, finish: rest.stopped ? 'stop' : finish });
  }

  #errorOf(code: 'adapter_gone' | 'device_lost' | 'closing', message: string): ApiError {
    if (code === 'adapter_gone') {
      const { model } = this.generation;
      const adapters = this.#core.adapters().map(({ name }) => name);
      // Known, but it cannot be had: its file broke since it was checked, or pinned adapters hold every slot.
      if (adapters.includes(model)) return new ApiError(503, message, { param: 'model', code: 'adapter_unavailable' });
      return modelNotFound(model, [baseName(this.#core.info), ...adapters]);
    }
    return new ApiError(503, code === 'closing' ? 'The server is shutting down.' : message, { code });
  }
}

const milliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1e3) / 1e3;
