/** Whether two plans are the same load: what may differ between two servers, and what may not. */
import { describe, expect, it, test } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import type { TargetFacts } from '../../src/plan/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { checkSameLoad } from '../../src/plan/same-load.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';

const TEXT = `
name: same
models: [llama-3.2-1b@1/4]
adapters: {rank: [16], count: [0, 2]}
prompt: {tokens: 8}
output: {tokens: 4}
load: {concurrency: [2]}
measure: {requests: 6}
`;
const ENGINE: TargetFacts = { kind: 'engine', software: true, deviceName: 'a device' };

function planned(set: readonly string[], facts: TargetFacts = ENGINE): Plan {
  const endpoint = facts.kind === 'endpoint';
  const url = endpoint ? { url: 'http://h/v1' } : {};
  return planOf(resolveScenario(scenarioFromText(TEXT, null), { withoutGpu: false, endpoint, ...url, set }), facts);
}

const at = (name: string, adapters: string[]): TargetFacts => ({
  kind: 'endpoint',
  models: [{ name, adapters }],
  allowFewer: false,
});

describe('the same load', () => {
  it('is that of an endpoint with adapters of other names', () => {
    expect(checkSameLoad(planned([]), planned([]))).toEqual([]);
    const [a, b] = [planned([], at('base', ['a1', 'a2'])), planned([], at('base', ['x', 'y', 'z']))];
    expect(checkSameLoad(a, b)).toEqual([]);
    expect(checkSameLoad(planned([]), planned([], at('llama-3.2-1b@1/4', ['x', 'y'])))).toEqual([]);
  });

  it('is told of where models are called differently', () => {
    const warnings = checkSameLoad(planned([], at('base', ['a', 'b'])), planned([], at('org/base', ['a', 'b'])));
    expect(warnings).toEqual(['A serves base, B serves org/base: taken for the same model']);
  });

  it('is refused where one of them is a stand-in', () => {
    expect(() => checkSameLoad(planned([]), planned([], at('llama-3.2-1b', ['x', 'y'])))).toThrow(
      /A has the model llama-3\.2-1b@1\/4, B llama-3\.2-1b: a stand-in is compared with itself only/,
    );
  });

  test.each([
    ['output.tokens=5', 'in cell c1 the output would differ'],
    ['prompt.tokens=9', 'in cell c1 the prompts would differ'],
    ['load.concurrency=3', 'in cell c1 the load would differ'],
    ['measure.requests=7', 'in cell c1 the length of a run would differ'],
    ['measure.warmup.per_adapter=0', 'in cell c1 the warm-up would differ'],
    ['request.temperature=1', 'in cell c1 the request would differ'],
    ['adapters.count=[0, 3]', 'in cell c2 the adapters would differ'],
    ['adapters.popularity=zipf(1.5)', 'in cell c2 the popularity would differ'],
    ['adapters.rank=8', 'in cell c2 an adapter of rank 16 would meet one of 8'],
    ['load.concurrency=[2, 4]', 'one has 2 cells, the other 4'],
  ])('is not that with %s', (setting, told) => {
    let thrown: unknown;
    try {
      checkSameLoad(planned([]), planned([setting]));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BenchError);
    expect(thrown).toMatchObject({ code: 'PLAN_INVALID', message: expect.stringContaining(told) as string });
  });
});
