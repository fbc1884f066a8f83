/** `bench baseline add` and `list`: what is kept, what is said of it, and what is refused. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Result } from '../../src/result/schema.ts';
import { resultFixture } from '../report/fixture.ts';
import { bench, refusal } from './in-process.ts';

let folder: string;
let before: string;
beforeEach(() => {
  before = process.cwd();
  folder = mkdtempSync(join(tmpdir(), 'baseline-'));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const base = resultFixture({ requests: 10, adapters: [0], concurrency: [1, 4], standIn: null });

function kept(session: string, more: Partial<Result> = {}): string {
  mkdirSync(session);
  writeFileSync(join(session, 'result.json'), JSON.stringify({ ...base, session, ...more }));
  return session;
}

it('keeps sessions under reports/baselines, and says how many more it takes', async () => {
  const names = ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8'].map((name) => kept(name));
  const { code, stdout } = await bench('baseline', 'add', ...names.slice(0, 3));
  expect(code).toBe(0);
  const [, , third] = stdout.trim().split('\n');
  expect(third).toMatch(/^kept in reports\/baselines\/\S+@\S{8}\.json: 3 sessions; 5 more are needed to judge by$/);

  const list = await bench('baseline', 'list');
  expect(list.stdout).toMatch(/: 3 sessions, of 8 that are needed\n {4}s1 .* 2 runs/);
  expect(list.stdout.match(/^ {4}s\d /gm)).toHaveLength(3);

  const eighth = await bench('baseline', 'add', ...names.slice(3));
  expect(eighth.stdout.trim().split('\n').at(-1)).toMatch(/: 8 sessions$/);
  expect((await bench('baseline', 'list')).stdout).toContain('8 sessions, enough to judge by');
});

it('keeps them where it is told to', async () => {
  const { stdout } = await bench('baseline', 'add', kept('s1'), '--folder', 'kept');
  expect(stdout).toMatch(/^kept in kept\//);
  expect(readdirSync('kept')).toHaveLength(1);
  expect((await bench('baseline', 'list', '--folder', 'kept')).stdout).toMatch(/s1/);
  expect((await refusal('baseline', 'list')).message).toMatch(/no baselines are kept in reports\/baselines/);
});

it('refuses a session twice, another plan, and what is no result, keeping what was added before', async () => {
  await bench('baseline', 'add', kept('s1'));
  expect((await refusal('baseline', 'add', 's1')).message).toMatch(/has session s1 already/);
  expect(await refusal('baseline', 'add', kept('s2'), kept('s3', { planHash: 'other' }))).toMatchObject({
    code: 'USAGE',
    exitCode: 2,
    message: expect.stringMatching(/s3 cannot be added .* another plan/),
    hint: expect.stringContaining('--folder'),
  });
  expect((await bench('baseline', 'list')).stdout.match(/^ {4}s\d /gm)).toEqual(['    s1 ', '    s2 ']);
  expect((await refusal('baseline', 'add', 'nowhere')).message).toMatch(/nowhere/);
  expect((await refusal('baseline')).message).toMatch(/expected add or list/);
  expect((await refusal('baseline', 'add', kept('s4'), '--folder', '/dev/null/x')).code).toBe('OUTPUT_NOT_WRITABLE');
});

it('lists a file that cannot be read with why, and the others too', async () => {
  await bench('baseline', 'add', kept('s1'));
  writeFileSync(join('reports', 'baselines', 'a@00000000.json'), '{');
  writeFileSync(join('reports', 'baselines', 'gate@00000000.calibration.json'), '{}');
  const { code, stdout } = await bench('baseline', 'list');
  expect(code).toBe(0);
  expect(stdout).toMatch(/a@00000000\.json\n {2}cannot read the baseline/);
  expect(stdout).toContain('s1');
  expect(stdout).not.toContain('calibration');
});
