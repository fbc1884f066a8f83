/**
 * The HTTP server over one EngineCore: OpenAI's API, adapter management, health and metrics.
 *
 * A core and a tokenizer in, a server that can listen and close out. Everything here runs on the main thread, which does
 * nothing else, so /health answers while a step runs. Errors of every kind become OpenAI's error JSON.
 */
import type { AddressInfo, Socket } from 'node:net';
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { now } from '../clock.ts';
import type { EngineCore } from '../core.ts';
import { EngineError } from '../errors.ts';
import { type InjectDelay, told } from '../inject-delay.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { packageVersion } from '../version.ts';
import { ApiError, asApiError } from './api-error.ts';
import { DelayLine } from './delay-line.ts';
import { driveRoutes } from './drive-route.ts';
import { generateRoutes } from './generate-route.ts';
import { loraRoutes } from './lora-route.ts';
import { createMetrics } from './metrics.ts';
import { modelsRoutes } from './models-route.ts';
import { profileRoutes } from './profile-route.ts';
import { residencyRoutes } from './residency-route.ts';
import { tokenizeRoute } from './tokenize-route.ts';

/** Bytes of a body: an order of magnitude more than the longest context's prompt as JSON, and parsed in about 50 ms. */
export const BODY_LIMIT = 4 * 1024 * 1024;

export interface HttpServer {
  /** Resolves with the address clients can use, such as "http://127.0.0.1:8000". @throws EngineError port_in_use, usage */
  listen(host: string, port: number): Promise<string>;
  /** Stops accepting; resolves when the answers in progress are done. */
  close(): Promise<void>;
}

export interface ServerOptions {
  core: EngineCore;
  tokenizer: Tokenizer;
  /** Makes it slower, for trying out what judges latency. */
  injectDelay?: InjectDelay | null;
  /** Told what a person should know of: internal errors, broken streams. */
  log: (line: string) => void;
}

export function createHttpServer({ core, tokenizer, injectDelay = null, log }: ServerOptions): HttpServer {
  const answerError = (error: unknown, reply: FastifyReply) => {
    const answer = asApiError(error, log);
    void reply.status(answer.status).send(answer.body());
  };
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, _request, reply) => answerError(error, reply as FastifyReply),
  });
  const readTimes = new WeakMap<FastifyRequest, number>();
  const readAt = (request: FastifyRequest) => readTimes.get(request) ?? now();
  const metrics = createMetrics(core);
  let dead = false;
  core.died.then(
    () => {
      dead = true;
    },
    () => {
      dead = true;
    },
  );

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    readTimes.set(request, now());
    try {
      done(null, JSON.parse(body as string));
    } catch (error) {
      done(error as Error);
    }
  });
  app.setErrorHandler((error, _request, reply) => answerError(error, reply));
  app.setNotFoundHandler((request) => {
    throw new ApiError(404, `Unknown route: ${request.method} ${request.url}.`, { code: 'unknown_route' });
  });

  app.get('/health', (_request, reply) => {
    if (dead) throw new ApiError(503, 'The device is lost.', { code: 'device_lost' });
    return reply.send({ status: 'ok' });
  });
  const version = packageVersion();
  const slowed = injectDelay === null ? {} : { inject_delay: told(injectDelay) };
  app.get('/version', () => ({ version, ...slowed }));
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  modelsRoutes(app, core);
  loraRoutes(app, core);
  residencyRoutes(app, core);
  profileRoutes(app, core);
  driveRoutes(app, core);
  tokenizeRoute(app, { core, tokenizer });
  const line = injectDelay && new DelayLine(injectDelay);
  generateRoutes(app, { core, tokenizer, metrics, readAt, line, log });

  return {
    async listen(host, port) {
      try {
        await app.listen({ host, port });
      } catch (error) {
        throw listenError(error as NodeJS.ErrnoException, host, port);
      }
      return urlOf(host, (app.server.address() as AddressInfo).port);
    },
    close: () => app.close(),
  };
}

/** An address to reach it by: "any" addresses cannot be connected to everywhere. */
function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Why a port cannot be listened on, as an error for people. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): EngineError {
  if (error.code === 'EADDRINUSE') {
    return new EngineError('port_in_use', `port ${port} on ${host} is in use by another process`, {
      hint: 'stop it, or name another with --port; --port 0 takes a free one',
    });
  }
  if (error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new EngineError('usage', `cannot listen on ${host} port ${port}: ${error.message}`, {
      hint: 'name an address of this machine with --host and a port above 1023 with --port',
    });
  }
  return new EngineError('bug', `cannot listen on ${host} port ${port}: ${error.message}`, { cause: error });
}

/** What cannot be read as HTTP at all gets its answer here; the framework never sees a request. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request'];
  const body = JSON.stringify(
    new ApiError(status as number, 'This is not an HTTP request that can be read.', { code: 'bad_http' }).body(),
  );
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
