/** result.json: whole or not at all, and only what is one is read. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { machineOf, newSession } from '../../src/result/fingerprint.ts';
import { readResult } from '../../src/result/read.ts';
import { FORMAT, type Result, type RunResult } from '../../src/result/schema.ts';
import { writeResult } from '../../src/result/write.ts';
import { measureRun } from '../../src/validity/measure-run.ts';
import { cell, ms, record } from '../metrics/records.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'result-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function result(): Result {
  const given = cell();
  const numbers = measureRun([record(), record({ sentMs: 20 })], {
    cell: given,
    slo: null,
    runStart: 0,
    lastIssue: ms(20),
    runEnd: ms(40),
  });
  const run: RunResult = {
    seed: 1,
    nonce: 'n',
    order: 0,
    pair: null,
    arm: null,
    attempt: 1,
    state: 'done',
    startedAt: '2026-01-01T00:00:00.000Z',
    exact: {},
    ...numbers,
  };
  return {
    format: FORMAT,
    tool: { name: 'lorabench', version: '0.1.0', commit: null },
    scenario: { name: 's', description: null, file: null, hash: 'h', resolved: {} },
    planHash: 'p',
    createdAt: '2026-01-01T00:00:00.000Z',
    session: newSession(),
    machine: machineOf(null),
    client: { workers: 1, selfCheck: null },
    standIn: null,
    targets: [{ id: 't', kind: 'endpoint', url: 'http://h/v1', model: 'm', server: {} }],
    warnings: [],
    cells: [{ id: 'c1', target: 't', at: given.at, servedRanks: null, runs: [run] }],
  };
}

describe('writing and reading', () => {
  it('gives back what was written, from the file or its folder', () => {
    const file = join(folder, 'result.json');
    const written = result();
    writeResult(file, written);
    expect(readResult(file)).toEqual(written);
    expect(readResult(folder)).toEqual(written);
    expect(readdirSync(folder)).toEqual(['result.json']);
  });

  it('replaces an older one, and leaves it alone when it fails', () => {
    const file = join(folder, 'result.json');
    writeResult(file, result());
    const before = readFileSync(file, 'utf8');
    const broken = result();
    broken.cells[0]!.runs[0]!.counts.ok = Number.NaN;
    expect(() => writeResult(file, broken)).toThrow(
      expect.objectContaining({ code: 'BUG', message: expect.stringContaining('"ok"') }),
    );
    expect(readFileSync(file, 'utf8')).toBe(before);
    writeResult(file, { ...result(), planHash: 'other' });
    expect(readResult(file).planHash).toBe('other');
    expect(readdirSync(folder)).toEqual(['result.json']);
  });

  it('says where it could not be written, and leaves nothing behind', () => {
    expect(() => writeResult(join(folder, 'none', 'result.json'), result())).toThrow(
      expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE' }),
    );
    mkdirSync(join(folder, 'result.json'));
    expect(() => writeResult(join(folder, 'result.json'), result())).toThrow(/result\.json/);
    expect(readdirSync(folder)).toEqual(['result.json']);
  });

  it.each([
    ['', /not JSON/],
    ['[]', /no result/],
    ['{}', /has no format/],
    ['{"format": "bench-result/9"}', /"bench-result\/9"; this version reads "bench-result\/1"/],
    [`{"format": "${FORMAT}"}`, /"tool" is no object/],
  ])('refuses %j', (text, message) => {
    const file = join(folder, 'result.json');
    writeFileSync(file, text);
    expect(() => readResult(file)).toThrow(message);
    expect(() => readResult(file)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('names the run that is broken, and a file that is not there', () => {
    const file = join(folder, 'result.json');
    const { metrics: _, ...run } = result().cells[0]!.runs[0]!;
    writeFileSync(file, JSON.stringify({ ...result(), cells: [{ ...result().cells[0], runs: [run] }] }));
    expect(() => readResult(file)).toThrow(/cells\[0\]\.runs\[0\] lacks "metrics"/);
    expect(() => readResult(join(folder, 'none.json'))).toThrow(/Could not read/);
  });
});

describe('fingerprints', () => {
  it('are the same each time on one machine, differ by device, and name nobody', () => {
    const gpu = { name: 'NVIDIA H100', driver: '550', software: false };
    expect(machineOf(null)).toEqual(machineOf(null));
    expect(machineOf(gpu).id).not.toBe(machineOf(null).id);
    expect(machineOf(gpu)).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{16}$/), node: process.version, gpu });
    expect(machineOf(null).cores).toBeGreaterThanOrEqual(1);
  });

  it('sessions sort by time and never repeat', () => {
    const at = new Date('2026-11-23T20:57:04.123Z');
    expect(newSession(at)).toMatch(/^20261123T205704Z-[0-9a-f]{8}$/);
    expect(new Set(Array.from({ length: 100 }, () => newSession(at))).size).toBe(100);
  });
});
