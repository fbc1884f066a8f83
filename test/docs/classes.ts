/**
 * What is done with each command that a README shows: run, with little to do and servers on loopback in the place of hosts
 * (runs.test.ts), or read by the real parser and no more, with the reason (commands.test.ts). A command that is not here fails the
 * test, as does one here that no README shows any longer.
 */

/** Run for real, in this order: later ones need what earlier ones left. */
export const RUN = [
  'npx bench validate scenarios/llama8b-rank16.yaml',
  'npx bench validate scenarios/smoke.yaml --set output.tokens=64 --set load.concurrency=[1,4]',
  'npx bench scenarios/llama8b-rank16.yaml --endpoint http://host:8000/v1 --set adapters.count=[0,2]',
  'npx bench scenarios/llama8b-rank16.yaml --endpoint http://host:8000/v1 --adapters sql,support --adapter-path /adapters --set adapters.count=[0,2]',
  'npx bench adapters make --base llama-3-8b --rank 16 --count 32 --format peft --out adapters',
  'npx bench adapters inspect adapters/r16-a1 --base llama-3-8b',
  'npx bench gate-vllm.yaml --endpoint http://host:8000/v1 --out s1',
  'npx bench baseline add s1',
  'npx bench baseline list',
  'npx bench report reports/smoke/2026-12-01T10-00-00Z',
  'npx bench compare reports/smoke/2026-12-01T10-00-00Z reports/smoke/2026-12-02T10-00-00Z --out compared',
  'npx bench serve --model llama-3-8b@1/8 --port 8000 --lora a=synthetic:rank=2,seed=1',
  `curl -s http://127.0.0.1:8000/v1/completions -H content-type: application/json -d {"model": "a", "prompt": "Hello", "max_tokens": 8}`,
] as const;

const MINUTES = 'takes minutes';
const E2E = 'test/e2e/ runs its like';
/** Read by the parser that `bench` has; what it names is there, or is made by another command of the same page. */
export const PARSED: Readonly<Record<string, string>> = {
  'npx bench scenarios/llama8b-rank16.yaml': MINUTES,
  'npx bench scenarios/llama8b-rank16.yaml --endpoint http://host:8000/v1': 'as the one with --set, with more cells',
  'npx bench gate gate-vllm.yaml --endpoint http://new:8000/v1 --against http://old:8000/v1': E2E,
  'npx bench gate gate-vllm.yaml --endpoint http://new:8000/v1 --against old.yaml': E2E,
  'npx bench gate gate-vllm.yaml --endpoint http://new:8000/v1 --against old.yaml --out gate': E2E,
  'npx bench gate gate-vllm.yaml --endpoint http://host:8000/v1 --baseline reports/baselines/vllm-lora@1a2b3c4d.json':
    E2E,
  'npx bench calibrate gate-vllm.yaml --endpoint http://host:8000/v1': MINUTES,
  'npx bench scenarios/smoke.yaml --resume reports/smoke/2026-12-01T10-00-00Z': E2E,
  'npx bench compare reports/smoke/2026-12-* reports/smoke/2026-11-30T10-00-00Z': E2E,
  'npx bench compare reports/smoke/2026-12-03T10-00-00Z': E2E,
  'npx bench serve --model llama-3-8b@1/8 --lora a=synthetic:rank=2,seed=1 --lora b=synthetic:rank=8,seed=2':
    'one serve is run',
  'npx bench serve --model ./Llama-3.2-1B-Instruct --peft-source ./adapters --refresh 30 --max-gpu-loras 8 --max-cpu-loras 64':
    'one serve is run',
  'npx bench serve --model ./Llama-3.2-1B-Instruct --merge-lora support=./adapters/support': 'one serve is run',
};

/** Programs that are not ours: only what they name is looked at. */
export const OTHERS = [
  'npm ci',
  'npm test',
  'npm run build',
  'npm run lint',
  'npm run typecheck',
  'npm run test:interop',
  'npx vitest run test/metrics',
  'npx vitest run test/metrics/latency.test.ts',
  'npx vitest run test/metrics -t tpot',
  'npx vitest run test/engine/kernels',
  'node test/perf/gpu-measure.mjs',
  'node test/perf/engine-steps.mjs --model llama-3-8b@1/8 --rows 1,4,32',
  'vllm serve meta-llama/Meta-Llama-3-8B --enable-lora --max-loras 32 --max-lora-rank 16 --lora-modules $(for i in $(seq 32); do echo "r16-a$i=$PWD/adapters/r16-a$i"; done)',
];
