/**
 * Two targets for one scenario: its own, and the other that --compare or --against names. In: arguments. Out: both, prepared
 * for the same load, or an error that says in what it would differ.
 *
 * What the other is called by (A or B) is the caller's choice: `run` has the scenario's own target as A, `gate` as B.
 */
import { BenchError } from '../errors.ts';
import { checkSameLoad } from '../plan/same-load.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { type OtherArguments, type OtherTarget, otherTarget, scenarioForOther } from '../scenario/target-file.ts';
import { checkUrl, type EndpointFacts } from '../target/endpoint-probe.ts';
import type { CommandIo } from './io.ts';
import { type PrepareArguments, prepare } from './prepare.ts';
import { prepareEndpoint } from './prepare-endpoint.ts';
import { prepareEngine } from './prepare-engine.ts';
import type { Prepared } from './prepared.ts';

export interface PreparedBoth {
  own: Prepared;
  other: Prepared;
  /** What the reader must know of the comparison as such. */
  warnings: string[];
}

/** @throws BenchError as prepare does for either, and PLAN_INVALID where they would not get the same load; nothing is left running */
export async function prepareBoth(
  args: PrepareArguments,
  asked: OtherArguments,
  io: CommandIo,
  report: (line: string) => void,
): Promise<PreparedBoth> {
  const target = otherTarget(asked); // before a device is looked for, or a server started
  const own = await prepare(args, io, report);
  let other: Prepared | null = null;
  try {
    other = await prepareOther(own, target, asked, io, report);
    checkSameApi(own.scenario, other.scenario, asked);
    return { own, other, warnings: checkSameLoad(own.plan, other.plan) };
  } catch (error) {
    await Promise.all([own.source.close?.(), other?.source.close?.()]);
    throw error;
  }
}

async function prepareOther(
  own: Prepared,
  target: OtherTarget,
  { flag, adapters }: OtherArguments,
  io: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  const scenario = scenarioForOther(own.scenario, target);
  if (scenario.target.kind === 'engine') {
    return prepareEngine({ resolve: () => scenario, hasWithoutGpu: false }, io, report);
  }
  if (scenario.target.url !== null) checkUrl(scenario.target.url, flag);
  const models = (served: EndpointFacts) => modelsFor(scenario, own, served, flag);
  const asked = { models, adapters: adapters ?? [], allowFewer: false, modelFlag: `${flag}-model` };
  return prepareEndpoint(scenario, asked, io, report);
}

/** Those named for it; else the same as on the first target, where it serves them; else its only one. */
function modelsFor({ models }: Scenario, { plan }: Prepared, served: EndpointFacts, flag: string): (string | null)[] {
  if (models.length > 0) return models;
  const same = [...new Set(plan.cells.map(({ at }) => at.model))];
  if (same.every((name) => served.baseModels.includes(name))) return same;
  if (same.length === 1) return [null];
  const has = served.baseModels.join(', ');
  throw new BenchError('PLAN_INVALID', `${flag}: ${served.baseUrl} does not serve ${same.join(', ')}; it has ${has}`, {
    hint: 'compare one model at a time (--set models=[NAME]), or name them in a file: models: [..]',
  });
}

function checkSameApi(own: Scenario, other: Scenario, { flag }: OtherArguments): void {
  const apiOf = ({ target }: Scenario) => (target.kind === 'engine' ? 'completions' : target.api);
  if (apiOf(own) === apiOf(other)) return;
  const which = `the scenario's target is driven by ${apiOf(own)}, that of ${flag} by ${apiOf(other)}`;
  throw new BenchError('PLAN_INVALID', `the two targets would not get the same load: ${which}`, {
    hint: 'a chat template makes other prompts; give both the same api',
  });
}
