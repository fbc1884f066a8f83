import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cellsCsv } from '../../src/report/csv.ts';
import { writeReport } from '../../src/report/write.ts';
import { resultFixture } from './fixture.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lorabench-report-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const result = resultFixture({ adapters: [0, 2], concurrency: [1], requests: 4 });

test('writes its files whole, and over older ones', async () => {
  await writeReport(dir, result);
  await writeReport(dir, result);
  expect((await readdir(dir)).sort()).toEqual(['aiperf', 'cells.csv', 'profile_export_aiperf.json', 'report.html']);
  expect(await readFile(join(dir, 'cells.csv'), 'utf8')).toBe(cellsCsv(result));
  expect((await readFile(join(dir, 'report.html'), 'utf8')).trimEnd().endsWith('</html>')).toBe(true);
});

// /dev/full is a disk that is always full: https://man7.org/linux/man-pages/man4/full.4.html
test.skipIf(process.platform !== 'linux')('a full disk leaves no half report, and keeps what is there', async () => {
  await symlink('/dev/full', join(dir, 'report.html.partial'));
  await expect(writeReport(dir, result)).rejects.toMatchObject({
    code: 'OUTPUT_DISK_FULL',
    exitCode: 5,
    message: expect.stringContaining('report.html'),
  });
  expect(await readdir(dir)).toEqual(['cells.csv']);
});

test('a folder that is not there is not writable', async () => {
  await expect(writeReport(join(dir, 'nowhere'), result)).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    exitCode: 2,
  });
});
