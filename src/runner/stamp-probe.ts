/**
 * Bytes that say when they were sent, to every thread that measures: how late a thread stamps what arrives is then known
 * while it measures, whatever the reason (its own streams, the garbage collector, a busy machine).
 *
 * In: threads connect over loopback, as streams do. Out: to each, 43 times a second, the time of sending as a float64 of
 * nanoseconds on the common clock. The sender is the main thread, which has no streams: when it is late itself, it sends
 * later and says so, and nothing is blamed on the threads.
 */
import { createServer, type Socket } from 'node:net';
import { now } from '../client/clock.ts';

export const STAMP_BYTES = 8;
/** No divisor of a second or of a usual step time, so that probes fall anywhere between a server's bursts. */
const INTERVAL_MS = 23;

export interface StampProbe {
  port: number;
  /** Sends from now on. */
  start(): void;
  pause(): void;
  close(): void;
}

export async function startStampProbe(): Promise<StampProbe> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.unref();
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  server.unref();
  let timer: NodeJS.Timeout | null = null;
  const send = () => {
    for (const socket of sockets) {
      const stamp = Buffer.alloc(STAMP_BYTES);
      stamp.writeDoubleLE(now(), 0);
      socket.write(stamp);
    }
  };
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address with a port');
  return {
    port: address.port,
    start() {
      timer ??= setInterval(send, INTERVAL_MS);
    },
    pause() {
      if (timer !== null) clearInterval(timer);
      timer = null;
    },
    close() {
      if (timer !== null) clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
