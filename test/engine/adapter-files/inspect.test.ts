import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectAdapter } from '../../../engine/adapter-files/inspect.ts';
import { deltaNorm } from '../../../engine/adapter-files/inspect-norm.ts';
import { ranges } from '../../../engine/adapter-files/peft-problems.ts';
import { newFolder, numbers, pair, pairs, SMALL, tensor, values, WIDTHS, writeAdapter } from './write-adapter.ts';

const LORA = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'down_proj'] };

/** ‖scale · B A‖, formed outright. */
function norm(a: Float32Array, b: Float32Array, rank: number, scale: number): number {
  const width = a.length / rank;
  let sum = 0;
  for (let row = 0; row < b.length / rank; row++) {
    for (let column = 0; column < width; column++) {
      let value = 0;
      for (let r = 0; r < rank; r++) value += b[row * rank + r]! * a[r * width + column]!;
      sum += (scale * value) ** 2;
    }
  }
  return Math.sqrt(sum);
}

describe('deltaNorm', () => {
  it('is 0.5 * 5 * 13 for B = [3, 4]ᵀ and A = [5, 12]', () => {
    const weights = { a: Float32Array.of(5, 12), b: Float32Array.of(3, 4) };
    expect(deltaNorm(weights, { rank: 1, scale: -0.5 })).toBe(32.5);
  });

  it.each([1, 2, 5, 16])('agrees with the product formed outright at rank %i', (rank) => {
    const [a, b] = [values(rank * 9, 1), values(14 * rank, 2)];
    expect(deltaNorm({ a, b }, { rank, scale: 0.7 }) / norm(a, b, rank, 0.7)).toBeCloseTo(1, 12);
  });

  it.each([15, 40, 65536])('agrees with it at rank %i, more than the widths', (rank) => {
    const [a, b] = [values(rank * 3, 1), values(2 * rank, 2)];
    expect(deltaNorm({ a, b }, { rank, scale: 0.7 }) / norm(a, b, rank, 0.7)).toBeCloseTo(1, 12);
  });

  it('is 0 for a zero B', () => {
    expect(deltaNorm({ a: values(8, 1), b: new Float32Array(6) }, { rank: 2, scale: 1 })).toBe(0);
  });
});

describe('ranges', () => {
  it.each([
    [[0, 1, 2, 3], '0-3'],
    [[7, 0, 1, 2, 3, 3], '0-3, 7'],
    [[5], '5'],
    [[0, 2, 4], '0, 2, 4'],
    [[], ''],
  ])('of %j is %s', (layers, expected) => {
    expect(ranges(layers)).toBe(expected);
  });
});

describe('inspectAdapter', () => {
  it('reports modules, layers, ranks, scales and norms', async () => {
    const tensors = [0, 1, 2].flatMap((layer) => [...pair(layer, 'q', layer === 1 ? 2 : 4), ...pair(layer, 'down', 4)]);
    const config = {
      ...LORA,
      rank_pattern: { '1.self_attn.q_proj': 2 },
      base_model_name_or_path: 'some/llama',
      odd: 1,
    };
    const path = await writeAdapter(config, tensors);
    const report = await inspectAdapter(path, SMALL);
    const norms = [0, 1, 2, 3, 4, 5].map((i) => {
      const rank = i === 2 ? 2 : 4;
      return norm(numbers(tensors[2 * i]!), numbers(tensors[2 * i + 1]!), rank, 8 / rank);
    });
    expect(report).toEqual({
      path,
      format: 'peft',
      kind: 'lora',
      base: 'some/llama',
      bytes: expect.any(Number),
      parameters: (4 + 2 + 4) * (8 + 12) + 3 * 4 * (20 + 8),
      rank: 4,
      modules: ['q', 'down'],
      layers: '0-2',
      groups: [
        { modules: ['q'], layers: '0, 2', rank: 4, alpha: 8, scale: 2 },
        { modules: ['down'], layers: '0-2', rank: 4, alpha: 8, scale: 2 },
        { modules: ['q'], layers: '1', rank: 2, alpha: 8, scale: 4 },
      ],
      norms: norms.map((value, i) => ({
        layer: Math.floor(i / 2),
        module: i % 2 ? 'down' : 'q',
        norm: expect.closeTo(value, 9),
      })),
      norm: expect.closeTo(Math.hypot(...norms), 9),
      notes: ['unknown key "odd" ignored: 1'],
      problems: [],
    });
  });

  it('puts modules of equal layers, rank and scale into one group', async () => {
    const report = await inspectAdapter(
      await writeAdapter(
        { ...LORA, target_modules: 'all-linear' },
        pairs(['q', 'k', 'v', 'o', 'gate', 'up', 'down'], 4),
      ),
      SMALL,
    );
    expect(report.groups).toEqual([
      { modules: ['q', 'k', 'v', 'o', 'gate', 'up', 'down'], layers: '0-2', rank: 4, alpha: 8, scale: 2 },
    ]);
  });

  it('says of a refused adapter what it is and why it is refused, without throwing', async () => {
    const config = {
      ...LORA,
      use_dora: true,
      base_model_name_or_path: 'some/llama',
      bias: 'all',
      modules_to_save: ['lm_head'],
    };
    expect(await inspectAdapter(await writeAdapter(config, pairs(['q', 'down'], 4)), SMALL)).toMatchObject({
      format: 'peft',
      kind: 'dora',
      base: 'some/llama',
      bytes: null,
      groups: [],
      norm: null,
      problems: [expect.stringContaining('modules_to_save'), expect.stringContaining('bias')],
    });
  });

  it.each<[string, () => Promise<string>, object]>([
    ['a path that is not there', async () => join(await newFolder(), 'nothing'), { format: null, kind: null }],
    ['Tied-LoRA', () => writeAdapter({ peft_type: 'TIED_LORA' }, []), { format: 'tied-lora', kind: 'tied' }],
    ['VeRA', () => writeAdapter({ peft_type: 'VERA' }, []), { format: 'peft', kind: 'vera' }],
    ['an unknown type', () => writeAdapter({ peft_type: 'LOHA' }, []), { format: 'peft', kind: null }],
  ])('reports the problems of %s', async (_, path, expected) => {
    const report = await inspectAdapter(await path(), SMALL);
    expect(report).toMatchObject(expected);
    expect(report.problems).not.toEqual([]);
  });

  it('names a NaN, a value that f16 cannot hold, and a change that is zero', async () => {
    const target = { ...LORA, target_modules: ['q_proj'], layers_to_transform: [0] };
    const [a, b] = pair(0, 'q', 4);
    const inspect = (first: Float32Array) =>
      writeAdapter(target, [tensor(a!.name, [4, 8], 'f32', first), b!]).then((path) => inspectAdapter(path, SMALL));
    const nan = await inspect(new Float32Array(32).fill(Number.NaN));
    expect(nan).toMatchObject({ rank: 4, norm: null, problems: [expect.stringContaining('found NaN at [0, 0]')] });
    const large = await inspect(new Float32Array(32).fill(70000));
    expect(large.problems).toEqual(['layer 0, q: A: expected values that f16 holds, up to 65504, found 70000']);
    const zero = await inspect(new Float32Array(32));
    expect(zero).toMatchObject({ norm: 0, problems: [], notes: [expect.stringContaining('as the base model')] });
  });

  it('is plain data', async () => {
    const report = await inspectAdapter(await writeAdapter(LORA, pairs(['q', 'down'], 4)), null);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report.parameters).toBe(3 * 4 * (WIDTHS.q.in + WIDTHS.q.out + WIDTHS.down.in + WIDTHS.down.out));
  });

  it('tells a truncated file from a good one', async () => {
    const folder = await writeAdapter(LORA, pairs(['q', 'down'], 4));
    await writeFile(join(folder, 'adapter_model.safetensors'), new Uint8Array(20));
    expect((await inspectAdapter(folder, SMALL)).problems).not.toEqual([]);
  });
});
