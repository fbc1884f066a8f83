/**
 * A server over HTTP as a target, up to its plan: one that runs already, or one that bench starts by a command. In: the
 * scenario, and what is asked for of the server. Out: what is planned with the models and adapters that it has.
 */
import { BenchError } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import { planOf } from '../plan/plan-of.ts';
import type { EndpointTarget, Scenario } from '../scenario/scenario.ts';
import { knowsTokenizer } from '../scenario/tokenizers.ts';
import { CommandServer, commandSource } from '../target/command.ts';
import { endpointSource } from '../target/endpoint.ts';
import { requireLoading } from '../target/endpoint-adapters.ts';
import { adaptersOf, chooseModel, requireAdapters } from '../target/endpoint-models.ts';
import { adapterLoad, type EndpointFacts, type EndpointOptions, probeEndpoint } from '../target/endpoint-probe.ts';
import type { TargetSource } from '../target/target.ts';
import type { CommandIo } from './io.ts';
import { folderIn } from './models.ts';
import type { Prepared } from './prepared.ts';
import { promptFilesFor } from './prompt-files.ts';

export interface AskedOfEndpoint {
  /** Models to measure, out of those it serves; null: its only one. */
  models: (served: EndpointFacts) => (string | null)[];
  /** Adapters that a flag names. */
  adapters: readonly string[];
  /** Leave out cells with more adapters than it has. */
  allowFewer: boolean;
  /** The flag that names a model. */
  modelFlag: string;
}

/** @throws BenchError: nobody answers, no such model or adapter, the plan cannot be carried out; nothing is left running */
export async function prepareEndpoint(
  scenario: Scenario,
  asked: AskedOfEndpoint,
  io: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  const target = scenario.target as EndpointTarget;
  const endpoint = endpointOptions(target, io.env);
  const source = await sourceOf(scenario, endpoint, io, report);
  try {
    return await planned({ scenario, endpoint, source, asked }, io, report);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

interface Planning {
  scenario: Scenario;
  endpoint: EndpointOptions;
  source: TargetSource;
  asked: AskedOfEndpoint;
}

async function planned(
  { scenario, endpoint, source, asked }: Planning,
  { signal }: CommandIo,
  report: (line: string) => void,
): Promise<Prepared> {
  report(`probing ${endpoint.url}`);
  const served = await probeEndpoint(endpoint, signal);
  const load = endpoint.load ?? null;
  const choose = (model: string | null) => chooseModel(served, model, adapterNames(scenario), asked.modelFlag);
  const names = asked.models(served).map(choose);
  for (const model of names) requireAdapters(served, model, asked.adapters, load);
  const models = names.map((name) => ({ name, adapters: adaptersOf(served, name) }));
  const promptFiles = await promptFilesFor(scenario, names, {}, report);
  const plan = planOf(scenario, { kind: 'endpoint', models, allowFewer: asked.allowFewer, promptFiles });
  const adaptersIn = (cell: Cell) => cell.adapters.map(({ name }) => name);
  for (const cell of plan.cells) requireAdapters(served, cell.at.model, adaptersIn(cell), load);
  await requireLoading(endpoint, served, [...new Set(plan.cells.flatMap(adaptersIn))], signal);
  const warnings = names.flatMap((model) => tokenizerWarning(scenario.target as EndpointTarget, model));
  return { scenario, plan, source, device: null, folders: {}, warnings };
}

/** Where the server comes from; one that bench starts is up when this returns, since it is asked what it serves. */
async function sourceOf(
  { target, file }: Scenario,
  endpoint: EndpointOptions,
  { env, signal }: CommandIo,
  report: (line: string) => void,
): Promise<TargetSource> {
  const { start } = target as EndpointTarget;
  if (start === null) return endpointSource(endpoint);
  const server = new CommandServer({
    command: start.command,
    cwd: start.cwd === null ? process.cwd() : folderIn(start.cwd, file, 'target.cwd'),
    env: { ...env, ...start.env },
    ready: start.ready,
    readyTimeoutMs: start.readyTimeoutMs,
    endpoint,
  });
  await server.up(report, signal);
  return commandSource(server);
}

/** Those that scenario or flags name, of whatever rank. */
const adapterNames = ({ adapters }: Scenario): string[] => Object.values(adapters?.names ?? []).flat();

export function endpointOptions(
  { url, api, apiKeyEnv, headers, adapterPath, adapterPaths, metricsUrl }: EndpointTarget,
  env: CommandIo['env'],
): EndpointOptions {
  if (url === null)
    throw new BenchError('SCENARIO_INVALID', 'the target has no url', { hint: 'give one: --endpoint URL' });
  return { url, api, apiKeyEnv, headers, env, load: adapterLoad(adapterPath, adapterPaths), metricsUrl };
}

/** Only Llama 3's tokenizer is here; another model may see prompts of another length, and its usage says which. */
function tokenizerWarning({ tokenizer }: EndpointTarget, model: string): string[] {
  if (knowsTokenizer(tokenizer, model)) return [];
  return [
    `prompt lengths are counted with Llama 3's tokenizer, which may not be ${model}'s; usage.prompt_tokens in ` +
      'requests.jsonl is what the server counted',
  ];
}
