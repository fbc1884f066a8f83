/** No result hides that its server was made slower on purpose. */
import { expect, it } from 'vitest';
import { parseInjectDelay } from '../../engine/inject-delay.ts';
import { loadTokenizer } from '../../engine/models/tokenizer.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { runPlan } from '../../src/runner/run-plan.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import { injectedDelayWords } from '../../src/target/injected-delay.ts';
import { serving } from '../engine/http/serving.ts';

const MODEL = 'llama-3-8b';

/** Warnings of a result that was measured on a server with these delays. */
async function warnings(...delays: string[]): Promise<string[]> {
  const injectDelay = parseInjectDelay(delays);
  if (typeof injectDelay === 'string') throw new Error(injectDelay);
  const { url } = await serving(injectDelay === null ? {} : { injectDelay });
  const text = `
name: slowed
target: {url: "${url}/v1"}
models: [${MODEL}]
prompt: {tokens: 4}
output: {tokens: 2}
load: {concurrency: [1]}
measure: {requests: 2}
`;
  const scenario = resolveScenario(scenarioFromText(text, null), { withoutGpu: false, endpoint: false, set: [] });
  const tokenizer = await loadTokenizer('llama-3');
  const { warnings: told } = await runPlan({
    plan: planOf(scenario, { kind: 'endpoint', models: [{ name: MODEL, adapters: [] }], allowFewer: false }),
    source: endpointSource({ url: `${url}/v1`, api: 'completions', apiKeyEnv: null, headers: {}, env: {} }),
    tokenizerOf: () => tokenizer,
    records: { append: () => {} },
    progress: () => {},
    signal: new AbortController().signal,
  });
  return told;
}

it('is in the warnings of a result', async () => {
  expect((await warnings('ttft=8%', 'itl=2ms')).filter((text) => text.includes('inject'))).toEqual([
    'NO MEASUREMENT OF THE SERVER: endpoint was started with --inject-delay and answers later than it could, ttft by 8% and itl by 2ms',
  ]);
  expect((await warnings()).filter((text) => text.includes('inject'))).toEqual([]);
});

it('is read from an engine that bench starts, too', () => {
  const info = { id: 'engine', kind: 'engine', url: '', model: MODEL } as const;
  expect(injectedDelayWords({ ...info, server: { injectDelay: null } })).toBeNull();
  expect(injectedDelayWords({ ...info, server: {} })).toBeNull();
  expect(injectedDelayWords({ ...info, server: { injectDelay: { ttft: null, itl: '8%' } } })).toMatch(/, itl by 8%$/);
});
