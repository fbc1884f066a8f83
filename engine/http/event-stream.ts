/**
 * A response as a stream of server-sent events: one socket write an event, as soon as it is known.
 *
 * Takes functions that render an event's JSON, and calls each at the moment of its write, so that stamps inside are those
 * of the write even where the client reads slowly. While the client does not keep up, events wait here (at most one for
 * each token asked for). A client that goes away is told to the owner once; nothing is written after that.
 */
import type { ServerResponse } from 'node:http';

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Proxies of the nginx family would otherwise collect events.
  'x-accel-buffering': 'no',
};

export class EventStream {
  readonly #response: ServerResponse;
  readonly #waiting: Array<() => string> = [];
  #blocked = false;
  #ending = false;
  #gone = false;

  /** `onGone` is called when the connection closed before the stream was complete, with the error if there was one. */
  constructor(response: ServerResponse, onGone: (error: Error | null) => void) {
    this.#response = response;
    let failure: Error | null = null;
    response.on('error', (error) => {
      failure = error;
    });
    response.on('drain', () => {
      this.#blocked = false;
      this.#flush();
    });
    response.on('close', () => {
      if (response.writableFinished) return;
      this.#gone = true;
      this.#waiting.length = 0;
      onGone(failure);
    });
    response.socket?.setNoDelay(true);
    response.writeHead(200, HEADERS);
    // At once: clients bound the time to the headers and the time to the first token separately.
    response.flushHeaders();
  }

  send(render: () => string): void {
    if (this.#gone || this.#ending) return;
    this.#waiting.push(render);
    this.#flush();
  }

  /** Ends with the [DONE] event once all is written. */
  end(): void {
    if (this.#gone || this.#ending) return;
    this.#waiting.push(() => '[DONE]');
    this.#ending = true;
    this.#flush();
  }

  #flush(): void {
    while (!this.#blocked && !this.#gone) {
      const render = this.#waiting.shift();
      if (render === undefined) break;
      this.#blocked = !this.#response.write(`data: ${render()}\n\n`);
    }
    if (this.#ending && this.#waiting.length === 0 && !this.#gone && !this.#response.writableEnded)
      this.#response.end();
  }
}
