/** The device under test: opened once in a test process, with validation and robust access on. */
import type { Candidate } from '../../engine/device/candidates.ts';
import type { ChosenDevice } from '../../engine/device/choose.ts';
import { type OpenDevice, openDevice } from '../../engine/device/dawn.ts';

let opened: Promise<OpenDevice> | null = null;

/** What choose-device.ts chose. @throws when no device works here, saying what each lacks: kernel tests need one */
export function chosenDevice(): ChosenDevice {
  const chosen = JSON.parse(process.env['BENCH_TEST_CHOSEN'] ?? '{"why":"choose-device.ts did not run"}') as
    | ChosenDevice
    | { why: string };
  if ('why' in chosen) throw new Error(`these tests need a device: ${chosen.why}`);
  return chosen;
}

export function testDevice(): Promise<OpenDevice> {
  opened ??= openDevice(chosenDevice().candidate as Candidate, { validate: true });
  return opened;
}
