/** The calibrated server's process. argv: milliseconds between tokens, milliseconds to the first. */
import type { AddressInfo } from 'node:net';
import { createCalibratedServer } from './calibrated-server.ts';

const [gapMs, ttftMs] = process.argv.slice(2).map(Number) as [number, number];
const server = createCalibratedServer(gapMs, ttftMs);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
});
// Whoever started it is gone: without a server and its connections nothing keeps the process.
process.stdin
  .on('end', () => {
    server.close();
    server.closeAllConnections();
  })
  .resume();
