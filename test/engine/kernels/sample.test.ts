/** Next ids: greedy with its ties, draws from exactly the ids that the cut-offs leave, masks, seeds, and NaN. */
import { describe, expect, it } from 'vitest';
import { lowbias32 } from '../../../engine/lora/random-f16.ts';
import { randomFrom } from './random.ts';
import { type Asked, distinctLogits, draw, INDEX, NO_ID, oracle, winner } from './sample-draw.ts';
import { inverseLowbias32, seedFor } from './sample-oracle.ts';

const VOCABULARIES = [1, 2, 63, 64, 65, 200, 4099];

describe('greedy', () => {
  it.each(VOCABULARIES)('takes the largest of %i logits', async (vocab) => {
    const rows = Array.from({ length: 9 }, (_, i) => distinctLogits(vocab, i));
    const ids = await draw(
      rows,
      rows.map(() => ({ temperature: 0 })),
    );
    expect([...ids]).toEqual(rows.map((row) => row.indexOf(Math.max(...row))));
  });

  it('takes the lowest id among equals, in one lane or in several', async () => {
    const ties = [[70, 134], [5, 69, 133], [64, 65], [63, 64], [3, 2], [199], [0, 199]];
    const rows = ties.map((at) => {
      const row = distinctLogits(200, 1);
      for (const id of at) row[id] = 7;
      return row;
    });
    const ids = await draw(
      rows,
      rows.map(() => ({ temperature: 0 })),
    );
    expect([...ids]).toEqual(ties.map((at) => Math.min(...at)));
  });

  it('holds for logits that are all very small, or equal', async () => {
    const rows = [new Float32Array(65).fill(-3e38), new Float32Array(65).fill(0)];
    rows[0]![40] = -2e38;
    expect([...(await draw(rows, [{}, {}]))]).toEqual([40, 0]);
  });

  it('takes temperatures too small to divide by as 0', async () => {
    const row = distinctLogits(65, 3);
    const ids = await draw([row, row], [{ temperature: 1e-6 }, { temperature: 1e-40 }]);
    expect([...ids]).toEqual([row.indexOf(Math.max(...row)), row.indexOf(Math.max(...row))]);
  });
});

describe('draws', () => {
  it.each(VOCABULARIES)("are the oracle's, id for id, of %i logits", async (vocab) => {
    const random = randomFrom(vocab);
    const asked = Array.from({ length: 64 }, (_, i) => ({
      temperature: [0.3, 1, 2][i % 3]!,
      topP: [1, 0.5, 0.9, 1][i % 4]!,
      topK: [0, 0, 5, 3][i % 4]!,
      seed: random.below(2 ** 31),
    }));
    const rows = asked.map((_, i) => distinctLogits(vocab, i));
    const ids = await draw(rows, asked);
    let compared = 0;
    rows.forEach((row, i) => {
      const want = winner(oracle(row, asked[i]!));
      if (want === null) return;
      compared++;
      expect(ids[i], `row ${i}: ${JSON.stringify(asked[i])}`).toBe(want);
    });
    expect(compared).toBeGreaterThan(asked.length / 2);
  });

  it.each<Asked>([
    { temperature: 1 },
    { temperature: 2, topP: 0.6 },
    { temperature: 1, topK: 4 },
    { temperature: 1, topP: 0.8, topK: 3 },
    { temperature: 1, topP: 0.2 },
    { temperature: 1, topP: 0 },
    { temperature: 0.5, topK: 1 },
    { temperature: 1, topK: 500 },
  ])('follow the softmax over exactly the ids kept: %o', async (asked) => {
    const logits = Float32Array.of(0.3, -1, 1.2, 0.9, -0.4, 1.7, 0.1, -2, 0.6, 1.1);
    const { ids: kept, probabilities } = oracle(logits, asked);
    const counts = new Map<number, number>(kept.map((id) => [id, 0]));
    // Each cut-off costs 32 rounds of barriers, which a software device does one by one.
    const [BATCHES, ROWS] = asked.topP === undefined && asked.topK === undefined ? [8, 512] : [2, 128];
    for (let batch = 0; batch < BATCHES; batch++) {
      const rows = Array.from({ length: ROWS }, () => logits);
      for (const id of await draw(
        rows,
        rows.map((_, i) => ({ ...asked, seed: batch * ROWS + i })),
      )) {
        if (!counts.has(id)) throw new Error(`id ${id} is not one of ${kept.join(', ')}`);
        counts.set(id, counts.get(id)! + 1);
      }
    }
    // Pearson's statistic; ten ids have nine degrees of freedom, and chi-square's 99.99% point is then 33.7.
    let statistic = 0;
    kept.forEach((id, i) => {
      const mean = BATCHES * ROWS * probabilities[i]!;
      statistic += (counts.get(id)! - mean) ** 2 / mean;
    });
    expect(statistic).toBeLessThan(33.7);
  });

  it('keep ids tied with the last one kept', async () => {
    const logits = Float32Array.of(1, 3, 2, 2, 0);
    const rows = Array.from({ length: 128 }, () => logits);
    const ids = await draw(
      rows,
      rows.map((_, seed) => ({ temperature: 2, topK: 2, seed })),
    );
    expect([...new Set(ids)].sort()).toEqual([1, 2, 3]);
  });

  it('are the same for a seed, and others for another', async () => {
    const rows = Array.from({ length: 64 }, () => new Float32Array(1000));
    const seeds = (offset: number) => rows.map((_, seed) => ({ temperature: 1, seed: seed + offset }));
    const first = await draw(rows, seeds(0));
    expect([...(await draw(rows, seeds(0)))]).toEqual([...first]);
    const other = await draw(rows, seeds(1000));
    expect(first.filter((id, i) => id === other[i]).length).toBeLessThan(5);
  });

  it('let no id win by its noise alone, and lose none', async () => {
    expect(inverseLowbias32(lowbias32(0x12345678))).toBe(0x12345678);
    const extremes = [0, 1, 0xff, 0xffffff, 0x7fffffff, 0xffffff00, 0xfffffffe, 0xffffffff];
    // Id 5 is e^60 times less likely than id 0: no noise of 32 bits makes that good.
    const unlikely = new Float32Array(65).fill(-60);
    unlikely[0] = 0;
    const asked = extremes.map((hash) => ({ temperature: 1, seed: seedFor(5, INDEX, hash) }));
    expect([
      ...(await draw(
        extremes.map(() => unlikely),
        asked,
      )),
    ]).toEqual(extremes.map(() => 0));
    const only = extremes.map((hash) => ({ temperature: 1, topK: 1, seed: seedFor(0, INDEX, hash) }));
    expect([
      ...(await draw(
        extremes.map(() => unlikely),
        only,
      )),
    ]).toEqual(extremes.map(() => 0));
  });
});

describe('end ids', () => {
  const END_IDS = [7, 70, 0, 64];
  const logits = distinctLogits(100, 9);
  for (const id of END_IDS) logits[id] = 6 + id / 100;
  const best = (ids: number[]) => ids.reduce((a, b) => (logits[b]! > logits[a]! ? b : a));
  const others = [...logits.keys()].filter((id) => !END_IDS.includes(id));

  it('are left out until min_tokens are out, unless they do not end the sequence', async () => {
    const asked: Asked[] = [
      { minTokens: 2, ignoreEos: false },
      { minTokens: 1, ignoreEos: false },
      { minTokens: 2, ignoreEos: true },
      { minTokens: 0, ignoreEos: false },
    ];
    const ids = await draw(
      asked.map(() => logits),
      asked,
      END_IDS,
    );
    expect([...ids]).toEqual([best(others), 70, 70, 70]);
  });

  it('count neither for top-k nor for the mass of top-p while they are left out', async () => {
    const rows = Array.from({ length: 128 }, () => logits);
    for (const cut of [{ topK: 3 }, { topP: 0.1 }, {}]) {
      const asked = rows.map((_, seed) => ({ minTokens: 2, ignoreEos: false, temperature: 1, seed, ...cut }));
      const { ids: kept } = oracle(logits, asked[0]!, END_IDS);
      const seen = new Set(await draw(rows, asked, END_IDS));
      for (const id of seen) expect(kept).toContain(id);
      if (kept.length <= 12) expect(seen.size).toBe(kept.length);
    }
  });

  it('of models with fewer than four leave the rest of the vocabulary alone', async () => {
    const row = new Float32Array(65);
    const ids = await draw(
      [row, row],
      [
        { minTokens: 2, ignoreEos: false },
        { minTokens: 2, ignoreEos: false },
      ],
      [1],
    );
    expect([...ids]).toEqual([0, 0]);
  });
});

describe('NaN', () => {
  it('everywhere gives no id, however it is asked', async () => {
    const row = new Float32Array(65).fill(Number.NaN);
    const asked: Asked[] = [{}, { temperature: 1 }, { temperature: 1, topP: 0.5, topK: 2 }];
    expect([
      ...(await draw(
        asked.map(() => row),
        asked,
      )),
    ]).toEqual([NO_ID, NO_ID, NO_ID]);
  });

  it('somewhere is never chosen', async () => {
    const row = distinctLogits(65, 2);
    row[3] = Number.NaN;
    row[64] = Number.NaN;
    const asked: Asked[] = Array.from({ length: 64 }, (_, seed) => ({ temperature: seed % 2, seed }));
    for (const id of await draw(
      asked.map(() => row),
      asked,
    ))
      expect([3, 64, NO_ID]).not.toContain(id);
  });

  it('in another row changes nothing', async () => {
    const rows = [new Float32Array(65).fill(Number.NaN), distinctLogits(65, 4)];
    const ids = await draw(rows, [{}, {}]);
    expect([...ids]).toEqual([NO_ID, rows[1]!.indexOf(Math.max(...rows[1]!))]);
  });
});
