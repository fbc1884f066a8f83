/** Calibrations kept: read back as written, and not used for another plan, nor when they are something else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  CALIBRATION_FORMAT,
  type CalibrationFile,
  calibrationPath,
  readCalibration,
  writeCalibration,
} from '../../src/result/calibration-file.ts';

const file: CalibrationFile = {
  format: CALIBRATION_FORMAT,
  scenario: 'gate',
  planHash: 'p',
  machineId: '0123456789abcdef',
  createdAt: '2026-12-01T00:00:00.000Z',
  session: 's',
  alpha: 0.05,
  looks: [6, 12, 20],
  falseAlarms: { share: 0.01, gates: 1000 },
  thresholds: [
    {
      id: 't1@c1',
      threshold: 'ttft.p50 max_increase 5%',
      cell: 'c1',
      pairs: 20,
      sd: 0.02,
      bias: 0.001,
      biasInterval: [-0.01, 0.012],
      tolerance: 0.05,
      detects: 0.08,
      byLook: [{ pairs: 20, detects: 0.08 }],
      suggested: 0.04,
    },
  ],
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'calibrations-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const of = (more: object = {}) => ({ scenario: 'gate', planHash: 'p', machineId: '0123456789abcdef', ...more });

it('is read back as it was written, into a folder that is made', () => {
  const into = join(folder, 'reports', 'baselines');
  const path = writeCalibration(file, into);
  expect(path).toBe(calibrationPath('gate', file.machineId, into));
  expect(path).toMatch(/gate@01234567\.calibration\.json$/);
  expect(readCalibration(of(), into)).toEqual(file);
});

it('is none for another plan, scenario or machine, nor where it cannot be read', () => {
  writeCalibration(file, folder);
  for (const other of [{ planHash: 'q' }, { scenario: 'other' }, { machineId: 'fedcba9876543210' }]) {
    expect(readCalibration(of(other), folder)).toBeNull();
  }
  for (const text of ['{', '{}', 'null', JSON.stringify({ ...file, format: 'bench-calibration/0' })]) {
    writeFileSync(calibrationPath('gate', file.machineId, folder), text);
    expect(readCalibration(of(), folder)).toBeNull();
  }
});

it('that cannot be written is refused with where', () => {
  expect(() => writeCalibration(file, '/dev/null/x')).toThrow(
    expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE', message: expect.stringContaining('/dev/null/x') }),
  );
});
