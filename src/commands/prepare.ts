/**
 * From a scenario file and flags to what can be run: the scenario as it applies here, its plan, and the source of its
 * target. Asks the world only which device the engine would take, or what the endpoint serves, and what is in the files that
 * the scenario names; a server that the scenario's command starts is started for that.
 */
import { BenchError } from '../errors.ts';
import type { TargetFacts } from '../plan/facts.ts';
import { hasWithoutGpu, readScenario, resolveScenario, type ScenarioSource, targetOf } from '../scenario/load.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { FlagSetting } from '../scenario/set.ts';
import { checkUrl } from '../target/endpoint-probe.ts';
import type { ScenarioArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';
import { prepareEndpoint } from './prepare-endpoint.ts';
import { prepareEngine } from './prepare-engine.ts';
import type { Prepared } from './prepared.ts';
import { promptFilesFor } from './prompt-files.ts';

export type { Prepared };

export type PrepareArguments = ScenarioArguments & { device: string | null };

export const isEndpoint = (source: ScenarioSource, { endpoint, set }: ScenarioArguments): boolean =>
  endpoint !== null || targetOf(source, set) === 'endpoint';

/** @throws BenchError: scenario or plan wrong, endpoint unreachable, no device, too big for a software device */
export async function prepare(
  args: PrepareArguments,
  io: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  const source = readScenario(args.scenario);
  if (isEndpoint(source, args)) {
    if (args.device !== null)
      throw new BenchError('USAGE', '--device is for the engine, and the target is an endpoint');
    const scenario = endpointScenario(source, args);
    const { adapters, allowFewer } = args;
    const models = () => askedModels(scenario, args);
    return prepareEndpoint(
      scenario,
      { models, adapters: adapters ?? [], allowFewer, modelFlag: '--model' },
      io,
      report,
    );
  }
  refuseEndpointFlags(args);
  const { device } = args;
  const set = [
    ...args.set,
    ...(device === null ? [] : [{ flag: '--device', path: ['engine', 'device'], value: device }]),
  ];
  const resolve = (withoutGpu: boolean) => resolveScenario(source, { withoutGpu, endpoint: false, set });
  return prepareEngine({ resolve, hasWithoutGpu: hasWithoutGpu(source) }, io, report);
}

/** @throws BenchError USAGE */
export function refuseEndpointFlags(args: ScenarioArguments): void {
  const { model, adapters, api, apiKeyEnv, adapterPath, allowFewer } = args;
  const paths = { 'api-key-env': apiKeyEnv, 'adapter-path': adapterPath };
  const given = Object.entries({ model, adapters, api, ...paths, 'allow-fewer': allowFewer || null });
  const flag = given.find(([, value]) => value !== null)?.[0];
  if (flag === undefined) return;
  const hint =
    flag === 'model' || flag === 'adapters' ? `change the sweep with --set, such as --set ${SET[flag]}` : undefined;
  throw new BenchError('USAGE', `--${flag} is for endpoints, and the target is the engine`, hint ? { hint } : {});
}

const SET = { model: 'models=[llama-3-8b]', adapters: 'adapters.count=[0,8]' };

/** --model, else the scenario's models; null is the server's only one, whatever it is called. */
function askedModels({ models }: Scenario, { model }: ScenarioArguments): (string | null)[] {
  if (model !== null) return [model];
  return models.length > 0 ? models : [null];
}

/** The scenario as it applies to an endpoint: what flags say goes the way of `--set`, and so into the stored scenario. */
export function endpointScenario(source: ScenarioSource, args: ScenarioArguments): Scenario {
  if (args.endpoint !== null) checkUrl(args.endpoint, '--endpoint');
  const given: (FlagSetting | null)[] = [
    args.api && { flag: '--api', path: ['target', 'api'], value: args.api },
    args.apiKeyEnv === null ? null : { flag: '--api-key-env', path: ['target', 'api_key_env'], value: args.apiKeyEnv },
    args.adapterPath === null
      ? null
      : { flag: '--adapter-path', path: ['target', 'adapter_path'], value: args.adapterPath },
    args.adapters && { flag: '--adapters', path: ['adapters', 'names'], value: args.adapters },
    args.model === null || args.endpoint !== null ? null : { flag: '--model', path: ['models'], value: [args.model] },
  ];
  const set = [...given.filter((setting) => setting !== null), ...args.set];
  const url = args.endpoint === null ? {} : { url: args.endpoint };
  const scenario = resolveScenario(source, { withoutGpu: false, endpoint: args.endpoint !== null, ...url, set });
  const { target } = scenario;
  if (target.kind === 'endpoint' && target.url !== null) checkUrl(target.url, 'target.url');
  return scenario;
}

/** Facts for a plan of an endpoint that is not asked: what scenario and flags say of it. null when they do not say enough. */
export async function declaredFacts(scenario: Scenario, args: ScenarioArguments): Promise<TargetFacts | null> {
  const models = askedModels(scenario, args).filter((model) => model !== null);
  const names = scenario.adapters?.names ?? [];
  const named = scenario.adapters === null || args.adapters !== null || !Array.isArray(names) || names.length > 0;
  if (models.length === 0 || !named) return null;
  return {
    kind: 'endpoint',
    models: models.map((name) => ({ name, adapters: [] })), // names say which; they were asked for above
    allowFewer: args.allowFewer,
    promptFiles: await promptFilesFor(scenario, models, {}),
  };
}
