/** `bench doctor` and a profile as a user meets them: the device is measured and kept, and a profiled run's report shows shares of that. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeviceFile } from '../../src/result/device-file.ts';
import { Workplace } from './bench.ts';

const SCENARIO = `
name: profiled
models: [llama-3.2-1b@1/8]
engine: {device: swiftshader, profile: true}
adapters: {rank: [8], count: [1]}
prompt: {tokens: 8}
output: {tokens: 4}
load: {concurrency: [2]}
measure: {requests: 6}
`;

const place = new Workplace();
let kept: DeviceFile;
beforeAll(async () => {
  const { code, stdout } = await place.bench(['doctor', '--device', 'swiftshader']);
  expect(code).toBe(0);
  const path = /^kept in\s+(\S+)$/m.exec(stdout)?.[1] ?? '';
  expect(path).toMatch(/^reports\/devices\/swiftshader-.+\.json$/);
  for (const line of [/^read\s+\d.*B\/s/m, /^f32\s+\d.*FLOP\/s/m, /^dispatch\s+\d/m]) expect(stdout).toMatch(line);
  kept = JSON.parse(readFileSync(join(place.folder, path), 'utf8')) as DeviceFile;
}, 60_000);
afterAll(() => place.clear());

it('keeps what it measured', () => {
  expect(kept).toMatchObject({ format: 'bench-device/1', candidate: 'swiftshader', software: true });
  expect(kept.ceilings.read.best).toBeGreaterThan(1e6);
});

it('tells a device that is not there by its exit code, and keeps nothing of it', { timeout: 60_000 }, async () => {
  const { code, stderr } = await place.bench(['doctor', '--device', 'lavapipe'], { VK_ICD_FILENAMES: '' });
  if (code === 0) return; // Mesa's driver is installed here
  expect(code).toBe(5);
  expect(stderr).toMatch(/lavapipe/);
});

it('is what the profile of a run is a share of', { timeout: 120_000 }, async () => {
  const scenario = place.file('s.yaml', SCENARIO);
  const { code, stderr } = await place.bench(['run', scenario, '--out', 'out', '--no-self-check', '--quiet']);
  expect(stderr).not.toMatch(/no kernel is timed/);
  expect(code).toBe(0);
  const { cells, machine } = place.result('out');
  expect(machine.gpu?.ceilings?.read).toEqual(kept.ceilings.read);
  const profile = cells[0]?.runs[0]?.profile ?? [];
  expect(profile.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['decode', 'prefill']));
  expect(profile.reduce((sum, { loraRows }) => sum + loraRows, 0)).toBeGreaterThan(0);
  // What was served before the run, its warm-up, is not in it: 6 requests of 8 + 4 tokens have 6 x (8 + 3) rows.
  expect(profile.reduce((sum, { rows }) => sum + rows.sum, 0)).toBe(6 * (8 + 3));
  const page = readFileSync(join(place.folder, 'out', 'report.html'), 'utf8');
  expect(page).toContain('Where a step’s time goes');
  expect(page).toMatch(/\d % of (reading|computing)/);
  expect(existsSync(join(place.folder, 'out', 'cells.csv'))).toBe(true);
});
