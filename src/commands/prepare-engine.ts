/**
 * The bundled engine as a target, up to its plan. In: the scenario, as it would be with a GPU and without. Out: which of them
 * applies on the device that the engine would take, what is planned, and where engines come from.
 */
import { weightBytes } from '../../engine/models/weight-formats.ts';
import { BenchError } from '../errors.ts';
import { geometryIn, type TargetFacts } from '../plan/facts.ts';
import type { Plan } from '../plan/plan.ts';
import { planOf } from '../plan/plan-of.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { humanDuration } from '../scenario/units.ts';
import { type DeviceProbe, engineSource, probeDevice } from '../target/engine.ts';
import type { CommandIo } from './io.ts';
import { folderModels } from './models.ts';
import type { Prepared } from './prepared.ts';
import { engineModels, promptFilesFor } from './prompt-files.ts';

export interface EngineScenario {
  resolve: (withoutGpu: boolean) => Scenario;
  /** It says something else for a machine without a GPU. */
  hasWithoutGpu: boolean;
}

/** @throws BenchError: scenario or plan wrong, no device, too big for a software device */
export async function prepareEngine(
  { resolve, hasWithoutGpu }: EngineScenario,
  { signal }: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  const asWritten = resolve(false); // before the device is looked for: a mistake in the file should not wait for it
  report('looking for a device');
  const device = await probeDevice(asWritten.engine, { report, signal });
  const scenario = device.software && hasWithoutGpu ? resolve(true) : asWritten;
  const folders = await folderModels(scenario);
  const promptFiles = await promptFilesFor(scenario, engineModels(scenario, folders), folders, report);
  const { software, name: deviceName } = device;
  const facts: TargetFacts = { kind: 'engine', software, deviceName, folders, promptFiles };
  const plan = planOf(scenario, facts);
  const askedFor = scenario.engine.device === device.candidate;
  if (device.software && !scenario.withoutGpu && !askedFor) throw tooBigForSoftware(plan, device, facts);
  // The device that was found, and not the search again: it takes time, and could end elsewhere.
  const settings = { device: device.candidate, ...scenario.engine };
  return { scenario, plan, source: engineSource({ plan, settings, folders, software }), device, folders, warnings: [] };
}

/** Hours on a processor are never begun unasked; what it would take is said instead. */
function tooBigForSoftware(
  { cells, estimate }: Plan,
  { candidate, name }: DeviceProbe,
  facts: TargetFacts,
): BenchError {
  const models = [...new Set(cells.map(({ at }) => at.model))];
  const sizes = cells.map(({ at }) => {
    const geometry = geometryIn(facts, at.model);
    const weights = at.weights ?? 'f16';
    return { weights, bytes: geometry === null ? 0 : weightBytes(geometry, weights) };
  });
  const { weights, bytes } = sizes.reduce((most, size) => (size.bytes > most.bytes ? size : most));
  const time = estimate.seconds === null ? 'an unknown time' : `about ${humanDuration(estimate.seconds * 1000)}`;
  const takes = `${time} and ${(bytes / 1e9).toFixed(1)} GB of memory for the weights in ${weights}`;
  return new BenchError('TOO_BIG', `no GPU was found, and on ${name} this would take ${takes}: ${models.join(', ')}`, {
    hint:
      'give the scenario a without_gpu block with a smaller model (such as models: [llama-3-8b@1/8]), ' +
      `measure a server with --endpoint URL, or ask for it by name: --device ${candidate}`,
  });
}
