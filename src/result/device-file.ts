/**
 * What a device can do at most, kept: reports/devices/<device>.json under the current folder, format bench-device/1. Written by
 * `bench doctor`; the scripts in test/perf that measure kernels add theirs, as shares of these ceilings. Rates are a second's:
 * bytes, or floating-point operations (a multiply-add counts as two).
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './schema.ts';
import { writeWhole } from './write.ts';

export const DEVICE_FORMAT = 'bench-device/1';

/** The best of several batches, and their median. */
export interface Ceiling {
  best: number;
  median: number;
}

export interface Ceilings {
  /** Moved at a time. */
  bytes: number;
  read: Ceiling;
  /** Those read and those written. */
  copy: Ceiling;
  /** f32, without tensor cores. */
  fma: Ceiling;
  /** f16 summed in f32 on tensor cores, by matrices of this size; null where there are none. */
  matrix: (Ceiling & { m: number; n: number; k: number }) | null;
  /** Microseconds: of one of many dispatches that wait for each other; to record one; of an empty submission; of a map and back. */
  dispatchUs: number;
  encodeUs: number;
  submitUs: number;
  mapUs: { p50: number; p99: number };
  upload: Ceiling;
}

/** As the engine tells of a device it has measured (engine/EXTENSIONS.md). */
export interface MeasuredDevice {
  candidate: string;
  name: string;
  vendor: string;
  driver: string;
  software: boolean;
  features: string[];
  architecture: string;
  facts: {
    subgroups: { min: number; max: number } | null;
    f16: boolean;
    timestamps: boolean;
    matrix: { m: number; n: number; k: number } | null;
  } & Record<string, unknown>;
  limits: Record<string, number>;
  ceilings: Ceilings;
}

export interface DeviceFile extends MeasuredDevice {
  format: typeof DEVICE_FORMAT;
  measuredAt: string;
  /** Of the program that measured. */
  version: string;
  machine: Pick<Machine, 'cpu' | 'cores' | 'os' | 'node'>;
}

export const DEVICES_FOLDER = join('reports', 'devices');

/** A software device is as fast as the processor it runs on, which is therefore part of its file's name. */
export function deviceFileName(
  { name, candidate, software }: Pick<MeasuredDevice, 'name' | 'candidate' | 'software'>,
  cpu: string,
): string {
  const words = software ? `${candidate} ${cpu}` : name;
  const slug = words
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return `${slug}.json`;
}

/** @returns its path. @throws BenchError OUTPUT_DISK_FULL, OUTPUT_NOT_WRITABLE */
export function writeDeviceFile(file: DeviceFile, folder: string = DEVICES_FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, deviceFileName(file, file.machine.cpu));
  writeWhole(path, `${JSON.stringify(file, null, 2)}\n`);
  return path;
}

/** What was measured of this device before, here; null where nothing was, or nothing that can be read. */
export function readDeviceFile(
  device: Pick<MeasuredDevice, 'name' | 'candidate' | 'software'>,
  cpu: string,
  folder: string = DEVICES_FOLDER,
): DeviceFile | null {
  try {
    const text = readFileSync(join(folder, deviceFileName(device, cpu)), 'utf8');
    const file = JSON.parse(text) as DeviceFile;
    return file.format === DEVICE_FORMAT ? file : null;
  } catch {
    return null;
  }
}
