/** A prepared target as the runner takes it, and its device as results name it. */
import { readDeviceFile } from '../result/device-file.ts';
import { machineOf } from '../result/fingerprint.ts';
import type { Machine } from '../result/schema.ts';
import type { Side } from '../runner/side.ts';
import type { DeviceProbe } from '../target/engine.ts';
import type { Prepared } from './prepared.ts';
import { tokenizersFor } from './tokenizers.ts';

/** @throws BenchError for a model without a tokenizer, which has nothing to be sent */
export const sideOf = async ({ scenario, plan, source, folders }: Prepared): Promise<Side> => ({
  plan,
  source,
  tokenizerOf: await tokenizersFor(scenario, folders),
});

export const gpuOf = (prepared: { device: DeviceProbe | null } | null): Machine['gpu'] => {
  const device = prepared?.device ?? null;
  return device === null
    ? null
    : { name: device.name, driver: device.driver, software: device.software, ...ceilingsOf(device) };
};

/** What `bench doctor` measured of it, if it was run here: profiles are shown as shares of that. */
function ceilingsOf(device: DeviceProbe): Pick<NonNullable<Machine['gpu']>, 'ceilings'> {
  const file = readDeviceFile(device, machineOf(null).cpu);
  if (file === null) return {};
  const { read, fma, matrix } = file.ceilings;
  return { ceilings: { read, fma, matrix } };
}
