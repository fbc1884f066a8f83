/** A small valid scenario with some keys changed, resolved; for the tests of plan and workload. */
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import type { Scenario } from '../../src/scenario/scenario.ts';

const BASE: Record<string, unknown> = {
  name: 'a',
  models: 'llama-3-8b@1/8',
  prompt: { tokens: 32 },
  output: { tokens: 16 },
  load: { concurrency: 2 },
};

/** `changes` replace whole keys; undefined removes one. */
export function scenarioWith(changes: Record<string, unknown>, endpoint = false): Scenario {
  const text = JSON.stringify({ ...BASE, ...changes });
  const url = endpoint ? { url: 'http://host:8000/v1' } : {};
  return resolveScenario(scenarioFromText(text, null), { withoutGpu: false, endpoint, set: [], ...url });
}
