#!/usr/bin/env node
/**
 * The engine's launcher: flags in, a running server out, one JSON line on stdout when it is ready (EXTENSIONS.md).
 *
 * Chooses the device, then starts serve.js as a child process: software devices need environment variables that the
 * loader reads before a process starts, and a driver that aborts then takes down the child, whose end can still be told.
 * Passes SIGTERM and SIGINT on and exits with the child's code. Where it was started with an IPC channel, it ends with it,
 * so that no engine outlives a harness that was killed; the child ends with the launcher in the same way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { announce, announceFailure, PROTOCOL, tell } from './announce.ts';
import { type Candidate, type Environment, mergedEnvironment } from './device/candidates.ts';
import { chooseDevice } from './device/choose.ts';
import { inChild } from './device/in-child.ts';
import type { MeasuredDevice } from './device/measure-ceilings.ts';
import { EngineError } from './errors.ts';
import { parseFlags } from './flags.ts';

/** Time the child has to end after it was asked to. */
const STOP_GRACE_MS = 10_000;

/** Codes the child exits with after it has said why; with any other it died without a word. */
const TOLD_CODES: readonly (number | null)[] = [0, 2, 5, 70];

const MEASURE = { script: 'measure-ceilings.js', what: 'measuring what it can do', timeoutMs: 120_000 };

let child: ChildProcess | null = null;
let stopping = false;

function stop(signal: NodeJS.Signals): void {
  if (child === null) process.exit(0); // nothing was started yet
  if (!stopping) setTimeout(() => child?.kill('SIGKILL'), STOP_GRACE_MS).unref();
  stopping = true;
  child.kill(signal);
}

async function main(): Promise<number> {
  const parsed = await parseFlags(process.argv.slice(2));
  if ('show' in parsed) {
    process.stdout.write(`${parsed.show}\n`);
    return 0;
  }
  const { probe, settings } = parsed;
  const device = await chooseDevice(settings.config.device, tell);
  if (probe !== null) {
    const { env, ...facts } = device;
    const measured = probe === 'ceilings' ? await measuredOf(device.candidate, env) : {};
    announce({ probe: true, protocol: PROTOCOL, device: { ...facts, ...measured } });
    return 0;
  }
  tell(`device ${device.candidate}: ${device.name}${device.software ? ' (software)' : ''}`);
  const started = spawn(process.execPath, [fileURLToPath(new URL('./serve.js', import.meta.url))], {
    env: mergedEnvironment(device.env),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child = started;
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    started.on('error', reject);
    started.on('exit', (code, signal) => resolve({ code, signal }));
  });
  // A child that died before it could read this is told of by its exit.
  started.send({ settings, device }, () => {});
  const { code, signal } = await ended;
  if (stopping) return code ?? 0;
  if (TOLD_CODES.includes(code)) return code!;
  throw new EngineError('device_lost', `the engine's process died (${signal ?? `exit code ${code}`})`, {
    hint: 'drivers abort rather than report; --device names another one',
  });
}

async function measuredOf(candidate: Candidate, env: Environment): Promise<MeasuredDevice> {
  tell('measuring what the device can do at most');
  const { architecture, facts, limits, ceilings } = await inChild<MeasuredDevice>(MEASURE, candidate, env);
  return { architecture, facts, limits, ceilings };
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('SIGHUP', stop);
if (process.channel) process.on('disconnect', () => stop('SIGTERM'));

main().then(
  (code) => process.exit(code),
  (error: unknown) => process.exit(announceFailure(error)),
);
