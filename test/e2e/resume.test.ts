/** A sweep that is killed, at any moment and however often, goes on where it was: nothing is lost, nothing is there twice. */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RequestRecord, Result } from '../../src/result/schema.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { Workplace } from './bench.ts';

const SCENARIO = `
name: resumed
models: [base]
prompt: {tokens: 8}
output: {tokens: 4}
load: {concurrency: [1, 3]}
measure: {requests: 24, repeats: 2}
`;
const RUNS = 4;
const REQUESTS = 24;

let place: Workplace;
let scenario: string;
const servers: TimedServer[] = [];
beforeEach(() => {
  place = new Workplace();
  scenario = place.file('s.yaml', SCENARIO);
});
afterEach(async () => {
  place.clear();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ model: 'base', ttftMs: 10, gapMs: 4, ...options });
  servers.push(server);
  return server;
}

const flags = (server: TimedServer) => [scenario, '--endpoint', server.url, '--no-self-check'];
const keyOf = ({ run, attempt, phase, i }: RequestRecord) => `${run} ${attempt} ${phase} ${i}`;

/** What must hold of a finished sweep, however it came to be. */
function expectWhole(result: Result, records: readonly RequestRecord[]): void {
  expect(new Set(records.map(keyOf)).size).toBe(records.length);
  const runs = result.cells.flatMap(({ id, runs }) => runs.map((run) => ({ id, run })));
  expect(runs).toHaveLength(RUNS);
  expect(runs.map(({ run }) => run.order).sort()).toEqual([0, 1, 2, 3]);
  for (const { id, run } of runs) {
    const { issued, ok, failed, cancelled } = run.counts;
    expect(run.state).toBe('done');
    expect([issued, ok + failed + cancelled]).toEqual([REQUESTS, REQUESTS]);
    const own = records.filter(
      ({ run: name, attempt, phase }) =>
        name === `${id}.${run.replicate}` && attempt === run.attempt && phase === 'measure',
    );
    expect(own.map(({ i }) => i).sort((a, b) => a - b)).toEqual(Array.from({ length: REQUESTS }, (_, i) => i));
  }
}

/** Records of a file whose last line may be torn. */
function wholeRecords(folder: string): RequestRecord[] {
  const lines = readFileSync(join(folder, 'requests.jsonl'), 'utf8').split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as RequestRecord);
}

describe('--resume', () => {
  it('after SIGKILL at random moments: every request that had ended is there, and the whole once at the end', async () => {
    const server = await serve({ clock: () => Number(process.hrtime.bigint()) });
    const folder = join(place.folder, 'o');
    let where = ['--out', 'o'];
    for (let kill = 0; kill < 3; kill++) {
      const running = place.start([...flags(server), ...where]);
      const before = kill === 0 ? 0 : wholeRecords(folder).length;
      await expect
        .poll(() => (server.log.length > 0 ? wholeRecordsIfAny(folder).length : 0), { timeout: 30_000, interval: 10 })
        .toBeGreaterThan(before);
      await new Promise((resolve) => setTimeout(resolve, 400 * Math.random()));
      const at = server.log.length;
      running.child.kill('SIGKILL');
      await running.ended;
      // All but those in flight when it was killed: three at most, and three that had come just then.
      expect(wholeRecords(folder).length).toBeGreaterThanOrEqual(at - 6 * (kill + 1));
      where = ['--resume', 'o'];
    }
    const kept = place.result('o').cells.flatMap(({ runs }) => runs);
    const { code, stderr } = await place.bench([...flags(server), ...where]);
    expect(code, stderr).toBe(0);
    const result = place.result('o');
    expectWhole(result, place.records('o'));
    for (const run of kept) expect(result.cells.flatMap(({ runs }) => runs)).toContainEqual(run);
    expect(result.resumed?.length).toBeGreaterThanOrEqual(1);
  }, 120_000);

  it('drops half a line, keeps finished runs as they are, and leaves a finished sweep alone', async () => {
    const server = await serve();
    expect((await place.bench([...flags(server), '--out', 'o'])).code).toBe(0);
    const whole = place.result('o');
    const path = join(place.folder, 'o', 'result.json');
    // As if it had been killed in its last run.
    const cells = whole.cells.map((cell, i) => (i === 1 ? { ...cell, runs: cell.runs.slice(0, 1) } : cell));
    writeFileSync(path, JSON.stringify({ ...whole, cells }));
    appendFileSync(join(place.folder, 'o', 'requests.jsonl'), '{"run":"c2.1","att');
    const asked = server.log.length;
    expect((await place.bench([...flags(server), '--resume', 'o'])).code).toBe(0);
    const result = place.result('o');
    expectWhole(result, place.records('o'));
    expect(server.log.length - asked).toBe(REQUESTS + 1); // one run and its warm-up
    expect(result.cells[0]).toEqual(whole.cells[0]);
    expect(result.cells[1]!.runs.map(({ attempt }) => attempt).sort()).toEqual([1, 2]);
    expect(result.session).toBe(whole.session);
    expect(result.resumed).toHaveLength(1);

    const again = server.log.length;
    const { code, stdout } = await place.bench([...flags(server), '--resume', 'o']);
    expect([code, server.log.length]).toEqual([0, again]);
    expect(stdout).toMatch(/report\s+o\/report\.html/);
    expectWhole(place.result('o'), place.records('o'));
  });

  it('is for one process at a time, unless the other was killed', async () => {
    const server = await serve({ ttftMs: 40 });
    const first = place.start([...flags(server), '--out', 'o']);
    await place.measured(first, 'o', 1);
    const { code, stderr } = await place.bench([...flags(server), '--resume', 'o']);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/another bench \(process \d+\) is measuring into o/)]);
    first.child.kill('SIGKILL');
    await first.ended;
    expect((await place.bench([...flags(server), '--resume', 'o'])).code).toBe(0);
    expectWhole(place.result('o'), place.records('o'));
    expect(readdirSync(join(place.folder, 'o'))).not.toContain('.bench.lock');
  });

  it('refuses another plan, another machine, another server, and a folder without a result', async () => {
    const server = await serve();
    const other = await serve();
    expect((await place.bench([...flags(server), '--out', 'o'])).code).toBe(0);
    const refused = async (args: readonly string[]) => {
      const { code, stderr } = await place.bench(args);
      expect(code).toBe(2);
      return stderr;
    };
    const resume = [...flags(server), '--resume', 'o'];
    expect(await refused([...resume, '--set', 'output.tokens=5'])).toMatch(/cannot be resumed: .*another plan/);
    expect(await refused([...flags(other), '--resume', 'o'])).toMatch(/cannot be resumed: /);
    expect(await refused([...resume, '--api', 'chat'])).toMatch(/cannot be resumed: /);
    expect(await refused([...flags(server), '--resume', 'nowhere'])).toMatch(/Could not read nowhere/);
    expect(await refused([...resume, '--out', 'p'])).toMatch(/--out and --resume/);
    const path = join(place.folder, 'o', 'result.json');
    const result = place.result('o');
    writeFileSync(path, JSON.stringify({ ...result, machine: { ...result.machine, id: '0123', cpu: 'Abacus' } }));
    expect(await refused(resume)).toMatch(/another machine \(Abacus/);
    expect(server.log.filter(({ path }) => path.endsWith('completions'))).toHaveLength(RUNS * (REQUESTS + 1));
  });
});

function wholeRecordsIfAny(folder: string): RequestRecord[] {
  try {
    return wholeRecords(folder);
  } catch {
    return [];
  }
}
