/** No more room, for real: a child process under `ulimit -f` writes until it can't, and loses nothing it had written. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeError } from '../../src/recorder/disk-full.ts';
import { readRecords } from '../../src/recorder/read-records.ts';
import { record } from '../metrics/records.ts';
import { type Emitted, emitModules } from '../support/emit-modules.ts';

const RECORDS = 'src/recorder/records-file.ts';
const RESULT = 'src/result/write.ts';
const LIMIT_KIB = 8;

let emitted: Emitted;
let folder: string;
beforeAll(() => {
  emitted = emitModules(RECORDS, RESULT);
  folder = mkdtempSync(join(tmpdir(), 'full-'));
});
afterAll(() => {
  emitted.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs module code with a file-size limit; it may `import` the emitted modules by the names RECORDS and RESULT. */
function limited(code: string): string {
  const modules = Object.entries({ RECORDS, RESULT }).map(
    ([name, m]) => `const ${name} = ${JSON.stringify(pathToFileURL(emitted.pathOf(m)).href)};`,
  );
  const { stdout, stderr, status } = spawnSync(
    'bash',
    ['-c', `ulimit -f ${LIMIT_KIB}; exec "$0" --input-type=module`, process.execPath],
    { input: `${modules.join('\n')}\n${code}`, encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

describe.skipIf(process.platform === 'win32')('a file-size limit', () => {
  it('is reported once by the records file, and every record written stays readable', async () => {
    const path = join(folder, 'requests.jsonl');
    const out = limited(`
      const { openRecordsFile } = await import(RECORDS);
      const file = openRecordsFile(${JSON.stringify(path)});
      const record = ${JSON.stringify(record({ detail: 'x'.repeat(100) }))};
      const errors = [];
      for (let i = 0; i < 40; i++) try { file.append({ ...record, i }); } catch (e) { errors.push([i, e.name, e.code, e.exitCode, e.message]); }
      file.close();
      console.log(JSON.stringify({ errors, written: file.written, lost: file.lost }));`);
    const { errors, written, lost } = JSON.parse(out);
    expect(errors).toEqual([
      [
        written,
        'BenchError',
        'OUTPUT_DISK_FULL',
        5,
        expect.stringContaining(`The ${written} records written so far are kept`),
      ],
    ]);
    expect(written + lost).toBe(40);
    expect(written).toBeGreaterThan(5);
    expect(statSync(path).size).toBeLessThanOrEqual(LIMIT_KIB * 1024);
    expect(readFileSync(path, 'utf8').endsWith('\n')).toBe(true);
    const kept: number[] = [];
    for await (const { i } of readRecords(path)) kept.push(i);
    expect(kept).toEqual(Array.from({ length: written }, (_, i) => i));
  });

  it('leaves the older result.json in place, and no half of a new one', () => {
    const path = join(folder, 'result.json');
    const out = limited(`
      const { writeWhole } = await import(RESULT);
      writeWhole(${JSON.stringify(path)}, 'old');
      try { writeWhole(${JSON.stringify(path)}, 'x'.repeat(${2 * LIMIT_KIB * 1024})); } catch (e) { console.log(e.code); }`);
    expect(out.trim()).toBe('OUTPUT_DISK_FULL');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder).filter((name) => name.startsWith('result.json'))).toEqual(['result.json']);
  });
});

it.each([
  ['ENOSPC', 'OUTPUT_DISK_FULL', 'the disk is full'],
  ['EDQUOT', 'OUTPUT_DISK_FULL', 'quota'],
  ['EFBIG', 'OUTPUT_DISK_FULL', 'ulimit -f'],
  ['EACCES', 'OUTPUT_NOT_WRITABLE', 'permission denied'],
])('%s is %s', (code, expected, words) => {
  const error = writeError(Object.assign(new Error('permission denied'), { code }), 'x.json', 'All is kept.');
  expect(error).toMatchObject({ code: expected, message: expect.stringContaining(words) });
});
