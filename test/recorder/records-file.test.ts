/** requests.jsonl: written as requests end, read back in spite of a torn end. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRecords } from '../../src/recorder/read-records.ts';
import { openRecordsFile } from '../../src/recorder/records-file.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { record } from '../metrics/records.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'records-'));
  path = join(folder, 'requests.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function all(file = path): Promise<RequestRecord[]> {
  const records: RequestRecord[] = [];
  for await (const one of readRecords(file)) records.push(one);
  return records;
}

describe('the file', () => {
  it('has each record when append returns, and gives it back', async () => {
    const file = openRecordsFile(path);
    const records = [record(), record({ detail: 'naïve "漢字"\n🎂' }), record({ chunks: [[5, null]] })];
    for (const [i, one] of records.entries()) {
      file.append(one);
      expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toHaveLength(i + 1);
    }
    expect([file.written, file.lost]).toEqual([3, 0]);
    file.close();
    file.close();
    expect(await all()).toEqual(records);
    expect(() => file.append(record())).toThrow(/closed/);
  });

  it('never overwrites one that is there, and says where it could not be made', () => {
    writeFileSync(path, '');
    expect(() => openRecordsFile(path)).toThrow(expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE' }));
    expect(() => openRecordsFile(join(folder, 'none', 'x.jsonl'))).toThrow(/none.x\.jsonl/);
  });
});

describe('reading', () => {
  it('leaves a torn last record out, wherever it was torn', async () => {
    const file = openRecordsFile(path);
    const records = [record(), record(), record()];
    for (const one of records) file.append(one);
    file.close();
    const whole = readFileSync(path);
    const second = whole.indexOf(10, whole.indexOf(10) + 1) + 1;
    for (const cut of [second, second + 1, second + 40, whole.length - 2]) {
      writeFileSync(path, whole);
      truncateSync(path, cut);
      expect(await all()).toEqual(records.slice(0, 2));
    }
    truncateSync(path, 0);
    expect(await all()).toEqual([]);
  });

  it('names the line that is broken, and a file that is not there', async () => {
    const good = `${JSON.stringify(record())}\n`;
    appendFileSync(path, `${good}{"run": 1}\n${good}`);
    await expect(all()).rejects.toThrow(/requests\.jsonl:2 is no request record/);
    await expect(all(join(folder, 'none'))).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('reads files larger than its buffer, with characters across its edge', async () => {
    const file = openRecordsFile(path);
    const records = Array.from({ length: 60 }, (_, i) => record({ detail: '漢'.repeat(9000 + i) }));
    for (const one of records) file.append(one);
    file.close();
    expect(readFileSync(path).length).toBeGreaterThan(1 << 20);
    expect(await all()).toEqual(records);
  });
});
