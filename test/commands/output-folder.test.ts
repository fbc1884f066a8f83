import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outputFolder, refuseUsed } from '../../src/commands/output-folder.ts';

const AT = new Date('2026-11-23T21:05:09.123Z');
let place: string;
let before: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'output-folder-'));
  before = process.cwd();
  process.chdir(place);
});
afterEach(() => {
  process.chdir(before);
  rmSync(place, { recursive: true });
});

const refused = { code: 'OUTPUT_NOT_WRITABLE', exitCode: 2 };
const thrownBy = (action: () => unknown): unknown => {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
};

describe('outputFolder', () => {
  it('is named after scenario and time, and made', () => {
    expect(outputFolder(null, 'mine', AT)).toBe(join('reports', 'mine', '2026-11-23T21-05-09Z'));
    expect(existsSync('reports/mine/2026-11-23T21-05-09Z')).toBe(true);
  });

  it('gives two runs of one second a folder each', () => {
    const folders = [1, 2, 3].map(() => outputFolder(null, 'mine', AT));
    expect(new Set(folders).size).toBe(3);
  });

  it('takes a folder that exists, with anything but a result in it', () => {
    mkdirSync('out');
    writeFileSync('out/notes.txt', 'mine');
    expect(outputFolder('out', 'mine', AT)).toBe('out');
  });

  it.each(['result.json', 'requests.jsonl'])('refuses a folder that holds %s', (name) => {
    mkdirSync('out');
    writeFileSync(join('out', name), '');
    expect(thrownBy(() => outputFolder('out', 'mine', AT))).toMatchObject(refused);
    expect(thrownBy(() => refuseUsed('out'))).toMatchObject(refused);
    expect(thrownBy(() => refuseUsed('nowhere'))).toBeNull();
  });

  it('refuses a file, and a folder below one', () => {
    writeFileSync('file', '', { mode: 0o755 });
    expect(thrownBy(() => outputFolder('file', 'mine', AT))).toMatchObject(refused);
    expect(thrownBy(() => outputFolder('file/below', 'mine', AT))).toMatchObject(refused);
    expect(thrownBy(() => outputFolder('/proc/nothing/can/be/made/here', 'mine', AT))).toMatchObject(refused);
  });
});
