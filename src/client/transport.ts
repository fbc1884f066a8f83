/**
 * Bytes to and from one origin: undici at its lowest level, one undici Client per connection.
 *
 * In: a request and a handler. Out: stamped calls of the handler as the socket delivers. No streams and no promises
 * between the socket and the stamp: each costs turns of the event loop at a thousand streams.
 *
 * A connection carries one request at a time, and one more is opened when all are busy, so that no request ever waits
 * behind another; `connect(n)` opens them ahead, TLS included, so that no handshake falls into what is measured.
 * undici's connector sets TCP_NODELAY. Its own timeouts are off: exchange.ts times each phase.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';
import { BenchError } from '../errors.ts';
import { now } from './clock.ts';
import { ownLimitOf, wordsOfFailure } from './failures.ts';
import { CONNECT_LIMIT_MS } from './timeouts.ts';

/** undici drops idle connections after 4 s, which falls between two runs; servers that want less say so in a header. */
const KEEP_ALIVE_MS = 600_000;

export interface OutgoingRequest {
  path: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body: string | null;
}

/**
 * A kept connection ended just as the next request went out on it. Servers may close one at any time (RFC 9112, 9.3.1), and
 * llama.cpp does after each streamed answer, without saying so.
 */
const wasClosed = (failure: Error): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes((failure as { code?: string }).code ?? '');

/** Called in this order; exactly one of end and error comes last, and nothing after abort(). */
export interface ExchangeHandler {
  /** The request is being written to a connected socket. */
  sent(at: number): void;
  /**
   * The kept connection it was written to had been closed; it goes out once more, on a new one, before anything else is
   * called. Not on a new one that breaks: that is an answer, too.
   */
  repeated(at: number): void;
  headers(status: number, at: number, fields: IncomingHttpHeaders): void;
  data(bytes: Buffer, at: number): void;
  end(at: number): void;
  error(failure: Error, at: number): void;
}

export interface Transport {
  /** Opens connections until `count` are open. @throws BenchError TARGET_UNREACHABLE, UNSUPPORTED (a limit here) */
  connect(count: number): Promise<void>;
  /** Starts an exchange; the returned function gives it up, closing its connection. */
  dispatch(request: OutgoingRequest, handler: ExchangeHandler): () => void;
  /** Closes every connection; exchanges under way end with an error. */
  close(): Promise<void>;
}

interface Connection {
  client: Client;
  open: boolean;
  /** It has carried an answer. */
  used: boolean;
}

export function createTransport(origin: URL): Transport {
  const handshake = buildConnector({ timeout: CONNECT_LIMIT_MS });
  /** Sockets whose handshake is under way. */
  const opening = new Set<Socket>();
  /** Open sockets that belong to no Client yet. */
  const ready = new Set<Socket>();
  const connections = new Set<Connection>();
  /** Open and free, longest idle first: undici spends a turn of the event loop on one that has just become free. */
  const idle: Connection[] = [];
  let closed = false;

  const open: buildConnector.connector = (options, callback) => {
    // It does return the socket, though its type doesn't say so; without it nothing could end a handshake early.
    const socket = handshake(options, callback) as unknown as Socket;
    opening.add(socket);
    const settled = () => opening.delete(socket);
    socket.once(options.protocol === 'https:' ? 'secureConnect' : 'connect', settled).once('close', settled);
  };

  const takeReady = (): Socket | undefined => {
    for (const socket of ready) {
      ready.delete(socket);
      socket.removeAllListeners('error').removeAllListeners('close');
      if (!socket.destroyed && socket.readable) return socket;
      socket.destroy();
    }
    return undefined;
  };

  const connector: buildConnector.connector = (options, callback) => {
    const socket = takeReady();
    // Never synchronously: undici would take the connection for one that is still being opened.
    if (socket !== undefined) queueMicrotask(() => callback(null, socket));
    else open(options, callback);
  };

  const add = (): Connection => {
    const client = new Client(origin, {
      connect: connector,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const connection: Connection = { client, open: false, used: false };
    client.on('connect', () => {
      connection.open = true;
    });
    client.on('disconnect', () => {
      connection.open = false;
      const place = idle.indexOf(connection);
      if (place === -1) return; // its request reconnects, or release() drops it
      idle.splice(place, 1);
      drop(connection);
    });
    connections.add(connection);
    return connection;
  };

  const drop = (connection: Connection) => {
    connections.delete(connection);
    connection.client.destroy().catch(() => {}); // nothing is in flight on it; how its socket closes changes nothing
  };

  const release = (connection: Connection) => {
    if (closed) return;
    if (connection.open) idle.push(connection);
    else drop(connection);
  };

  const openAhead = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const { hostname, host, protocol, port } = origin;
      const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
      open({ hostname: bare, host, protocol, port }, (...[failure, socket]) => {
        if (failure !== null) {
          reject(failure);
          return;
        }
        if (closed) {
          socket.destroy();
          resolve();
          return;
        }
        ready.add(socket);
        const forget = () => {
          ready.delete(socket);
          socket.destroy();
        };
        socket.once('error', forget).once('close', forget);
        resolve();
      });
    });

  return {
    async connect(count) {
      const opened = ready.size + [...connections].filter((connection) => connection.open).length;
      const missing = Math.max(0, count - opened);
      const failures = (await Promise.allSettled(Array.from({ length: missing }, openAhead)))
        .filter((outcome) => outcome.status === 'rejected')
        .map(({ reason }) => reason as Error);
      const [first] = failures;
      if (first === undefined) return;
      const limited = failures.find((failure) => ownLimitOf(failure) !== null);
      const own = ownLimitOf(limited);
      if (own !== null) {
        throw new BenchError('UNSUPPORTED', `${own.is} for ${count} connections to ${origin.origin}; ${own.remedy}.`, {
          cause: limited,
        });
      }
      throw new BenchError(
        'TARGET_UNREACHABLE',
        `${failures.length} of ${missing} connections to ${origin.origin} could not be opened: ${wordsOfFailure(first)}.`,
        { cause: first },
      );
    },

    dispatch(request, handler) {
      if (closed) {
        queueMicrotask(() => handler.error(new Error('the client is closed'), now()));
        return () => {};
      }
      let abandoned = false;
      let giveUp: () => void = () => {};
      const begin = (connection: Connection, repeatable: boolean) => {
        let controller: Dispatcher.DispatchController | null = null;
        let over = false;
        let answered = false;
        const finish = (): boolean => {
          if (over) return false;
          over = true;
          release(connection);
          return !abandoned;
        };
        connection.client.dispatch(
          { ...request, origin: origin.origin },
          {
            onRequestStart(started) {
              controller = started;
              if (abandoned) started.abort(new Error('given up before it was sent'));
              else handler.sent(now());
            },
            onResponseStart(_, status, fields) {
              answered = true;
              if (!abandoned) handler.headers(status, now(), fields);
            },
            onResponseData(_, bytes) {
              const at = now();
              if (!abandoned) handler.data(bytes, at);
            },
            onResponseEnd() {
              const at = now();
              connection.used = true;
              if (finish()) handler.end(at);
            },
            onResponseError(_, failure) {
              const at = now();
              if (!finish()) return;
              if (repeatable && !answered && connection.used && wasClosed(failure)) {
                handler.repeated(at);
                begin(add(), false);
              } else {
                handler.error(failure, at);
              }
            },
          },
        );
        giveUp = () => {
          if (over || abandoned) return;
          abandoned = true;
          controller?.abort(new Error('given up'));
        };
      };
      begin(idle.shift() ?? add(), true);
      return () => giveUp();
    },

    async close() {
      closed = true;
      for (const socket of [...ready, ...opening]) socket.destroy();
      ready.clear();
      await Promise.all([...connections].map(({ client }) => client.destroy()));
      connections.clear();
      idle.length = 0;
    },
  };
}
