/**
 * Sampling with the lanes a GPU gets, or as many of them as the device here has, against the oracle: vocabularies below and
 * above the number of logits there is room to gather, and logits that are never few enough to be gathered.
 */
import { describe, expect, it } from 'vitest';
import { sampler } from '../../../engine/kernels/sample.ts';
import { testDevice } from '../../support/device.ts';
import { randomFrom } from './random.ts';
import { type Asked, distinctLogits, draw, NO_ID, oracle, winner } from './sample-draw.ts';

const wide = sampler({ ...(await testDevice()).facts, software: false });
const END_IDS = [7, 70, 0, 64];

it('has more lanes, up to what a workgroup may have', () => {
  const of = (software: boolean, maxInvocations: number, maxWorkgroupBytes = 32_768) =>
    sampler({ software, maxInvocations, maxWorkgroupBytes }).lanes;
  expect([of(true, 1024), of(false, 256), of(false, 1024), of(false, 1536)]).toEqual([64, 256, 1024, 1024]);
  // WebGPU's least workgroup memory has no room for so many.
  expect(of(false, 1024, 16_384)).toBe(512);
  expect(wide.lanes).toBeGreaterThan(64);
});

describe.each([3, 2048, 2049, 20_011])('of %i logits', (vocab) => {
  it("draws the oracle's ids, however it is asked", async () => {
    const random = randomFrom(vocab);
    const asked = Array.from({ length: 48 }, (_, i): Asked => {
      const masked = i % 5 === 0 && vocab > 100;
      return {
        temperature: [0.3, 1, 2, 0][i % 4]!,
        topP: [1, 0.5, 0.9, 0][i % 7] ?? 1,
        topK: [0, 5, 3000, 40][i % 5] ?? 0,
        seed: random.below(2 ** 31),
        ignoreEos: !masked,
        minTokens: masked ? 2 : 0,
      };
    });
    const rows = asked.map((_, i) => distinctLogits(vocab, i));
    const ids = await draw(rows, asked, END_IDS, wide);
    let compared = 0;
    rows.forEach((row, i) => {
      const masked = asked[i]!.ignoreEos ? [] : END_IDS;
      const allowed = (id: number) => !masked.includes(id);
      const greedy = [...row.keys()].filter(allowed).reduce((a, b) => (row[b]! > row[a]! ? b : a));
      const want = asked[i]!.temperature === 0 ? greedy : winner(oracle(row, asked[i]!, masked));
      if (want === null) return;
      compared++;
      expect(ids[i], `row ${i}: ${JSON.stringify(asked[i])}`).toBe(want);
    });
    expect(compared).toBeGreaterThan(asked.length / 2);
  });
});

it('searches through logits that stay too many, as all are equal', async () => {
  const rows = Array.from({ length: 8 }, () => new Float32Array(5000));
  const asked = rows.map((_, seed): Asked => ({ temperature: 1, topP: 0.5, topK: seed % 2 ? 10 : 0, seed }));
  const ids = await draw(rows, asked, [], wide);
  // All are tied with the last one kept, so all are kept.
  rows.forEach((row, i) => {
    expect(ids[i]).toBe(winner(oracle(row, asked[i]!)) ?? ids[i]);
  });
  expect(new Set(ids).size).toBe(rows.length);
  for (const id of ids) expect(id).toBeLessThan(5000);
});

it('chooses no NaN, and no id where there is nothing else', async () => {
  const some = distinctLogits(5000, 2).map((logit, i) => (i % 3 === 0 ? Number.NaN : logit));
  const rows = [new Float32Array(5000).fill(Number.NaN), some, some, some];
  const asked: Asked[] = [
    { temperature: 1 },
    {},
    { temperature: 1 },
    { temperature: 1, topP: 0.9, topK: 2000, seed: 3 },
  ];
  const [none, ...chosen] = await draw(rows, asked, [], wide);
  expect(none).toBe(NO_ID);
  for (const id of chosen) expect(Number.isNaN(some[id])).toBe(false);
  expect(chosen[2]).toBe(winner(oracle(some, asked[3]!)) ?? chosen[2]);
});
