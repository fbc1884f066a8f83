/**
 * Readers against what peft and NeMo's formulas say of the adapters in test/golden: which modules, each one's rank and
 * scale, and the values, by the norm of the change they make.
 */
import { expect, test } from 'vitest';
import { inspectAdapter } from '../../../engine/adapter-files/inspect.ts';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import { findModel } from '../../../engine/models/find-model.ts';
import { adapterFolder, type GoldenAdapter, readGolden, TINY_LLAMA } from '../../support/golden-adapters.ts';

const { adapters } = readGolden();
const { geometry } = await findModel(TINY_LLAMA);

/** ‖scale · B A‖, formed outright: the widths here are small. */
function norm(a: Float32Array, b: Float32Array, rank: number, scale: number): number {
  const [width, out] = [a.length / rank, b.length / rank];
  let sum = 0;
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < width; column++) {
      let value = 0;
      for (let r = 0; r < rank; r++) value += (b[row * rank + r] as number) * (a[r * width + column] as number);
      sum += (scale * value) ** 2;
    }
  }
  return Math.sqrt(sum);
}

const totalNorm = (golden: GoldenAdapter): number => Math.hypot(...Object.values(golden.modules).map(([, , n]) => n));

test.each(adapters.map((golden) => ({ name: golden.name, golden })))('$name', async ({ name, golden }) => {
  const file = await readAdapter(adapterFolder(name), geometry);
  try {
    expect(file).toMatchObject({ kind: golden.kind, format: golden.format, rank: golden.rank });
    const got: [string, number, number, number][] = [];
    for (const module of file.modules) {
      const { a, b } = await module.read();
      const { layer, rank, scale } = module;
      got.push([`${layer}.${module.module}`, rank, scale, norm(a, b, rank, scale)]);
    }
    const expected = Object.entries(golden.modules);
    expect(got.map(([key, rank]) => [key, rank])).toEqual(expected.map(([key, [rank]]) => [key, rank]));
    got.forEach(([, , scale, size], i) => {
      const [, wantedScale, wantedSize] = (expected[i] as (typeof expected)[number])[1];
      expect(scale).toBeCloseTo(wantedScale, 12);
      // Values are f32, or folded to f32 from two.
      expect(Math.abs(size / wantedSize - 1)).toBeLessThan(1e-6);
    });
  } finally {
    await file.close();
  }
});

test.each(adapters.map((golden) => ({ name: golden.name, golden })))(
  'the report of $name',
  async ({ name, golden }) => {
    const report = await inspectAdapter(adapterFolder(name), geometry);
    expect(report).toMatchObject({ kind: golden.kind, format: golden.format, problems: [] });
    expect(Math.abs((report.norm as number) / totalNorm(golden) - 1)).toBeLessThan(1e-6);
  },
);
