/**
 * The timed server as a program that somebody's command starts: a script on disk, its options as JSON in its last argument.
 *
 * What it serves is the timed server's; beside that it knows ways to misbehave as a process: to end before or after it is ready,
 * to take its time. The key it wants is in its environment (SERVER_KEY).
 */
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { emitModules } from './emit-modules.ts';
import type { PlainOptions } from './timed-server-process.ts';

export interface CommandServerOptions extends PlainOptions {
  port: number;
  /** Listens so long after its start. */
  startMs?: number;
  /** Ends with code 3 so long after its start, and says why. */
  endMs?: number;
  /** Ends at the n-th generation request, from 1 on. */
  endAtRequest?: number;
}

export interface ServerProgram {
  /** Program and arguments. */
  commandFor(options: CommandServerOptions): string[];
  remove(): void;
}

export function serverProgram(): ServerProgram {
  const emitted = emitModules('test/support/timed-server.ts');
  const script = join(emitted.folder, 'server.mjs');
  const module = pathToFileURL(emitted.pathOf('test/support/timed-server.ts')).href;
  writeFileSync(
    script,
    `
const { startTimedServer } = await import(${JSON.stringify(module)});
const { startMs = 0, endMs = null, endAtRequest = null, ...options } = JSON.parse(process.argv.at(-1));
console.error('loading in ' + process.cwd() + ' as ' + (process.env.SERVED_AS ?? 'nobody'));
const end = () => {
  console.error('Traceback: out of cake');
  process.exit(3);
};
if (endMs !== null) setTimeout(end, endMs);
await new Promise((resolve) => setTimeout(resolve, startMs));
let requests = 0;
await startTimedServer({
  ...options,
  apiKey: process.env.SERVER_KEY ?? null,
  fault: () => (++requests === endAtRequest ? end() : null),
});
console.log('listening');
`,
  );
  return {
    commandFor: (options) => [process.execPath, script, JSON.stringify(options)],
    remove: () => emitted.remove(),
  };
}

/** A port of loopback that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
