/**
 * Run once before all tests: chooses the device that kernel and model tests run on, and puts its environment in place before
 * the processes that run the tests start (LD_LIBRARY_PATH is read when a process starts). BENCH_TEST_DEVICE forces one.
 */
import { mergedEnvironment } from '../../engine/device/candidates.ts';
import { type ChosenDevice, chooseDevice } from '../../engine/device/choose.ts';

export async function setup(): Promise<void> {
  const requested = (process.env['BENCH_TEST_DEVICE'] ?? 'swiftshader') as Parameters<typeof chooseDevice>[0];
  let chosen: ChosenDevice | null = null;
  let why = '';
  try {
    chosen = await chooseDevice(requested, () => {});
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  if (chosen) {
    const merged = mergedEnvironment(chosen.env);
    for (const name of Object.keys(chosen.env)) {
      const value = merged[name];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
  process.env['BENCH_TEST_CHOSEN'] = JSON.stringify(chosen ?? { why });
}
