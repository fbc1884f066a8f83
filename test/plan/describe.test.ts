import { expect, test } from 'vitest';
import { describePlan } from '../../src/plan/describe.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { scenarioWith } from './scenario-text.ts';

test('a plan for a software device says what stands in, what is swept, how long it takes and what to doubt', () => {
  const scenario = scenarioWith({
    description: 'What it costs.',
    adapters: { rank: 16, count: [0, 8] },
    load: { concurrency: [1, 8] },
    measure: { requests: 16, repeats: 2 },
  });
  const plan = planOf(scenario, { kind: 'engine', software: true, deviceName: 'SwiftShader' });
  const lines = describePlan(plan, scenario);
  expect(lines[0]).toBe('a: What it costs.');
  expect(lines).toContain('Target: the bundled engine, model llama-3-8b@1/8.');
  expect(lines.find((line) => line.startsWith('Stand-in:'))).toMatch(/llama-3-8b at scale 1\/8, .* 16 as 2\.$/);
  expect(lines).toContain('Sweep: 4 cells, over adapters 0, 8; concurrency 1, 8.');
  expect(lines).toContain('  c1: llama-3-8b@1/8, base model alone, 32 tokens in, 16 out, 1 in flight');
  expect(lines).toContain('  c4: llama-3-8b@1/8, 8 adapters of rank 16 (uniform), 32 tokens in, 16 out, 8 in flight');
  expect(lines).toContain(
    'Each run: 16 requests, after 1 warm-up request to the base and to each adapter; 2 runs for each cell.',
  );
  expect(lines.find((line) => line.startsWith('Total:'))).toMatch(/^Total: 8 runs, 128 measured requests, about \d/);
  expect(lines).toContain('Tokens: about 4,096 in and 2,048 out, warm-up not counted.');
  expect(lines.filter((line) => line.startsWith('Warning: '))).toHaveLength(plan.warnings.length);
  expect(plan.warnings.length).toBeGreaterThan(0);
});

test('an endpoint, an open loop by time, no warm-up', () => {
  const changes = {
    load: { rate: ['4/s', '0.5/s'] },
    measure: { requests: '30s', warmup: { per_adapter: 0 } },
    output: { tokens: 16, control: 'cap' },
  };
  const scenario = scenarioWith(changes, true);
  const plan = planOf(scenario, { kind: 'endpoint', models: [{ name: 'm', adapters: [] }], allowFewer: false });
  const lines = describePlan(plan, scenario);
  expect(lines[0]).toBe('Target: the server at http://host:8000/v1 (completions API), model m.');
  expect(lines).toContain('  c2: m, base model alone, 32 tokens in, at most 16 out, 0.5/s poisson');
  expect(lines).toContain('Each run: 30 s, without warm-up; 1 run for each cell.');
  expect(lines.some((line) => line.startsWith('Tokens: '))).toBe(false);
  expect(lines).toContain(
    "Total: 2 runs, at least 135 measured requests, time unknown: it depends on the server's speed.",
  );
});

test('a long sweep is cut short, in words', () => {
  const scenario = scenarioWith({ load: { concurrency: Array.from({ length: 40 }, (_, i) => i + 1) } });
  const plan = planOf(scenario, { kind: 'engine', software: false, deviceName: 'H100' });
  expect(describePlan(plan, scenario)).toContain('  .. and 28 more');
});
