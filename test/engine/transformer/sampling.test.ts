/** Sampling inside a batch: a draw depends on the request's own seed and nothing else; min_tokens holds end ids back. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Model } from '../../../engine/transformer/model.ts';
import { type Asked, type Generated, generate, load, makeModel, someIds } from './generate.ts';

let model: Model;
beforeAll(async () => {
  model = await makeModel({ batchInvariant: true });
  load(model, { name: 'a', rank: 8, seed: 1 });
  load(model, { name: 'b', rank: 32, seed: 2 });
});

const one = async (asked: Asked): Promise<Generated> => (await generate(model, [asked]))[0] as Generated;

describe('temperature above 0', () => {
  const asked = (seed: number): Asked => ({
    prompt: someIds(model, 3, 12),
    adapter: 'a',
    maxTokens: 8,
    temperature: 1,
    topP: 0.95,
    seed,
  });

  test('the same seed gives the same ids, alone and among others', async () => {
    const alone = await one(asked(5));
    const others = Array.from({ length: 7 }, (_, i) => ({
      prompt: someIds(model, 20 + i, 4 + 3 * i),
      adapter: [null, 'a', 'b'][i % 3] ?? null,
      maxTokens: 3 + i,
      temperature: i % 2,
      seed: i,
    }));
    const mixed = await generate(model, [...others.slice(0, 4), asked(5), ...others.slice(4)]);
    expect(mixed[4]?.ids).toEqual(alone.ids);
    expect(alone.ids).toHaveLength(8);
  });

  test('another seed gives other ids, and greedy gives neither', async () => {
    const outputs = await generate(model, [asked(5), asked(6), { ...asked(5), temperature: 0 }]);
    expect(new Set(outputs.map(({ ids }) => ids.join())).size).toBe(3);
  });

  test('draws of one sequence differ from token to token', async () => {
    // At this temperature every id is as likely as another: one draw repeated would repeat its id.
    const { ids } = await one({ ...asked(5), temperature: 1e6, topP: 1 });
    expect(new Set(ids).size).toBe(8);
  });
});

describe('end ids', () => {
  let greedy: Generated;
  let end: number;
  /** Where the end id comes first. */
  let at: number;
  const asked = (rest: Partial<Asked>): Asked => ({
    prompt: someIds(model, 8, 12),
    adapter: 'b',
    maxTokens: 8,
    ...rest,
  });

  beforeAll(async () => {
    greedy = await one(asked({}));
    // Random weights hit an end id once in 8,000 tokens, so the model is given one that it does hit.
    at = greedy.ids.findIndex((id, i) => i > 0 && greedy.ids.indexOf(id) === i);
    expect(at).toBeGreaterThan(0);
    end = greedy.ids[at] as number;
    model.geometry.eosIds[0] = end;
  });

  test('an end id stops the sequence and is not part of it', async () => {
    const { ids, finish } = await one(asked({ ignoreEos: false }));
    expect(ids).toEqual(greedy.ids.slice(0, at));
    expect(finish).toBe('stop');
  });

  test('ignore_eos does not', async () => {
    expect(await one(asked({ ignoreEos: true }))).toMatchObject({ ids: greedy.ids, finish: 'length' });
  });

  test('min_tokens masks it: the best of the others is taken in its place', async () => {
    const { ids, logits } = await one(asked({ ignoreEos: false, minTokens: 8 }));
    expect(ids).toHaveLength(8);
    expect(ids.slice(0, at)).toEqual(greedy.ids.slice(0, at));
    expect(ids).not.toContain(end);
    const others = (logits[at] as Float32Array).map((logit, id) =>
      model.geometry.eosIds.includes(id) ? Number.NEGATIVE_INFINITY : logit,
    );
    expect(ids[at]).toBe(others.indexOf(Math.max(...others)));
  });

  test('min_tokens counts what is out: at exactly as many the end id is allowed again', async () => {
    expect(await one(asked({ ignoreEos: false, minTokens: at }))).toMatchObject({
      ids: greedy.ids.slice(0, at),
      finish: 'stop',
    });
    expect((await one(asked({ ignoreEos: false, minTokens: at + 1 }))).ids.length).toBeGreaterThan(at);
  });

  test('masked for the sequence that asks, in a batch with ones that do not', async () => {
    const [held, free] = await generate(model, [
      asked({ ignoreEos: false, minTokens: 8 }),
      asked({ ignoreEos: false }),
    ]);
    expect(held?.ids).toHaveLength(8);
    expect(free).toMatchObject({ ids: greedy.ids.slice(0, at), finish: 'stop' });
  });
});
