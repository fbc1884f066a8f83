/**
 * `bench doctor`: which device the engine would run on and what it can do at most, measured and kept in reports/devices/, where
 * profiles find the ceilings that they show shares of.
 */
import { EXIT, type ExitCode } from '../errors.ts';
import { type Ceilings, DEVICE_FORMAT, type DeviceFile, writeDeviceFile } from '../result/device-file.ts';
import { machineOf } from '../result/fingerprint.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { measureDevice } from '../target/engine.ts';
import type { CommandIo } from './io.ts';
import { version } from './tool.ts';

export async function doctor(device: string | undefined, { stdout, stderr, signal }: CommandIo): Promise<ExitCode> {
  // The engine itself says which names it takes.
  const settings = device === undefined ? {} : { device: device as NonNullable<EngineFlags['device']> };
  const measured = await measureDevice(settings, { report: (line) => stderr.write(`${line}\n`), signal });
  const { cpu, cores, os, node } = machineOf(null);
  const machine = { cpu, cores, os, node };
  const measuredAt = new Date().toISOString();
  const file: DeviceFile = { format: DEVICE_FORMAT, measuredAt, version: version(), machine, ...measured };
  stdout.write(`${linesOf(file).join('\n')}\n`);
  stdout.write(`kept in     ${writeDeviceFile(file)}\n`);
  if (file.software)
    stdout.write('No hardware device was found: scenarios run their without_gpu part, as a stand-in.\n');
  return EXIT.done;
}

function linesOf(file: DeviceFile): string[] {
  const { name, candidate, software, driver, features, machine, facts, ceilings } = file;
  const { subgroups, matrix } = facts;
  return [
    line('device', `${name} (${candidate}${software ? `, software on ${machine.cpu}` : ''})`),
    ...(driver === '' ? [] : [line('driver', driver)]),
    line('features', features.length === 0 ? 'none' : features.join(', ')),
    line('subgroups', subgroups === null ? 'none' : lanes(subgroups)),
    line('tensors', matrix === null ? 'none' : `${matrix.m}x${matrix.n}x${matrix.k}, f16 summed in f32`),
    ...ceilingLines(ceilings),
  ];
}

function ceilingLines(c: Ceilings): string[] {
  const wait = `${c.dispatchUs.toFixed(1)} us where each waits for the last, ${c.encodeUs.toFixed(1)} us to record`;
  return [
    line('read', `${quantity(c.read.best, 'B/s')}, ${quantity(c.bytes, 'B')} at a time`),
    line('copy', `${quantity(c.copy.best, 'B/s')}, read and written`),
    line('f32', quantity(c.fma.best, 'FLOP/s')),
    ...(c.matrix === null ? [] : [line('f16 tensor', quantity(c.matrix.best, 'FLOP/s'))]),
    line('dispatch', wait),
    line('submit', `${c.submitUs.toFixed(1)} us`),
    line('map', `${c.mapUs.p50.toFixed(0)} us there and back (p99 ${c.mapUs.p99.toFixed(0)} us)`),
    line('upload', quantity(c.upload.best, 'B/s')),
  ];
}

const line = (what: string, text: string): string => `${what.padEnd(12)}${text}`;

const lanes = ({ min, max }: { min: number; max: number }): string =>
  min === max ? `${max} lanes` : `${min} to ${max} lanes`;

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** 3.21e12 as "3.21 TB/s". */
function quantity(value: number, unit: string): string {
  const step = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)));
  return `${(value / 1000 ** step).toPrecision(3)} ${PREFIXES[step]}${unit}`;
}
