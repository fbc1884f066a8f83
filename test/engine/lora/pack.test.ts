/** Adapters' images: each value where the layout says, zeros for what an adapter lacks, and refusals that name module and layer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packAdapter, packSynthetic } from '../../../engine/lora/pack.ts';
import { hasColumns } from '../../../engine/lora/packed-adapter.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { fromHalf, toHalf } from '../../../engine/tensor-files/half.ts';
import { groupShapes } from '../../../engine/transformer/dimensions.ts';
import { adapterInMemory, SMALL, unpack, type Wanted } from './adapter-in-memory.ts';

const g = SMALL;

async function problemsOf(wanted: Wanted[], change: (file: ReturnType<typeof adapterInMemory>) => void = () => {}) {
  const file = adapterInMemory(g, wanted);
  change(file);
  const thrown = await packAdapter(file, g).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(FileError);
  expect((thrown as FileError).path).toBe(file.path);
  return (thrown as FileError).problems;
}

const wanted = fc
  .uniqueArray(fc.tuple(fc.nat(g.layers - 1), fc.constantFrom(...MODULES)), {
    minLength: 1,
    maxLength: 9,
    selector: ([layer, module]) => `${layer} ${module}`,
  })
  .chain((places) =>
    fc.tuple(
      ...places.map(([layer, module]) =>
        fc.record({
          layer: fc.constant(layer),
          module: fc.constant(module),
          rank: fc.integer({ min: 1, max: 20 }),
          scale: fc.constantFrom(0.25, 1, 2, -1.5, 0.3),
          bias: fc.boolean(),
          magnitude: fc.constantFrom(undefined, (row: number) => 1 + row / 8),
        }),
      ),
    ),
  ) as fc.Arbitrary<Wanted[]>;

it('hold every value of every module where the layout has it, and zeros everywhere else', async () => {
  await fc.assert(
    fc.asyncProperty(wanted, async (modules) => {
      const file = adapterInMemory(g, modules);
      const packed = await packAdapter(file, g);
      expect(packed.rank).toBe(Math.max(...modules.map(({ rank }) => rank)));
      expect(hasColumns(packed)).toBe(modules.some(({ bias, magnitude }) => bias || magnitude));
      for (let layer = 0; layer < g.layers; layer++) {
        for (const module of MODULES) {
          const got = unpack(packed, g, layer, module);
          const given = file.weightsOf(layer, module);
          // A whole page is there, whatever the rank.
          for (let r = 0; r < 8 * Math.ceil(packed.rank / 8); r++) {
            for (let c = 0; c < got.k; c += 7) {
              const want = given && r < given.rank ? fromHalf(toHalf(given.weights.a[r * got.k + c]!)) : 0;
              if (got.a(r, c) !== want)
                throw new Error(`layer ${layer}, ${module}, A[${r}, ${c}]: ${got.a(r, c)}, not ${want}`);
            }
            for (let row = 0; row < got.out; row += 3) {
              const value = given && r < given.rank ? given.weights.b[row * given.rank + r]! * given.scale : 0;
              const off = Math.abs(got.b(row, r) * packed.scale - value);
              if (!(off <= 2 ** -11 * Math.abs(value) + 2 ** -25 * Math.abs(packed.scale)))
                throw new Error(`layer ${layer}, ${module}, scale * B[${row}, ${r}] is ${off} from ${value}`);
            }
          }
          for (let row = 0; row < got.out; row++) {
            const bias = given?.weights.bias
              ? fromHalf(toHalf(Math.fround(given.weights.bias[row]! * given.scale)))
              : 0;
            if (got.bias(row) !== bias || got.g1(row) !== 0) throw new Error(`layer ${layer}, ${module}: bias ${row}`);
            const m = given?.weights.magnitude?.[row] ?? Number.NaN;
            if (!Object.is(got.magnitude(row), m)) throw new Error(`layer ${layer}, ${module}: m ${row}`);
          }
        }
      }
    }),
    { numRuns: 40 },
  );
});

it('have the scale that all modules share, and B as the file has it', async () => {
  const modules: Wanted[] = MODULES.map((module, i) => ({ layer: i % 2, module, rank: 1 + i, scale: 0.3 }));
  const file = adapterInMemory(g, modules);
  const packed = await packAdapter(file, g);
  expect(packed.scale).toBe(0.3);
  for (const { layer, module, rank } of modules) {
    const { weights } = file.weightsOf(layer, module)!;
    const got = unpack(packed, g, layer, module);
    for (let row = 0; row < got.out; row++)
      expect(got.b(row, rank - 1)).toBe(fromHalf(toHalf(weights.b[row * rank + rank - 1]!)));
  }
});

it('have the scale of largest size where modules differ, so that B only shrinks', async () => {
  const packed = await packAdapter(
    adapterInMemory(g, [
      { layer: 0, module: 'q', rank: 2, scale: 0.5, spoil: ({ b }) => b.fill(60000) },
      { layer: 1, module: 'down', rank: 2, scale: -4, spoil: ({ b }) => b.fill(60000) },
    ]),
    g,
  );
  expect(packed.scale).toBe(-4);
  expect(unpack(packed, g, 0, 'q').b(5, 1)).toBe(-7500);
  expect(unpack(packed, g, 1, 'down').b(5, 1)).toBe(60000);
});

it('can say nothing at all: scale 0', async () => {
  const packed = await packAdapter(adapterInMemory(g, [{ layer: 0, module: 'q', rank: 2, scale: 0 }]), g);
  expect(packed.scale).toBe(0);
  expect(Number.isFinite(unpack(packed, g, 0, 'q').b(0, 0))).toBe(true);
});

it.each([
  [2 ** -18, 1],
  [2 ** -5, 2 ** -14],
  [2 ** -12, 2 ** -8],
  [1000, 2 ** -26],
])('keep eleven bits of the product of A of size %d and B of size %d, as f16 would not', async (aSize, bSize) => {
  const file = adapterInMemory(g, [{ layer: 0, module: 'gate', rank: 3, scale: 1, size: [aSize, bSize] }]);
  const { a, b } = file.weightsOf(0, 'gate')!.weights;
  const got = unpack(await packAdapter(file, g), g, 0, 'gate');
  const most = aSize * bSize;
  for (let row = 0; row < got.out; row += 5) {
    for (let c = 0; c < got.k; c += 3) {
      const want = a[2 * got.k + c]! * b[row * 3 + 2]!;
      expect(Math.abs(got.a(2, c) * got.b(row, 2) - want)).toBeLessThanOrEqual(
        2 ** -10 * Math.max(Math.abs(want), most / 64),
      );
    }
  }
});

it('count the bytes they hold', async () => {
  const plain = await packAdapter(adapterInMemory(g, [{ layer: 0, module: 'q', rank: 9, scale: 1 }]), g);
  const shapes = Object.values(groupShapes(g));
  const rankBytes = 2 * shapes.reduce((sum, { k, n, slices }) => sum + slices.length * k + n, 0);
  expect(plain.bytes).toBe(16 * rankBytes * g.layers);
  const m = (row: number) => row + 1;
  const dora = await packAdapter(adapterInMemory(g, [{ layer: 1, module: 'q', rank: 9, scale: 1, magnitude: m }]), g);
  expect(dora.bytes - plain.bytes).toBe(4 * shapes.reduce((sum, { n }) => sum + n, 0));
  expect(dora.layers.map(({ magnitude }) => magnitude !== null)).toEqual([false, true]);
});

describe('are refused, with each module and layer', () => {
  it('for values that f16 cannot hold, of any tensor', async () => {
    const problems = await problemsOf([
      { layer: 0, module: 'k', rank: 2, scale: 1, spoil: ({ a }) => a.set([65520], 64 + 5) },
      { layer: 1, module: 'up', rank: 2, scale: 1, spoil: ({ b }) => b.set([-1e6], 7) },
      { layer: 1, module: 'down', rank: 2, scale: 1, bias: true, spoil: ({ bias }) => bias?.set([1e5], 3) },
      { layer: 1, module: 'o', rank: 2, scale: 1, spoil: ({ a }) => a.set([65519], 0) },
    ]);
    expect(problems).toEqual([
      'layer 0, k: A[1, 5] is 65520; expected what f16 can hold, at most 65504 either way',
      'layer 1, up: B[3, 1] is -1000000; expected what f16 can hold, at most 65504 either way',
      'layer 1, down: bias times scale[3] is 100000; expected what f16 can hold, at most 65504 either way',
    ]);
  });

  it('for values that are no numbers', async () => {
    const [problem] = await problemsOf([
      { layer: 0, module: 'v', rank: 1, scale: 1, spoil: ({ b }) => b.set([Number.NaN], 2) },
    ]);
    expect(problem).toMatch(/^layer 0, v: B\[2\] is NaN; /);
  });

  it('for a layer, a width or a rank that the model does not have', async () => {
    const one: Wanted = { layer: 0, module: 'q', rank: 2, scale: 1 };
    const problems = await problemsOf([one, one, one], ({ modules }) => {
      modules[0]!.layer = 2;
      modules[1]!.in = 32;
      modules[2]!.rank = 3;
    });
    expect(problems).toEqual([
      'layer 2, q: expected layers 0 to 1 of small',
      'layer 0, q: expected 64 wide in and 128 out, as small has it, found 32 and 128',
      'layer 0, q: expected a rank from 1 to 2, found 3',
    ]);
  });
});

it('are read a module at a time', async () => {
  const file = adapterInMemory(
    g,
    MODULES.map((module) => ({ layer: 0, module, rank: 4, scale: 1 })),
  );
  let reading = 0;
  for (const module of file.modules) {
    const { read } = module;
    module.read = async () => {
      expect(reading++).toBe(0);
      await new Promise((resolve) => setImmediate(resolve));
      reading--;
      return read();
    };
  }
  await packAdapter(file, g);
  expect(reading).toBe(0);
});

it('of seeds have both factors of about unit gain in every module', () => {
  const packed = packSynthetic({ rank: 5, seed: 3 }, g);
  expect(packed).toMatchObject({ rank: 5, kind: 'lora', format: 'synthetic', scale: 0.5 });
  expect(hasColumns(packed)).toBe(false);
  for (const module of MODULES) {
    const got = unpack(packed, g, 1, module);
    let sum = 0;
    for (let r = 0; r < 8; r++) for (let c = 0; c < got.k; c++) sum += got.a(r, c) ** 2;
    expect(sum / 5).toBeGreaterThan(0.7);
    expect(sum / 5).toBeLessThan(1.4);
    expect(got.a(5, 0)).toBe(0);
    expect(got.b(0, 5)).toBe(0);
  }
});
