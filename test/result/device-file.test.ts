/** Files of devices: named so that no two devices share one, read back as written, and not trusted when they are something else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  DEVICE_FORMAT,
  type DeviceFile,
  deviceFileName,
  readDeviceFile,
  writeDeviceFile,
} from '../../src/result/device-file.ts';

const rate = { best: 2e12, median: 1.9e12 };
const file: DeviceFile = {
  format: DEVICE_FORMAT,
  measuredAt: '2026-12-01T00:00:00.000Z',
  version: '0.1.0',
  machine: { cpu: 'AMD EPYC 7B13', cores: 2, os: 'Linux', node: 'v20.20.2' },
  candidate: 'gpu',
  name: 'NVIDIA H100 80GB HBM3',
  vendor: 'nvidia',
  architecture: 'hopper',
  driver: '580.1',
  software: false,
  features: ['subgroups'],
  facts: { subgroups: { min: 32, max: 32 }, f16: true, timestamps: true, matrix: { m: 16, n: 16, k: 16 } },
  limits: { maxBufferSize: 4 },
  ceilings: {
    bytes: 2 ** 30,
    read: rate,
    copy: rate,
    fma: rate,
    matrix: { ...rate, m: 16, n: 16, k: 16 },
    dispatchUs: 3,
    encodeUs: 1.5,
    submitUs: 10,
    mapUs: { p50: 40, p99: 90 },
    upload: rate,
  },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lorabench-devices-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('are named by the device, and by the processor where that computes', () => {
  expect(deviceFileName(file, file.machine.cpu)).toBe('nvidia-h100-80gb-hbm3.json');
  const software = { name: 'SwiftShader (LLVM 16)', candidate: 'swiftshader', software: true };
  expect(deviceFileName(software, 'AMD EPYC 7B13')).toBe('swiftshader-amd-epyc-7b13.json');
});

it('are read back as they were written', () => {
  const inside = join(folder, 'not', 'there', 'yet');
  expect(writeDeviceFile(file, inside)).toBe(join(inside, 'nvidia-h100-80gb-hbm3.json'));
  expect(readDeviceFile(file, file.machine.cpu, inside)).toEqual(file);
});

it('are nothing where there is none, or another format', () => {
  expect(readDeviceFile({ ...file, name: 'other' }, '', folder)).toBeNull();
  writeFileSync(join(folder, 'odd.json'), '{"format": "something/2"}');
  expect(readDeviceFile({ ...file, name: 'odd' }, '', folder)).toBeNull();
  writeFileSync(join(folder, 'half.json'), '{"format": ');
  expect(readDeviceFile({ ...file, name: 'half' }, '', folder)).toBeNull();
});
