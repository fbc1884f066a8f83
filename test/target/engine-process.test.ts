/** The ways a child can start, fail to start, and end: scripts stand for the engine where it would not misbehave on demand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { probeEngine, startEngine } from '../../src/target/engine-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'engine-process-'));
afterAll(() => rmSync(folder, { recursive: true }));

let scripts = 0;
function script(body: string): string {
  const path = join(folder, `${++scripts}.mjs`);
  writeFileSync(path, body);
  return path;
}

const READY = `console.log(JSON.stringify({ ready: true, protocol: 1, url: 'http://127.0.0.1:1', args: process.argv.slice(2) }));`;
const STAY = 'setInterval(() => {}, 1000);';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function failure(started: Promise<unknown>): Promise<BenchError> {
  const error = await started.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BenchError);
  return error as BenchError;
}

describe('startEngine', () => {
  it('hands flags over, skips what a driver prints, and stops the child', async () => {
    const entry = script(`console.log('driver: hello'); ${READY} ${STAY}`);
    const engine = await startEngine({ flags: ['--model', 'x'], entry });
    expect(engine.ready['args']).toEqual(['--model', 'x']);
    expect(isAlive(engine.pid)).toBe(true);
    await engine.stop();
    expect(isAlive(engine.pid)).toBe(false);
    const after = await Promise.race([engine.died, Promise.resolve('asked to end')]);
    expect(after).toBe('asked to end');
  });

  it('tells how a child died, with its last words', async () => {
    const abort = `process.stderr.write('LLVM ERROR: no\\n', () => process.kill(process.pid, 'SIGKILL'));`;
    const entry = script(`console.error('starting'); ${READY} setTimeout(() => { ${abort} }, 300);`);
    const engine = await startEngine({ flags: [], entry });
    expect(await engine.died).toBe('the engine was ended by SIGKILL; its last words: LLVM ERROR: no');
    await engine.stop();
  });

  it('tells the reason that a dying engine gives', async () => {
    const line = `console.log(JSON.stringify({ ready: false, code: 'device_lost', message: 'the device was lost' }));`;
    const entry = script(`${READY} setTimeout(() => { ${line} process.exitCode = 5; }, 300);`);
    const engine = await startEngine({ flags: [], entry });
    expect(await engine.died).toBe('the engine died: the device was lost');
    await engine.stop();
  });

  it("gives the engine's own reason, code and hint", async () => {
    const line = { ready: false, code: 'too_big', message: '16 GB needed, 8 GB there', hint: 'a smaller model' };
    const entry = script(`console.log(${JSON.stringify(JSON.stringify(line))}); process.exitCode = 2;`);
    const error = await failure(startEngine({ flags: [], entry }));
    expect(error).toMatchObject({ code: 'TOO_BIG', exitCode: 2, hint: 'a smaller model' });
    expect(error.message).toContain('16 GB needed, 8 GB there');
  });

  it('tells of a child that ends without a word', async () => {
    const error = await failure(startEngine({ flags: [], entry: script('console.error("oh no"); process.exit(9);') }));
    expect(error).toMatchObject({ code: 'TARGET_UNREACHABLE', exitCode: 5 });
    expect(error.message).toMatch(/exited with code 9 before it was ready.*oh no/);
  });

  it('refuses another protocol, and leaves no child behind', async () => {
    const entry = script(
      `console.error(process.pid); console.log('{"ready": true, "protocol": 2, "url": "http://h"}'); ${STAY}`,
    );
    const pids: number[] = [];
    const started = startEngine({ flags: [], entry, report: (line) => pids.push(Number(line)) });
    expect((await failure(started)).message).toContain('protocol 2');
    expect(pids).toHaveLength(1);
    expect(isAlive(pids[0]!)).toBe(false);
  });

  it('stops waiting when interrupted', async () => {
    const interrupt = new AbortController();
    let pid = 0;
    const report = (line: string) => {
      pid = Number(line);
      interrupt.abort();
    };
    const entry = script(`console.error(process.pid); ${STAY}`);
    const started = startEngine({ flags: [], entry, signal: interrupt.signal, report });
    expect(await failure(started)).toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    expect(isAlive(pid)).toBe(false);
  });

  it('reports stderr line by line', async () => {
    const lines: string[] = [];
    const entry = script(`process.stderr.write('one\\ntwo\\n', () => { ${READY} }); ${STAY}`);
    const engine = await startEngine({ flags: [], entry, report: (line) => lines.push(line) });
    await engine.stop();
    expect(lines).toEqual(['one', 'two']);
  });
});

describe('probeEngine', () => {
  it('asks with --probe and gives the line back', async () => {
    const entry = script(
      'console.log(JSON.stringify({ probe: process.argv.includes("--probe"), device: { name: "d" } }));',
    );
    expect(await probeEngine({ flags: [], entry })).toEqual({ probe: true, device: { name: 'd' } });
  });

  it('throws when there is no device', async () => {
    const entry = script(
      'console.log(JSON.stringify({ ready: false, code: "no_device", message: "none", hint: null }));',
    );
    expect(await failure(probeEngine({ flags: [], entry }))).toMatchObject({ code: 'DEVICE_UNAVAILABLE', exitCode: 5 });
  });
});
