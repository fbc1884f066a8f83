/** `bench` against an endpoint, as a user runs it: files, exit codes, sentences. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { ENDPOINT_SCENARIO, Workplace } from './bench.ts';

const KEY = 'sk-test-THIS-MUST-APPEAR-NOWHERE-0123456789';
let place: Workplace;
let scenario: string;
const servers: TimedServer[] = [];

beforeEach(() => {
  place = new Workplace();
  scenario = place.file('s.yaml', ENDPOINT_SCENARIO);
});
afterEach(async () => {
  place.clear();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ model: 'base', adapters: ['a1', 'a2'], ttftMs: 10, gapMs: 5, ...options });
  servers.push(server);
  return server;
}

describe('bench SCENARIO --endpoint', () => {
  it('leaves a report with the numbers behind it', async () => {
    const server = await serve();
    const { code, stdout, stderr } = await place.bench([scenario, '--endpoint', server.url]);
    expect(stderr).not.toContain('bug');
    expect(code).toBe(0);
    const folder = /report\s+(?<path>reports\/little\/\S+)\/report\.html/.exec(stdout)?.groups?.['path'];
    expect(folder).toMatch(/^reports\/little\/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/);
    for (const name of ['report.html', 'result.json', 'requests.jsonl', 'cells.csv']) {
      expect(existsSync(join(place.folder, folder!, name)), name).toBe(true);
    }
    const result = place.result(folder!);
    expect(result.cells.map(({ at, runs }) => [at.adapters, runs[0]!.state, runs[0]!.counts.ok])).toEqual([
      [0, 'done', 6],
      [2, 'done', 6],
    ]);
    expect(result).toMatchObject({ format: 'bench-result/1', standIn: null, machine: { gpu: null } });
    const measured = place.records(folder!).filter(({ phase }) => phase === 'measure');
    expect(measured).toHaveLength(12);
    expect(server.log).toHaveLength(place.records(folder!).length);
    // The estimate is told before, the summary after.
    expect(stdout).toMatch(/2 cells/);
    expect(stdout).toMatch(/ttft/i);
  });

  it('changes the sweep with --set, and the API with --api', async () => {
    const server = await serve();
    const set = ['--set', 'load.concurrency=[1,3]', '--set', 'adapters.count=1'];
    const ended = await place.bench([scenario, '--endpoint', server.url, '--api', 'completions', ...set, '--out', 'o']);
    expect(ended.code, ended.stderr).toBe(0);
    expect(place.result('o').cells.map(({ at }) => [at.adapters, at.concurrency])).toEqual([
      [1, 1],
      [1, 3],
    ]);
    expect(new Set(server.log.map(({ path }) => path))).toEqual(new Set(['/v1/completions']));
  });

  it('uses the adapters named, and drops cells it has too few for when told to', async () => {
    const server = await serve();
    const named = await place.bench([
      scenario,
      '--endpoint',
      server.url,
      '--adapters',
      'a2,a1',
      '--set',
      'adapters.count=1',
      '--out',
      'n',
    ]);
    expect(named.code, named.stderr).toBe(0);
    expect(new Set(place.records('n').map(({ adapter }) => adapter))).toEqual(new Set([null, 'a2']));
    const many = ['--set', 'adapters.count=[0,5]'];
    const refused = await place.bench([scenario, '--endpoint', server.url, ...many, '--out', 'm']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/5 adapters.*are needed.*a1, a2/);
    expect(existsSync(join(place.folder, 'm'))).toBe(false);
    const fewer = await place.bench([scenario, '--endpoint', server.url, ...many, '--allow-fewer', '--out', 'f']);
    expect(fewer.code, fewer.stderr).toBe(0);
    expect(place.result('f').cells.map(({ at }) => at.adapters)).toEqual([0]);
  });

  it('is one JSON document with --json, of an error too', async () => {
    const server = await serve();
    const { code, stdout, stderr } = await place.bench([scenario, '--endpoint', server.url, '--json', '--out', 'o']);
    expect(code, stderr).toBe(0);
    const told = JSON.parse(stdout) as { exitCode: number; report: string; cells: Record<string, never>[] };
    expect(told).toMatchObject({ exitCode: 0, report: join('o', 'report.html'), failures: [] });
    const { cells } = place.result('o');
    expect(told.cells.map(({ id }) => id)).toEqual(cells.map(({ id }) => id));
    const [run] = cells[0]!.runs;
    expect(told.cells[0]).toMatchObject({
      counts: { ok: run!.counts.ok },
      figures: { tpot_p50: { value: (run!.metrics['tpot'] as { p50: number }).p50, unit: 'ms' } },
    });
    expect(stderr).toMatch(/Sweep: /);
    const refused = await place.bench([scenario, '--endpoint', server.url, '--json', '--out', 'o']);
    expect(JSON.parse(refused.stdout)).toMatchObject({ exitCode: 2, error: { code: expect.any(String) } });
    expect(refused.code).toBe(2);
  });

  it('takes the target from the scenario', async () => {
    const server = await serve();
    const own = place.file(
      't.yaml',
      `${ENDPOINT_SCENARIO.replace('[llama-3-8b]', '[base]')}target: {url: "${server.url}"}\n`,
    );
    const { code, stderr } = await place.bench(['run', own, '--out', 'o', '--quiet']);
    expect(code, stderr).toBe(0);
    expect(place.result('o').targets).toMatchObject([{ kind: 'endpoint', model: 'base', url: server.url }]);
  });

  it('keeps the key out of everything', async () => {
    const server = await serve({ apiKey: KEY });
    const without = await place.bench([scenario, '--endpoint', server.url]);
    expect(without.code).toBe(5);
    expect(without.stderr).toMatch(/wants an API key \(401\)/);
    const wrong = await place.bench([scenario, '--endpoint', server.url, '--api-key-env', 'K'], { K: `${KEY}-wrong` });
    expect(wrong.code).toBe(5);
    expect(wrong.stderr).toMatch(/does not accept the API key in K \(401\)/);
    const right = await place.bench([scenario, '--endpoint', server.url, '--api-key-env', 'K', '--out', 'o'], {
      K: KEY,
    });
    expect(right.code, right.stderr).toBe(0);
    for (const { stdout, stderr } of [without, wrong, right]) expect(`${stdout}${stderr}`).not.toContain(KEY);
    const files = place.files().filter((file) => !file.endsWith('s.yaml'));
    expect(files.length).toBeGreaterThanOrEqual(4);
    for (const file of files) expect(readFileSync(file, 'utf8').includes(KEY), file).toBe(false);
  });

  it('ends with 2 for a model that the server does not have, and names those it has', async () => {
    const server = await serve();
    const { code, stderr } = await place.bench([scenario, '--endpoint', server.url, '--model', 'bass']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/does not serve "bass"; it has base, a1, a2/);
  });

  it('ends with 5 when nobody answers', async () => {
    const server = await serve();
    await server.close();
    const { code, stderr } = await place.bench([scenario, '--endpoint', server.url]);
    expect(code).toBe(5);
    expect(stderr).toMatch(/cannot reach .*: connection refused/);
    expect(place.files()).toEqual([scenario]);
  });

  it('ends with 3 when no request succeeds, with the report that says why', async () => {
    const server = await serve({ fault: () => ({ status: 503, body: '{"error": {"message": "busy"}}' }) });
    const { code, stderr } = await place.bench([scenario, '--endpoint', server.url, '--out', 'o']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/no request succeeded/);
    expect(place.result('o').cells[0]!.runs[0]!.errors).toEqual({ http_503: 6 });
    expect(existsSync(join(place.folder, 'o', 'report.html'))).toBe(true);
  });

  it('never writes over a result', async () => {
    const server = await serve();
    const args = [scenario, '--endpoint', server.url, '--set', 'adapters.count=0', '--out', 'o', '--quiet'];
    expect((await place.bench(args)).code).toBe(0);
    const before = readFileSync(join(place.folder, 'o', 'result.json'), 'utf8');
    const again = await place.bench(args);
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/holds a result already/);
    expect(readFileSync(join(place.folder, 'o', 'result.json'), 'utf8')).toBe(before);
    const onFile = await place.bench([scenario, '--endpoint', server.url, '--out', 's.yaml']);
    expect(onFile.code).toBe(2);
  });
});

describe('when a run is cut short', () => {
  const LONG = ['--set', 'measure.requests=400', '--set', 'adapters.count=0', '--out', 'o'];

  it('Ctrl-C finishes the run, keeps it, leaves out the others, and ends with 130', async () => {
    const server = await serve({ ttftMs: 40, gapMs: 20 });
    const args = [
      '--set',
      'measure.requests=20',
      '--set',
      'measure.repeats=3',
      '--set',
      'adapters.count=0',
      '--out',
      'o',
    ];
    const running = place.start([scenario, '--endpoint', server.url, ...args]);
    await place.measured(running, 'o', 8);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/finishing what is in progress; Ctrl-C again stops now/);
    const runs = place.result('o').cells.flatMap((cell) => cell.runs);
    expect(runs.length).toBeLessThan(3);
    for (const { state, counts } of runs) expect([state, counts.ok]).toEqual(['done', 20]);
    const resumed = await place.bench([scenario, '--endpoint', server.url, ...args.slice(0, -2), '--resume', 'o']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(place.result('o').cells.flatMap((cell) => cell.runs).length).toBe(3);
  });

  it('Ctrl-C twice stops now, keeps what was measured, and ends with 130', async () => {
    const server = await serve({ ttftMs: 40, gapMs: 20 });
    const running = place.start([scenario, '--endpoint', server.url, ...LONG]);
    await place.measured(running, 'o', 8);
    running.child.kill('SIGINT');
    await sleep(100);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/interrupted; what was measured until then is kept/);
    const [run] = place.result('o').cells[0]!.runs;
    expect(run!.state).toBe('interrupted');
    expect(run!.counts.ok).toBeGreaterThan(4);
    expect(run!.counts.issued).toBeLessThan(400);
    expect(place.records('o').filter(({ phase }) => phase === 'measure')).toHaveLength(run!.counts.issued);
    expect(existsSync(join(place.folder, 'o', 'report.html'))).toBe(true);
  });

  it('a server that dies ends with 5, and what was measured is kept', async () => {
    const server = await serve({ ttftMs: 40, gapMs: 20 });
    const running = place.start([scenario, '--endpoint', server.url, ...LONG]);
    await place.measured(running, 'o', 8);
    await server.close();
    const { code, stderr } = await running.ended;
    expect(code).toBe(5);
    expect(stderr).toMatch(/stopped answering/);
    const [run] = place.result('o').cells[0]!.runs;
    expect(run!.state).toBe('failed');
    expect(run!.errors['target_died']).toBeGreaterThan(0);
    expect(run!.counts.ok).toBeGreaterThan(4);
    expect(existsSync(join(place.folder, 'o', 'report.html'))).toBe(true);
  });

  it('a full disk ends with 5 and a sentence, and what had room is kept', async () => {
    const server = await serve({ ttftMs: 1, gapMs: 1 });
    // No file may grow beyond 48 KiB (bash counts in units of 1024 bytes): requests.jsonl does.
    const limited = ['bash', '-c', 'ulimit -f 48; exec "$@"', 'limited'];
    const { code, stderr } = await place.start([scenario, '--endpoint', server.url, ...LONG], {}, limited).ended;
    expect(code).toBe(5);
    expect(stderr).toMatch(/requests\.jsonl: the file-size limit/);
    const records = place.records('o');
    expect(records.length).toBeGreaterThan(20);
    expect(records.length).toBeLessThan(400);
    const { state, counts } = place.result('o').cells[0]!.runs[0]!;
    expect(state).toBe('failed');
    expect(counts.ok).toBeGreaterThanOrEqual(records.filter(({ phase }) => phase === 'measure').length);
  });
});

describe('bench report', () => {
  it('rebuilds the report from the recorded data', async () => {
    const server = await serve();
    expect((await place.bench([scenario, '--endpoint', server.url, '--out', 'o', '--quiet'])).code).toBe(0);
    const html = join(place.folder, 'o', 'report.html');
    const before = readFileSync(html, 'utf8');
    place.file('o/report.html', 'gone');
    const { code, stdout, stderr } = await place.bench(['report', 'o']);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('o/report.html');
    expect(readFileSync(html, 'utf8').length).toBe(before.length);
  });

  it('says when there is none', async () => {
    const { code, stderr } = await place.bench(['report', 'nowhere']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/nowhere/);
  });
});
