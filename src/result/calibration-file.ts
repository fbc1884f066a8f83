/**
 * What a machine's noise can hide, kept: reports/baselines/<scenario>@<machine>.calibration.json, format bench-calibration/1. Written
 * by `bench calibrate`, read by `bench gate`, which refuses tolerances that this machine cannot show.
 */
import { readFileSync } from 'node:fs';
import { BASELINES_FOLDER, baselinePath } from './baseline-file.ts';
import { makeFolder, writeWhole } from './write.ts';

export const CALIBRATION_FORMAT = 'bench-calibration/1';

export interface CalibratedThreshold {
  /** That of its CheckedThreshold: "t1@c3". */
  id: string;
  threshold: string;
  cell: string;
  pairs: number;
  /** Standard deviation of ln(B/A) between pairs of the same server. */
  sd: number;
  /** Mean of ln(second/first) of a pair, worse positive: what coming second does; with its 99% interval. */
  bias: number;
  biasInterval: [number, number];
  tolerance: number;
  /** The least change that a gate fails in four of five: 0.12 is 12%. */
  detects: number;
  /** The same by each look. */
  byLook: { pairs: number; detects: number }[];
  /** Least tolerance of which twice as much is detected in four of five gates. */
  suggested: number;
}

export interface CalibrationFile {
  format: typeof CALIBRATION_FORMAT;
  scenario: string;
  planHash: string;
  machineId: string;
  createdAt: string;
  session: string;
  alpha: number;
  looks: number[];
  /** Share of gates that failed the unchanged server, by signs of its pairs flipped at random and judged as a gate judges. */
  falseAlarms: { share: number; gates: number };
  thresholds: CalibratedThreshold[];
}

export const calibrationPath = (scenario: string, machineId: string, folder: string = BASELINES_FOLDER): string =>
  baselinePath(scenario, machineId, folder).replace(/\.json$/, '.calibration.json');

export function writeCalibration(file: CalibrationFile, folder: string = BASELINES_FOLDER): string {
  makeFolder(folder);
  const path = calibrationPath(file.scenario, file.machineId, folder);
  writeWhole(path, `${JSON.stringify(file, null, 2)}\n`);
  return path;
}

/** null where there is none of this plan and machine, or none that can be read. */
export function readCalibration(
  of: { scenario: string; planHash: string; machineId: string },
  folder: string = BASELINES_FOLDER,
): CalibrationFile | null {
  try {
    const text = readFileSync(calibrationPath(of.scenario, of.machineId, folder), 'utf8');
    const file = JSON.parse(text) as CalibrationFile;
    return file.format === CALIBRATION_FORMAT && file.planHash === of.planHash ? file : null;
  } catch {
    return null;
  }
}
