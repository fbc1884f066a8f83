// For scripts that measure on a device: chooses it, and runs the script again as a child process with the environment that device
// needs, which a loader reads when a process starts.
import { spawn } from 'node:child_process';
import { mergedEnvironment } from '../../../dist/engine/device/candidates.js';
import { chooseDevice } from '../../../dist/engine/device/choose.js';

const VARIABLE = 'BENCH_PERF_DEVICE';

/** @param work called with the device that was chosen, in the process that may open it */
export async function onDevice(requested, work) {
  const told = process.env[VARIABLE];
  if (told !== undefined) {
    await work(JSON.parse(told));
    process.exit(0); // an open device keeps the process alive
  }
  const chosen = await chooseDevice(requested, console.error);
  const env = { ...mergedEnvironment(chosen.env), [VARIABLE]: JSON.stringify(chosen) };
  const child = spawn(process.execPath, process.argv.slice(1), { env, stdio: 'inherit' });
  child.on('exit', (code) => process.exit(code ?? 1));
}
