/**
 * A real server on loopback that replays answers byte for byte, and refuses fields as others do.
 *
 * In: the steps of an answer (dialect-stream.ts), and what it says to a request's fields, if anything. Out: its URL, the
 * bodies it got, and when it wrote each step.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Step } from './dialect-stream.ts';

export interface DialectServerOptions {
  steps: Step[];
  /** An answer in place of the stream. */
  refuse?: (body: Record<string, unknown>) => { status: number; body: unknown } | null;
  clock: () => number;
  /** https instead, which would speak HTTP/2 as well. */
  tls?: { key: string; cert: string };
}

export interface DialectServer {
  url: string;
  bodies: Record<string, unknown>[];
  /** HTTP versions, a request each. */
  versions: string[];
  /** When each step of the last answer was written, by place; pauses have none. */
  written: Map<number, number>;
  close(): Promise<void>;
}

export async function startDialectServer({ steps, refuse, clock, tls }: DialectServerOptions): Promise<DialectServer> {
  const bodies: Record<string, unknown>[] = [];
  const versions: string[] = [];
  const written = new Map<number, number>();
  const sockets = new Set<Socket>();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>;
    bodies.push(body);
    versions.push(request.httpVersion);
    const refusal = refuse?.(body) ?? null;
    if (refusal !== null) {
      response.writeHead(refusal.status, { 'content-type': 'application/json' }).end(JSON.stringify(refusal.body));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    for (const [place, step] of steps.entries()) {
      if (typeof step === 'number') {
        await new Promise((resolve) => setTimeout(resolve, step));
        continue;
      }
      written.set(place, clock());
      response.write(step);
      await new Promise(setImmediate); // by itself: the next step is another HTTP chunk, and most likely another read
    }
    response.end();
  };
  const server =
    tls === undefined
      ? createServer(answer)
      : createSecureServer({ ...tls, ALPNProtocols: ['h2', 'http/1.1'] }, answer);
  server.on('connection', (socket) => {
    sockets.add(socket.setNoDelay(true));
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    bodies,
    versions,
    written,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
