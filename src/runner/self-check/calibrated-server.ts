/**
 * A server whose timing is known, for finding out what the client adds: run as a process of its own, on loopback.
 *
 * In (argv): milliseconds between tokens, and until the first. Out: one JSON line with its port on stdout; then OpenAI
 * completions, streamed. All streams get their next token in the same turn, as from an engine that batches, and each
 * chunk's text is the time (process.hrtime, ns) at which it was handed to the system. It never tokenizes, schedules or
 * waits, so that what differs between that time and the client's stamp is the client, and the machine under it.
 *
 * Ends when its standard input does, so that it never outlives who started it.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';

const HEAD = 'data: {"id":"c","object":"text_completion","choices":[{"index":0,"text":" ';
const TAIL = '","finish_reason":null}]}\n\n';
const LIMIT_BYTES = 4 * 1024 * 1024;

interface Stream {
  response: ServerResponse;
  left: number;
  total: number;
  /** When its next token is due, ms of performance.now(). */
  due: number;
}

const hrtime = (): number => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
};

export function createCalibratedServer(gapMs: number, ttftMs: number): Server {
  const streams = new Set<Stream>();
  let next = 0;
  let timer: NodeJS.Timeout | null = null;

  const step = () => {
    const now = performance.now();
    if (now < next) {
      timer = setTimeout(step, next - now); // timers may fire up to a millisecond early
      return;
    }
    for (const stream of streams) if (stream.due <= now) emit(stream);
    if (streams.size === 0) {
      timer = null;
      return;
    }
    // Steps keep their beat: one that comes late does not move those after it.
    while (next <= now) next += gapMs;
    timer = setTimeout(step, next - now);
  };

  const emit = (stream: Stream) => {
    const { response } = stream;
    stream.left--;
    response.write(`${HEAD}${hrtime()}${TAIL}`);
    response.socket?.uncork(); // Node would keep it until this turn is over, and the time would be too early
    if (stream.left > 0) return;
    streams.delete(stream);
    const usage = `{"prompt_tokens":1,"completion_tokens":${stream.total},"total_tokens":${stream.total + 1}}`;
    response.end(
      `data: {"choices":[{"index":0,"text":"","finish_reason":"length"}]}\n\ndata: {"choices":[],"usage":${usage}}\n\ndata: [DONE]\n\n`,
    );
  };

  return createServer({ noDelay: true, keepAliveTimeout: 0 }, (request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => {
      if (body.length < LIMIT_BYTES) body += piece.toString('latin1');
    });
    request.on('end', () => {
      const tokens = Number(/"max_tokens":(\d+)/.exec(body)?.[1] ?? 1);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      const stream = { response, left: tokens, total: tokens, due: performance.now() + ttftMs };
      streams.add(stream);
      response.on('close', () => streams.delete(stream));
      if (timer === null) {
        next = performance.now() + gapMs;
        timer = setTimeout(step, gapMs);
      }
    });
  });
}
