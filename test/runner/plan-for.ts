/** A real plan for an endpoint, from scenario text: what the runner's tests run. */
import { loadTokenizer } from '../../engine/models/tokenizer.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import type { ProgressEvent } from '../../src/result/progress.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { type PlanOutcome, type RunPlanOptions, runPlan } from '../../src/runner/run-plan.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { endpointSource } from '../../src/target/endpoint.ts';

const ADAPTERS = ['a1', 'a2', 'a3'];

/** `set` changes the sweep: prompts of 8 tokens, 4 out, 2 in flight, 6 requests, if it says nothing else. */
export function planFor(url: string, set: readonly string[] = []): Plan {
  const text = `
name: runner-test
target: {url: "${url}", api: completions}
models: [base]
prompt: {tokens: 8}
output: {tokens: 4}
load: {concurrency: [2]}
measure: {requests: 6}
`;
  const scenario = resolveScenario(scenarioFromText(text, null), { withoutGpu: false, endpoint: false, set });
  return planOf(scenario, { kind: 'endpoint', models: [{ name: 'base', adapters: ADAPTERS }], allowFewer: false });
}

export interface Ran {
  outcome: PlanOutcome;
  records: RequestRecord[];
  events: ProgressEvent[];
}

/** Runs a plan against an endpoint and keeps everything it tells. */
export async function runFor(url: string, set: readonly string[], more: Partial<RunPlanOptions> = {}): Promise<Ran> {
  const tokenizer = await loadTokenizer('llama-3');
  const records: RequestRecord[] = [];
  const events: ProgressEvent[] = [];
  const outcome = await runPlan({
    plan: planFor(url, set),
    source: endpointSource({ url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} }),
    tokenizerOf: () => tokenizer,
    records: { append: (record) => void records.push(record) },
    progress: (event) => void events.push(event),
    signal: new AbortController().signal,
    ...more,
  });
  return { outcome, records, events };
}
