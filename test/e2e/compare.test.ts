/** `bench run --compare` and `target: {command: ..}`, as a user runs them: two servers, one report. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, type ServerProgram, serverProgram } from '../support/server-command.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { ENDPOINT_SCENARIO, Workplace } from './bench.ts';

const QUICK = ['--no-self-check', '--out', 'o'];

let place: Workplace;
let scenario: string;
let program: ServerProgram;
const servers: TimedServer[] = [];

beforeAll(() => {
  program = serverProgram();
});
afterAll(() => program.remove());
beforeEach(() => {
  place = new Workplace();
  scenario = place.file('s.yaml', `${ENDPOINT_SCENARIO}`);
});
afterEach(async () => {
  place.clear();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ model: 'base', adapters: ['a1', 'a2'], ttftMs: 5, gapMs: 2, ...options });
  servers.push(server);
  return server;
}

const read = (name: string): string => readFileSync(join(place.folder, 'o', name), 'utf8');

describe('bench SCENARIO --compare', () => {
  it('puts two servers into one report, side by side', async () => {
    const [a, b] = [await serve(), await serve({ adapters: ['x', 'y'], ttftMs: 40 })];
    const args = [scenario, '--endpoint', a.url, '--compare', b.url, '--set', 'measure.repeats=2', ...QUICK];
    const { code, stdout, stderr } = await place.bench(args);
    expect(code, stderr).toBe(0);

    const result = place.result('o');
    expect(result.targets).toMatchObject([
      { id: 'A', arm: 'A', url: a.url },
      { id: 'B', arm: 'B', url: b.url },
    ]);
    expect(result.cells.map(({ id, target, at, runs }) => [id, target, at.adapters, runs.length])).toEqual([
      ['c1', 'A', 0, 2],
      ['c1', 'B', 0, 2],
      ['c2', 'A', 2, 2],
      ['c2', 'B', 2, 2],
    ]);
    for (let i = 0; i < 4; i += 2) {
      const [ofA, ofB] = [result.cells[i]!.runs, result.cells[i + 1]!.runs];
      expect(ofB.map(({ seed, pair }) => [seed, pair])).toEqual(ofA.map(({ seed, pair }) => [seed, pair]));
    }
    expect(new Set(place.records('o').map(({ run, adapter }) => `${run.slice(-1)} ${adapter}`))).toEqual(
      new Set(['A null', 'A a1', 'A a2', 'B null', 'B x', 'B y']),
    );

    // The plan says what it is; the summary has both, cell by cell.
    expect(stdout).toMatch(
      /Compared with: the server at http\S+ \(completions API\), model base \(B; the target above is A\)/,
    );
    expect(stdout).toMatch(/Total: 8 runs, 48 measured requests/);
    const rows = stdout
      .split('\n')
      .flatMap((line) => /^ *([AB]) .* (base|2) +× 2 /.exec(line)?.slice(1, 3).join(' ') ?? []);
    expect(rows).toEqual(['A base', 'B base', 'A 2', 'B 2']);

    const [head, ...lines] = read('cells.csv').trim().split('\n');
    const columns = head!.split(',');
    const column = (name: string) => lines.map((line) => line.split(',')[columns.indexOf(name)]);
    expect(column('arm')).toEqual(['A', 'A', 'B', 'B', 'A', 'A', 'B', 'B']);
    expect(column('pair')).toEqual(['0', '1', '0', '1', '0', '1', '0', '1']);
    expect(column('target')).toEqual(column('arm'));

    const page = read('report.html');
    const anchors = [...page.matchAll(/<section class="cell" id="([^"]+)"/g)].map(([, id]) => id!);
    expect(anchors.sort()).toEqual(['cell-A-c1', 'cell-A-c2', 'cell-B-c1', 'cell-B-c2']);
    for (const id of anchors) expect(page).toContain(`href="#${id}"`);
    expect(page).toContain(`A: ${a.url}`);
    // One set of charts has both, and the answer is B against A.
    for (const series of ['A: base', 'B: base', 'A: 2 adapters', 'B: 2 adapters']) {
      expect(page).toContain(`data-series="${series}"`);
    }
    expect(page).toContain('<h3>TPOT p50, B against A</h3>');

    const index = JSON.parse(read('profile_export_aiperf.json')) as { metadata: { files: string[] } };
    const { files } = index.metadata;
    expect(new Set(files).size).toBe(files.length);
    expect(files.filter((file) => file.includes('profile_runs'))).toHaveLength(8);
    for (const file of files) expect(existsSync(join(place.folder, 'o', file)), file).toBe(true);
    const labels = files
      .filter((file) => file.includes('profile_runs'))
      .map((file) => (JSON.parse(read(file)) as { run_info: { run_label: string } }).run_info.run_label);
    expect(new Set(labels).size).toBe(8);

    const compared = await place.bench(['compare', 'o', '--out', 'c']);
    expect(compared.code, compared.stderr).toBe(0);
    expect(compared.stdout).toMatch(/^A {2}o, target A at http\S+, model base\nB {2}o, target B at http/);
    expect(compared.stdout).toContain('c2: 2 adapters of rank 16, concurrency 2 (2 pairs of runs)');
    expect(compared.stdout).toMatch(/^TTFT p50 .* \+[\d,]+ % .* worse$/m); // 5 ms against 40 ms
    expect(readdirSync(join(place.folder, 'c')).sort()).toEqual(['compare.html', 'compare.json', 'compare.md']);

    const again = await place.bench(['report', 'o']);
    expect(again.code, again.stderr).toBe(0);
    const resumed = await place.bench([scenario, '--endpoint', a.url, '--set', 'measure.repeats=2', '--resume', 'o']);
    expect(resumed.code).toBe(2);
    expect(resumed.stderr).toMatch(/cannot be resumed: it holds pairs of runs/);
  });

  it('refuses what would be no comparison, before anything is sent', async () => {
    const [a, b] = [await serve(), await serve({ adapters: ['x'] })];
    const few = await place.bench([scenario, '--endpoint', a.url, '--compare', b.url, ...QUICK]);
    expect(few.code).toBe(2);
    expect(few.stderr).toMatch(/2 adapters.* are needed, only 1 known: x/);
    const file = place.file('b.yaml', `target: {url: "${b.url}", api: chat}\nadapters: {names: [x]}\n`);
    const one = ['--set', 'adapters.count=[0,1]'];
    const api = await place.bench([scenario, '--endpoint', a.url, ...one, '--compare', file, ...QUICK]);
    expect(api.code).toBe(2);
    expect(api.stderr).toMatch(/driven by completions, that of --compare by chat/);
    const both = await place.bench([scenario, '--endpoint', a.url, '--compare', b.url, '--resume', 'o']);
    expect(both.code).toBe(2);
    const stray = await place.bench([scenario, '--endpoint', a.url, '--compare-model', 'base']);
    expect(stray.stderr).toMatch(/--compare-model says something of a target that --compare does not name/);
    expect([...a.log, ...b.log]).toEqual([]);
    expect(existsSync(join(place.folder, 'o'))).toBe(false);
  });

  it('reports the one that lives when the other dies, and ends with 5', async () => {
    const [a, b] = [await serve({ ttftMs: 60 }), await serve({ ttftMs: 60 })];
    // One pair: nobody waits for B to come back.
    const set = ['--set', 'adapters.count=0', '--set', 'measure.requests=20'];
    const running = place.start([scenario, '--endpoint', a.url, '--compare', b.url, ...set, ...QUICK]);
    await running.said(/\] c1 on B/);
    while (b.log.length < 4) await new Promise((resolve) => setTimeout(resolve, 20)); // warm-up, and into the run
    await b.close();
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(5);
    expect(stderr).toMatch(/bench: B: c1: .*stopped answering/);
    const result = place.result('o');
    const states = (target: string) =>
      result.cells.filter((cell) => cell.target === target).flatMap(({ runs }) => runs.map(({ state }) => state));
    expect([states('A'), states('B')]).toEqual([['done'], ['failed']]);
    expect(existsSync(join(place.folder, 'o', 'report.html'))).toBe(true);
  });
});

describe('target: {command: .., ready: ..}', () => {
  const target = async (options: object = {}) => {
    const port = await freePort();
    const command = program.commandFor({
      model: 'base',
      adapters: ['a1', 'a2'],
      ttftMs: 5,
      gapMs: 2,
      port,
      ...options,
    });
    const block = { command, ready: `http://127.0.0.1:${port}/health`, env: { SERVED_AS: 'head' } };
    return { port, text: `target: ${JSON.stringify(block)}` };
  };
  const own = ENDPOINT_SCENARIO.replace('[llama-3-8b]', '[base]');
  const isFree = async (port: number) => {
    const server = await startTimedServer({ port });
    await server.close();
  };

  it('starts both sides of a comparison, and ends them', async () => {
    const [head, base] = [await target(), await target({ ttftMs: 20 })];
    const file = place.file('base.yaml', `${base.text}\n`);
    const { code, stderr, stdout } = await place.bench([
      place.file('head.yaml', `${own}${head.text}\n`),
      '--compare',
      file,
      ...QUICK,
    ]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Target: the server that `.*` starts, at http/);
    expect(place.result('o').cells.flatMap(({ runs }) => runs.map(({ state }) => state))).toEqual(
      Array(4).fill('done'),
    );
    expect(JSON.stringify(place.result('o').scenario.resolved)).toContain('"SERVED_AS":"***"');
    await Promise.all([isFree(head.port), isFree(base.port)]);
  });

  it('starts it again where it died, measures the rest, and ends with 5', async () => {
    const { text, port } = await target({ endAtRequest: 5 });
    const set = ['--set', 'adapters.count=0', '--set', 'measure.repeats=2', '--set', 'measure.requests=4'];
    const one = [...set, '--set', 'measure.warmup.per_adapter=0', '--set', 'load.concurrency=1'];
    const { code, stderr } = await place.bench([place.file('own.yaml', `${own}${text}\n`), ...one, ...QUICK]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/exited with code 3; its last words: .*Traceback: out of cake/);
    const [cell] = place.result('o').cells;
    expect(cell!.runs.map(({ state, counts }) => [state, counts.ok])).toEqual([
      ['done', 4],
      ['failed', 0],
    ]);
    await isFree(port);
  });

  it('ends with 5 and no folder when it does not come up, and leaves nothing behind', async () => {
    const { text, port } = await target({ startMs: 60_000, endMs: 100 });
    const { code, stderr } = await place.bench([place.file('own.yaml', `${own}${text}\n`), ...QUICK]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/before it was ready; its last words: .*Traceback/);
    expect(existsSync(join(place.folder, 'o'))).toBe(false);
    await isFree(port);
  });

  it('is ended when the user stops it', async () => {
    const { text, port } = await target({ ttftMs: 300 });
    const running = place.start([place.file('own.yaml', `${own}${text}\n`), '--set', 'measure.requests=200', ...QUICK]);
    await place.measured(running, 'o', 2);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(130);
    await isFree(port);
  });

  it('is explained by validate, which starts nothing', async () => {
    const { text, port } = await target();
    const named = place.file('named.yaml', `${own.replace('count:', 'names: [a1, a2], count:')}${text}\n`);
    const { code, stdout, stderr } = await place.bench(['validate', named]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/Target: the server that `.*` starts/);
    const unnamed = await place.bench(['validate', place.file('un.yaml', `${own}${text}\n`)]);
    expect(unnamed.code).toBe(2);
    expect(unnamed.stderr).toMatch(/validate starts nothing/);
    await isFree(port);
  });
});
