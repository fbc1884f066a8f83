/**
 * Token ids to text as it may be shown: whole characters only, nothing after a stop string, nothing that may yet turn
 * out to be the beginning of one.
 *
 * Ids in one by one, the newly certain text out, often empty. Stop strings are found across token boundaries; the first
 * to occur ends the output, and neither it nor what follows is given out. Text of the first `minTokens` tokens is not
 * searched, as in vLLM.
 */
import type { Tokenizer } from '../models/tokenizer.ts';

export interface OutputStep {
  text: string;
  /** A stop string is complete: the sequence is over. */
  stopped: boolean;
}

export class OutputText {
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  readonly #minTokens: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #tokens = 0;
  /** Decoded and not given out: the longest ending that a stop string could begin with. */
  #held = '';

  constructor(tokenizer: Tokenizer, stops: readonly string[], minTokens: number) {
    this.#tokenizer = tokenizer;
    this.#stops = stops;
    this.#minTokens = minTokens;
  }

  push(id: number): OutputStep {
    this.#tokens += 1;
    return this.#release(this.#decoder.decode(this.#tokenizer.bytesOf(id), { stream: true }));
  }

  /** The sequence ended by itself: what was held back, with U+FFFD for a character that was never completed. */
  finish(): OutputStep {
    const step = this.#release(this.#decoder.decode());
    const text = step.text + this.#held;
    this.#held = '';
    return { text, stopped: step.stopped };
  }

  #release(decoded: string): OutputStep {
    if (this.#stops.length === 0 || this.#tokens <= this.#minTokens) return { text: decoded, stopped: false };
    const text = this.#held + decoded;
    const starts = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (starts.length > 0) {
      this.#held = '';
      return { text: text.slice(0, Math.min(...starts)), stopped: true };
    }
    const hold = Math.max(...this.#stops.map((stop) => overlap(text, stop)));
    this.#held = text.slice(text.length - hold);
    return { text: text.slice(0, text.length - hold), stopped: false };
  }
}

/** Length of the longest ending of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
