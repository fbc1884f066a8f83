/**
 * From a scenario file and flags to what can be run: the scenario as it applies here, its plan, and the source of its
 * target. Asks the world only which device the engine would take, or what the endpoint serves, and what is in the files that
 * the scenario names.
 */
import { parameterCount } from '../../engine/models/geometry.ts';
import { BenchError } from '../errors.ts';
import { type FolderModels, geometryIn, type TargetFacts } from '../plan/facts.ts';
import type { Cell, Plan } from '../plan/plan.ts';
import { planOf } from '../plan/plan-of.ts';
import { hasWithoutGpu, readScenario, resolveScenario, type ScenarioSource, targetOf } from '../scenario/load.ts';
import type { EndpointTarget, Scenario } from '../scenario/scenario.ts';
import type { Setting } from '../scenario/set.ts';
import { knowsTokenizer } from '../scenario/tokenizers.ts';
import { humanDuration } from '../scenario/units.ts';
import { endpointSource } from '../target/endpoint.ts';
import { requireLoading } from '../target/endpoint-adapters.ts';
import { adaptersOf, chooseModel, requireAdapters } from '../target/endpoint-models.ts';
import { adapterLoad, checkUrl, type EndpointOptions, probeEndpoint } from '../target/endpoint-probe.ts';
import { type DeviceProbe, engineSource, probeDevice } from '../target/engine.ts';
import type { TargetSource } from '../target/target.ts';
import type { ScenarioArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';
import { folderModels } from './models.ts';
import { engineModels, promptFilesFor } from './prompt-files.ts';

export interface Prepared {
  scenario: Scenario;
  plan: Plan;
  source: TargetSource;
  /** null for an endpoint. */
  device: DeviceProbe | null;
  /** Those of its models that are folders. */
  folders: FolderModels;
  /** What the reader of the result must know beside the plan's own warnings. */
  warnings: string[];
}

type PrepareArguments = ScenarioArguments & { device: string | null };

export const isEndpoint = (source: ScenarioSource, { endpoint, set }: ScenarioArguments): boolean =>
  endpoint !== null || targetOf(source, set) === 'endpoint';

/** @throws BenchError: scenario or plan wrong, endpoint unreachable, no device, too big for a software device */
export async function prepare(
  args: PrepareArguments,
  io: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  const source = readScenario(args.scenario);
  return isEndpoint(source, args) ? prepareEndpoint(source, args, io, report) : prepareEngine(source, args, io, report);
}

async function prepareEngine(
  source: ScenarioSource,
  args: PrepareArguments,
  { signal }: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  refuseEndpointFlags(args);
  const set = [
    ...args.set,
    ...(args.device === null ? [] : [{ flag: '--device', path: ['engine', 'device'], value: args.device }]),
  ];
  const resolve = (withoutGpu: boolean) => resolveScenario(source, { withoutGpu, endpoint: false, set });
  const asWritten = resolve(false); // before the device is looked for: a mistake in the file should not wait for it
  report('looking for a device');
  const device = await probeDevice(asWritten.engine, { report, signal });
  const scenario = device.software && hasWithoutGpu(source) ? resolve(true) : asWritten;
  const folders = await folderModels(scenario);
  const promptFiles = await promptFilesFor(scenario, engineModels(scenario, folders), folders, report);
  const { software, name: deviceName } = device;
  const facts: TargetFacts = { kind: 'engine', software, deviceName, folders, promptFiles };
  const plan = planOf(scenario, facts);
  const askedFor = scenario.engine.device === device.candidate;
  if (device.software && !scenario.withoutGpu && !askedFor) throw tooBigForSoftware(plan, device, facts);
  // The device that was found, and not the search again: it takes time, and could end elsewhere.
  const settings = { device: device.candidate, ...scenario.engine };
  return { scenario, plan, source: engineSource({ plan, settings, folders }), device, folders, warnings: [] };
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

/** Hours on a processor are never begun unasked; what it would take is said instead. */
function tooBigForSoftware(
  { cells, estimate }: Plan,
  { candidate, name }: DeviceProbe,
  facts: TargetFacts,
): BenchError {
  const models = [...new Set(cells.map(({ at }) => at.model))];
  const bytes = Math.max(
    ...models.map((model) => {
      const geometry = geometryIn(facts, model);
      return geometry === null ? 0 : 2 * parameterCount(geometry);
    }),
  );
  const time = estimate.seconds === null ? 'an unknown time' : `about ${humanDuration(estimate.seconds * 1000)}`;
  const takes = `${time} and ${(bytes / 1e9).toFixed(1)} GB of memory for the weights (2 bytes each)`;
  return new BenchError('TOO_BIG', `no GPU was found, and on ${name} this would take ${takes}: ${models.join(', ')}`, {
    hint:
      'give the scenario a without_gpu block with a smaller model (such as models: [llama-3-8b@1/8]), ' +
      `measure a server with --endpoint URL, or ask for it by name: --device ${candidate}`,
  });
}

async function prepareEndpoint(
  source: ScenarioSource,
  args: PrepareArguments,
  { env, signal }: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  if (args.device !== null) throw new BenchError('USAGE', '--device is for the engine, and the target is an endpoint');
  const scenario = endpointScenario(source, args);
  const target = scenario.target as EndpointTarget;
  const options = endpointOptions(target, env);
  report(`probing ${options.url}`);
  const served = await probeEndpoint(options, signal);
  const load = options.load ?? null;
  const names = askedModels(scenario, args).map((asked) => chooseModel(served, asked, adapterNames(scenario)));
  for (const model of names) requireAdapters(served, model, args.adapters ?? [], load);
  const models = names.map((name) => ({ name, adapters: adaptersOf(served, name) }));
  const promptFiles = await promptFilesFor(scenario, names, {}, report);
  const plan = planOf(scenario, { kind: 'endpoint', models, allowFewer: args.allowFewer, promptFiles });
  const planned = (cell: Cell) => cell.adapters.map(({ name }) => name);
  for (const cell of plan.cells) requireAdapters(served, cell.at.model, planned(cell), load);
  await requireLoading(options, served, [...new Set(plan.cells.flatMap(planned))], signal);
  const warnings = names.flatMap((model) => tokenizerWarning(target, model));
  return { scenario, plan, source: endpointSource(options), device: null, folders: {}, warnings };
}

/** Those that scenario or flags name, of whatever rank. */
const adapterNames = ({ adapters }: Scenario): string[] => Object.values(adapters?.names ?? []).flat();

/** --model, else the scenario's models; null is the server's only one, whatever it is called. */
function askedModels({ models }: Scenario, { model }: ScenarioArguments): (string | null)[] {
  if (model !== null) return [model];
  return models.length > 0 ? models : [null];
}

/** The scenario as it applies to an endpoint: what flags say goes the way of `--set`, and so into the stored scenario. */
export function endpointScenario(source: ScenarioSource, args: ScenarioArguments): Scenario {
  if (args.endpoint !== null) checkUrl(args.endpoint, '--endpoint');
  const given: (Exclude<Setting, string> | null)[] = [
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

export function endpointOptions(
  { url, api, apiKeyEnv, headers, adapterPath, adapterPaths, metricsUrl }: EndpointTarget,
  env: CommandIo['env'],
): EndpointOptions {
  if (url === null)
    throw new BenchError('SCENARIO_INVALID', 'the target has no url', { hint: 'give one: --endpoint URL' });
  return { url, api, apiKeyEnv, headers, env, load: adapterLoad(adapterPath, adapterPaths), metricsUrl };
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

/** Only Llama 3's tokenizer is here; another model may see prompts of another length, and its usage says which. */
function tokenizerWarning({ tokenizer }: EndpointTarget, model: string): string[] {
  if (knowsTokenizer(tokenizer, model)) return [];
  return [
    `prompt lengths are counted with Llama 3's tokenizer, which may not be ${model}'s; usage.prompt_tokens in ` +
      'requests.jsonl is what the server counted',
  ];
}
