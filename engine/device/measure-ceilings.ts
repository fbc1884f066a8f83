/**
 * Run as a child process with a candidate's environment, behind `--ceilings`: opens the device as the engine does when it
 * serves and measures what it can do at most. Prints one JSON line: {ok: true, facts, limits, ceilings} or {ok: false, message, hint}.
 */
import { EngineError } from '../errors.ts';
import { CANDIDATES } from './candidates.ts';
import { type Ceilings, measureCeilings } from './ceilings.ts';
import { openDevice } from './dawn.ts';
import type { DeviceFacts } from './facts.ts';

export interface MeasuredDevice {
  architecture: string;
  facts: DeviceFacts;
  limits: Record<string, number>;
  ceilings: Ceilings;
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
] as const;

const candidate = CANDIDATES.find((c) => c === process.argv[2]);
if (!candidate) {
  console.error(`usage: measure-ceilings ${CANDIDATES.join('|')}`);
  process.exit(2);
}
try {
  const open = await openDevice(candidate, { validate: false });
  const limits = Object.fromEntries(LIMITS.map((name) => [name, open.device.limits[name]]));
  const { facts, architecture } = open;
  const measured: MeasuredDevice = { architecture, facts, limits, ceilings: await measureCeilings(open) };
  console.log(JSON.stringify({ ok: true, ...measured }));
  process.exit(0);
} catch (error) {
  const hint = error instanceof EngineError ? error.hint : undefined;
  console.log(JSON.stringify({ ok: false, message: error instanceof Error ? error.message : String(error), hint }));
  process.exit(1);
}
