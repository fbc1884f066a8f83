/** `bench compare` on files: folders, patterns, two targets of one, AIPerf's exports on either side; and what it refuses. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aiperfExport, documentOf } from '../../src/result/aiperf.ts';
import { isDistribution, type Result } from '../../src/result/schema.ts';
import { type FixtureOptions, resultFixture } from '../report/fixture.ts';
import { bench, refusal } from './in-process.ts';

const AIPERF = fileURLToPath(new URL('../golden/aiperf-export.json', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compare-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Written as `bench` would, into a folder of that name. @returns its path */
function kept(name: string, result: Result): string {
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, name, 'result.json'), JSON.stringify(result));
  return join(folder, name);
}

/** Other samples and another session, whose plan is the same. */
const session = (seed: number, more: FixtureOptions = {}): Result => ({
  ...resultFixture({ requests: 60, adapters: [0], concurrency: [4], standIn: null, repeats: 2, seed, ...more }),
  planHash: 'plan',
  session: `session-${seed}`,
});

const asTarget = (arm: 'A' | 'B', { cells, targets, ...rest }: Result): Result => ({
  ...rest,
  targets: [{ ...targets[0]!, id: arm, arm, url: `http://${arm.toLowerCase()}:8000/v1` }],
  cells: cells.map((cell) => ({ ...cell, target: arm, runs: cell.runs.map((run, pair) => ({ ...run, arm, pair })) })),
});

const slower = (factor: number, result: Result): Result => {
  const scaled = structuredClone(result);
  for (const { metrics } of scaled.cells.flatMap(({ runs }) => runs)) {
    for (const name of ['ttft', 'tpot', 'e2e']) {
      const metric = metrics[name] as unknown as Record<string, number>;
      for (const stat of ['mean', 'p50', 'p90', 'p95', 'p99', 'p999']) metric[stat] = (metric[stat] ?? 0) * factor;
    }
  }
  return scaled;
};

const line = (text: string, figure: string): string =>
  text.split('\n').find((one) => one.startsWith(`${figure} `)) ?? `no line for ${figure}`;

describe('two results', () => {
  it('stand side by side, with the change and its interval', async () => {
    const [a, b] = [kept('a', session(1)), kept('b', slower(1.5, session(2)))];
    const { code, stdout } = await bench('compare', a, b);
    expect(code).toBe(0);
    expect(stdout).toContain('c1: base, concurrency 4 (2 runs of A, 2 of B)');
    expect(line(stdout, 'TPOT p50')).toMatch(/ms +\S+ +\S+ +\+[45]\d % {2,}\+\S+ % to \+\S+ % {2}worse/);
    expect(stdout).toContain('at different times');
    expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(120);
  });

  it('may be several sessions of a side, by a pattern', async () => {
    for (const seed of [1, 2, 3]) kept(`2026-11-0${seed}`, session(seed));
    const b = kept('2026-12-01', session(4));
    const { stdout } = await bench('compare', join(folder, '2026-11-*'), b);
    expect(stdout).toContain('(3 sessions of A, 1 of B)');
    expect(stdout).toMatch(/2026-11-01 and 2 more/);
  });

  it('are written as a page, as Markdown and as JSON', async () => {
    const out = join(folder, 'deep', 'out');
    const { stdout } = await bench('compare', kept('a', session(1)), kept('b', session(2)), '--out', out);
    expect(stdout).toContain(`report  ${join(out, 'compare.html')}`);
    const json = JSON.parse(readFileSync(join(out, 'compare.json'), 'utf8'));
    expect(json).toMatchObject({
      format: 'bench-compare/1',
      a: { sessions: ['session-1'] },
      b: { sessions: ['session-2'] },
    });
    expect(json.cells[0].figures[0]).toMatchObject({
      metric: 'ttft',
      stat: 'mean',
      ground: 'runs',
      runs: { a: 2, b: 2 },
    });
    expect(readFileSync(join(out, 'compare.md'), 'utf8')).toContain('| TTFT p99.9 | ms |');
    expect(readFileSync(join(out, 'compare.html'), 'utf8')).toContain('<svg');
    expect(await refusal('compare', join(folder, 'a'), join(folder, 'b'), '--out', '/dev/null/x')).toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
    });
  });

  it('tell of runs that did not finish, and of those in doubt', async () => {
    const b = session(2);
    b.cells[0]!.runs[0]!.state = 'failed';
    b.cells[0]!.runs[1]!.validity = { ...b.cells[0]!.runs[1]!.validity, valid: false, reasons: ['in-flight 1.2 of 4'] };
    const { stdout } = await bench('compare', kept('a', session(1)), kept('b', b));
    expect(stdout).toContain('B: 1 of 2 runs of c1 did not finish, and are left out.');
    expect(stdout).toContain('B is in doubt: in-flight 1.2 of 4 (1 of 1 runs).');
  });
});

describe('one result with two targets', () => {
  const both = (seed: number): Result => {
    const [a, b] = [asTarget('A', session(seed)), asTarget('B', slower(1.3, session(seed)))];
    return { ...a, targets: [...a.targets, ...b.targets], cells: [...a.cells, ...b.cells] };
  };

  it('is compared by its pairs', async () => {
    const { stdout } = await bench('compare', kept('ab', both(1)));
    expect(stdout).toContain('target A at http://a:8000/v1');
    expect(stdout).toContain('target B at http://b:8000/v1');
    expect(stdout).toContain('(2 pairs of runs)');
    expect(line(stdout, 'TTFT p99')).toMatch(/\+30 % +\+30 % to \+30 % +worse/); // the same samples, scaled
  });

  it('of several sessions has the pairs of all', async () => {
    for (const seed of [1, 2]) kept(`ab-${seed}`, both(seed));
    expect((await bench('compare', join(folder, 'ab-*'))).stdout).toContain('(4 pairs of runs)');
  });

  it('is no side of another comparison, and one with one target needs another', async () => {
    const [ab, a] = [kept('ab', both(1)), kept('a', session(2))];
    expect((await refusal('compare', ab, a)).message).toMatch(
      /two targets; compare them with each other: bench compare/,
    );
    expect((await refusal('compare', a)).message).toMatch(/has one target; name what to compare it with/);
  });
});

describe("AIPerf's exports", () => {
  const exported = (name: string, more: object = {}): string => {
    mkdirSync(join(folder, name));
    const document = { ...JSON.parse(readFileSync(AIPERF, 'utf8')), benchmark_id: name, ...more };
    writeFileSync(join(folder, name, 'profile_export_aiperf.json'), JSON.stringify(document));
    return join(folder, name);
  };

  it('stand beside each other, several of them as sessions', async () => {
    for (const name of ['run_0001', 'run_0002']) exported(name);
    const { stdout } = await bench('compare', join(folder, 'run_*'), exported('other'));
    expect(stdout).toContain('the run: concurrency 4 (2 sessions of A, 1 of B)');
    expect(line(stdout, 'TTFT p50')).toMatch(/35\.0 +35\.0 +±0 %/);
    expect(line(stdout, 'output tokens/s, whole run')).toMatch(/256 +256/);
    expect(stdout).toContain('2 of 200 requests did not succeed on A, 1 of 100 on B');
  });

  it('stand beside ours, which is then read by their definitions', async () => {
    const ours: Result = session(1, { model: 'base', repeats: 1, failing: 0.1 });
    const run = ours.cells[0]!.runs[0]!;
    const { time_to_first_token: theirs } = aiperfExport(ours, ours.cells[0]!, 0).metrics;
    const { stdout } = await bench('compare', kept('ours', ours), AIPERF);
    expect(stdout).toMatch(/AIPerf says little of a plan/);
    expect(line(stdout, 'TTFT p50')).toContain(theirs!.p50!.toPrecision(3));
    // Of requests that succeeded, as AIPerf's: by ours the p99 is among those that failed.
    expect(isDistribution(run.metrics['ttft']) && run.metrics['ttft'].p99).toMatchObject({ gt: expect.any(Number) });
    expect(line(stdout, 'TTFT p99')).not.toContain('>');
    expect(line(stdout, 'TTFT p99.9')).toMatch(/no line/); // AIPerf has none
    // Its export, read back, is the same side.
    const document = documentOf(aiperfExport(ours, ours.cells[0]!, 0));
    writeFileSync(join(folder, 'our_aiperf.json'), JSON.stringify(document));
    const again = await bench('compare', join(folder, 'our_aiperf.json'), AIPERF);
    expect(line(again.stdout, 'TPOT p99')).toBe(line(stdout, 'TPOT p99'));
  });

  it('of other models or loads, of several cells, or cut short, are refused', async () => {
    const why = async (a: string, b: string) => (await refusal('compare', a, b)).message;
    const ours = (name: string, options: FixtureOptions) => kept(name, session(1, { model: 'base', ...options }));
    expect(await why(ours('m', { model: 'other' }), AIPERF)).toMatch(/one is of other, the other of base/);
    expect(await why(ours('c', { concurrency: [8] }), AIPERF)).toMatch(/one has concurrency 8, the other 4/);
    expect(await why(ours('s', { concurrency: [1, 4] }), AIPERF)).toMatch(/one cell, and the other side has several/);
    expect(await refusal('compare', AIPERF, exported('cut', { was_cancelled: true }))).toMatchObject({
      code: 'NO_DATA',
      hint: 'B has no finished run.',
    });
    copyFileSync(AIPERF, join(folder, 'aiperf-copy.json'));
    expect(await why(AIPERF, join(folder, 'aiperf-copy.json'))).toMatch(/is on both sides/);
  });
});

describe('what cannot be compared is refused', () => {
  it('with the first difference named, as the scenario calls it', async () => {
    const a = session(1);
    const b = structuredClone({ ...a, session: 's2', planHash: 'other' });
    (b.scenario.resolved as { measure: { requests: number } }).measure = { requests: 77 };
    (a.scenario.resolved as { measure: { requests: number } }).measure = { requests: 60 };
    const { message, exitCode } = await refusal('compare', kept('a', a), kept('b', b));
    expect(message).toMatch(/their plans differ: measure\.requests is 60 in one, 77 in the other/);
    expect(exitCode).toBe(2);
  });

  it.each([
    ['nothing there', 'nowhere', /there is nothing at/],
    ['a pattern of nothing', 'no*thing', /there is nothing at/],
    ['what is no result', 'x.json', /x\.json/],
  ])('%s', async (_, path, why) => {
    writeFileSync(join(folder, 'x.json'), '{"format":"other"}');
    expect((await refusal('compare', kept('a', session(1)), join(folder, path))).message).toMatch(why);
  });

  it('a measurement with itself, also as one of several', async () => {
    const [a] = [kept('a1', session(1)), kept('a2', session(2))];
    expect((await refusal('compare', a!, a!)).message).toMatch(/session session-1 is on both sides/);
    expect((await refusal('compare', join(folder, 'a*'), a!)).message).toMatch(/is on both sides/);
    kept('a3', session(1));
    expect((await refusal('compare', join(folder, 'a*'), kept('b', session(9)))).message).toMatch(/would count twice/);
  });
});
