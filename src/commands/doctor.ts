/** `bench doctor`: which device the engine would run on, and what it can do. */
import { EXIT, type ExitCode } from '../errors.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { probeDevice } from '../target/engine.ts';
import type { CommandIo } from './io.ts';

export async function doctor(device: string | undefined, { stdout, stderr, signal }: CommandIo): Promise<ExitCode> {
  // The engine itself says which names it takes.
  const settings = device === undefined ? {} : { device: device as NonNullable<EngineFlags['device']> };
  const probe = await probeDevice(settings, { report: (line) => stderr.write(`${line}\n`), signal });
  const { candidate, name, driver, software, features } = probe;
  stdout.write(`device    ${name} (${candidate}${software ? ', software' : ''})\n`);
  if (driver !== '') stdout.write(`driver    ${driver}\n`);
  stdout.write(`features  ${features.length === 0 ? 'none' : features.join(', ')}\n`);
  if (software) stdout.write('No hardware device was found: scenarios run their without_gpu part, as a stand-in.\n');
  return EXIT.done;
}
