// Builds and runs the server in chunk-server.c. In: how it writes. Out: its URL, and what it did and used once it is stopped.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('chunk-server.c', import.meta.url));

/** @returns the program's path in `folder` */
export function buildChunkServer(folder) {
  const program = `${folder}/chunk-server`;
  execFileSync('cc', ['-O2', '-Wall', '-o', program, SOURCE], { stdio: 'inherit' });
  return program;
}

/**
 * @param mode flood | paced | single | step (chunk-server.c)
 * @param options gapUs, togetherUs, usage ('count' | 'clock'), seconds: as its flags
 */
export async function startChunkServer(
  program,
  mode,
  { gapUs = 20_000, togetherUs = 0, usage = 'count', seconds = 120 } = {},
) {
  const flags = ['--gap-us', gapUs, '--together-us', togetherUs, '--usage', usage, '--seconds', seconds].map(String);
  const child = spawn(program, [mode, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = JSON.parse((await lines.next()).value);
  return {
    url: ready.url,
    pid: child.pid,
    /** Ends it; resolves to its last line: seconds, userSeconds, systemSeconds, requests, chunks, writes, turns. */
    async stop() {
      child.stdin.end();
      const { value } = await lines.next();
      await exited;
      return JSON.parse(value);
    },
  };
}
