/**
 * A real server on loopback whose pages of metrics are what a test says: any path, status, delay and body, changed as it
 * runs. Out: its URL, and which paths were asked for, with which headers.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export type Page =
  | string
  | { status: number; body?: string; headers?: Record<string, string> }
  /** Whatever else a server can do to an answer. */
  | ((response: ServerResponse) => void);

export interface MetricsServer {
  /** Without a path. */
  origin: string;
  /** By path; any other is answered 404. */
  pages: Record<string, Page>;
  asked: { path: string; headers: IncomingHttpHeaders }[];
  /** Connections that were opened so far. */
  readonly connections: number;
  close(): Promise<void>;
}

export async function startMetricsServer(pages: Record<string, Page> = {}): Promise<MetricsServer> {
  const sockets = new Set<Socket>();
  const asked: MetricsServer['asked'] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push({ path, headers: request.headers });
    const page = started.pages[path] ?? { status: 404, body: '{"detail":"Not Found"}' };
    if (typeof page === 'function') return page(response);
    const { status, body = '', headers = {} } = typeof page === 'string' ? { status: 200, body: page } : page;
    response.writeHead(status, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', ...headers }).end(body);
  });
  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const started: MetricsServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pages,
    asked,
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return started;
}
