/**
 * `bench validate`: what a scenario would do, in words. Starts nothing; asks an endpoint only for what neither scenario nor
 * flags say. With a `without_gpu` block both plans are told, since one file is both.
 */
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { thresholdsOf } from '../gate/threshold.ts';
import { describePlan } from '../plan/describe.ts';
import type { Plan } from '../plan/plan.ts';
import { planOf } from '../plan/plan-of.ts';
import { hasWithoutGpu, readScenario, resolveScenario } from '../scenario/load.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { ScenarioArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';
import { folderModels } from './models.ts';
import { declaredFacts, endpointScenario, isEndpoint, prepare, refuseEndpointFlags } from './prepare.ts';
import { engineModels, promptFilesFor } from './prompt-files.ts';

export async function validate(args: ScenarioArguments, io: CommandIo): Promise<ExitCode> {
  const source = readScenario(args.scenario);
  const sections = isEndpoint(source, args) ? [await endpointLines(args, io)] : await engineSections(args);
  io.stdout.write(`${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`);
  return EXIT.done;
}

async function endpointLines(args: ScenarioArguments, io: CommandIo): Promise<string[]> {
  const scenario = endpointScenario(readScenario(args.scenario), args);
  const facts = await declaredFacts(scenario, args);
  if (facts !== null) return told(planOf(scenario, facts), scenario);
  if (scenario.target.kind === 'endpoint' && scenario.target.start !== null) {
    throw new BenchError(
      'PLAN_INVALID',
      'only the server itself could tell what it serves, and validate starts nothing',
      {
        hint: 'name its model and, where the scenario has adapters, these: models: [NAME], adapters.names, or --model, --adapters',
      },
    );
  }
  const prepared = await prepare({ ...args, device: null }, io, () => {});
  return told(prepared.plan, prepared.scenario);
}

async function engineSections(args: ScenarioArguments): Promise<string[][]> {
  refuseEndpointFlags(args);
  const source = readScenario(args.scenario);
  const lines = async (withoutGpu: boolean) => {
    const scenario = resolveScenario(source, { withoutGpu, endpoint: false, set: args.set });
    const deviceName = withoutGpu ? 'a software device' : 'a GPU';
    const folders = await folderModels(scenario);
    const promptFiles = await promptFilesFor(scenario, engineModels(scenario, folders), folders);
    const facts = { kind: 'engine', software: withoutGpu, deviceName, folders, promptFiles } as const;
    return told(planOf(scenario, facts), scenario);
  };
  if (!hasWithoutGpu(source)) return [await lines(false)];
  return [
    ['With a GPU:', ...(await lines(false))],
    ['Without one:', ...(await lines(true))],
  ];
}

/** The plan, and the thresholds as far as they can be checked without knowing what they will be held against. */
function told(plan: Plan, scenario: Scenario): string[] {
  const thresholds = thresholdsOf(scenario).map(({ text }) => text);
  const gate = thresholds.length === 0 ? [] : [`Gate: ${thresholds.join('; ')} (bench gate judges by them).`];
  return [...describePlan(plan, scenario), ...gate];
}
