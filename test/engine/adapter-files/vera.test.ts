import { describe, expect, it } from 'vitest';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import type { ModuleName } from '../../../engine/models/projections.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { moduleKey, numbers, PREFIX, pair, problemsOf, SMALL, tensor, WIDTHS, writeAdapter } from './write-adapter.ts';

const RANK = 4;
const MODULES: ModuleName[] = ['q', 'v', 'o', 'down'];
const VERA = { peft_type: 'VERA', r: RANK, target_modules: ['q_proj', 'v_proj', 'o_proj', 'down_proj'] };
/** The largest in and out of the modules: of down (20 in) and of q (12 out). */
const A = tensor('base_model.vera_A', [RANK, 20]);
const B = tensor('base_model.vera_B', [12, RANK]);

const vectors = (layer: number, module: ModuleName): TensorToWrite[] => {
  const key = PREFIX + moduleKey(layer, module);
  return [tensor(`${key}.vera_lambda_b`, [WIDTHS[module].out]), tensor(`${key}.vera_lambda_d`, [RANK])];
};
const all = (modules = MODULES, a = A, b = B) => [
  a,
  b,
  ...[0, 1, 2].flatMap((l) => modules.flatMap((m) => vectors(l, m))),
];

/** λb ⊙ (B[:out] (λd ⊙ (A[:, :in] x))), as the paper writes it. */
function product(module: ModuleName, b: Float32Array, d: Float32Array, x: Float32Array): number[] {
  const [down, up] = [numbers(A), numbers(B)];
  const inner = Array.from({ length: RANK }, (_, r) => {
    let sum = 0;
    for (let i = 0; i < WIDTHS[module].in; i++) sum += down[r * 20 + i]! * x[i]!;
    return sum * d[r]!;
  });
  return Array.from({ length: WIDTHS[module].out }, (_, row) => {
    let sum = 0;
    for (let r = 0; r < RANK; r++) sum += up[row * RANK + r]! * inner[r]!;
    return sum * b[row]!;
  });
}

/** B (A x) of a pair. */
function lora(a: Float32Array, b: Float32Array, x: Float32Array): number[] {
  const inner = Array.from({ length: RANK }, (_, r) =>
    x.reduce((sum, value, i) => sum + a[r * x.length + i]! * value, 0),
  );
  return Array.from({ length: b.length / RANK }, (_, row) =>
    inner.reduce((sum, value, r) => sum + b[row * RANK + r]! * value, 0),
  );
}

describe('a VeRA adapter', () => {
  it.each<[string, Geometry | null]>([
    ['with its base known', SMALL],
    ['without', null],
  ])('is the same operator when read as LoRA, %s', async (_, geometry) => {
    const tensors = all();
    const file = await readAdapter(await writeAdapter(VERA, tensors), geometry);
    expect(file).toMatchObject({ format: 'peft', kind: 'vera', rank: RANK });
    expect(file.modules).toHaveLength(12);
    for (const [i, module] of file.modules.entries()) {
      expect(module).toMatchObject({
        ...WIDTHS[module.module],
        rank: RANK,
        alpha: null,
        scale: 1,
        hasMagnitude: false,
      });
      const [b, d] = [numbers(tensors[2 + 2 * i]!), numbers(tensors[3 + 2 * i]!)];
      const x = Float32Array.from({ length: module.in }, (_, j) => Math.cos(j));
      const weights = await module.read();
      const expected = product(module.module, b, d, x);
      lora(weights.a, weights.b, x).forEach((value, row) => {
        expect(value).toBeCloseTo(expected[row]!, 4);
      });
    }
    await file.close();
  });

  it("may have an adapter's name in its keys", async () => {
    const named = all().map((t) => ({ ...t, name: `${t.name}.default` }));
    const file = await readAdapter(await writeAdapter(VERA, named), SMALL);
    expect((await file.modules[0]!.read()).a).toHaveLength(RANK * 8);
    await file.close();
  });

  const without = (part: string) => all().filter(({ name }) => !name.endsWith(part));
  it.each<[string, object, TensorToWrite[], RegExp]>([
    [
      'its projections are not saved',
      { save_projection: false },
      without('vera_A'),
      /set save_projection to true and save it again/,
    ],
    ['A is missing', {}, without('vera_A'), /"base_model\.vera_A" is missing/],
    ['B is missing', {}, without('vera_B'), /"base_model\.vera_B" is missing/],
    [
      'a vector is missing',
      {},
      without('1.self_attn.v_proj.vera_lambda_d'),
      /layers\.1\.self_attn\.v_proj: vera_lambda_d is missing/,
    ],
    [
      'A is not as wide as the widest module',
      {},
      all(MODULES, tensor('base_model.vera_A', [RANK, 19])),
      /vera_A": expected shape \[4, 20\] .*found \[4, 19\]/,
    ],
    [
      'B is for a larger base',
      {},
      all(MODULES, A, tensor('base_model.vera_B', [13, RANK])),
      /vera_B": expected shape \[12, 4\] .*found \[13, 4\]/,
    ],
    ['its rank is another', { r: 5 }, all(), /vera_lambda_d": expected shape \[5\].*found \[4\]/],
    ["it has LoRA's tensors", {}, [...all(), ...pair(0, 'q', RANK)], /is LoRA's, but peft_type is VERA/],
    [
      'a targeted module is not there',
      { target_modules: 'all-linear' },
      all(),
      /self_attn\.k_proj in layers 0-2 are missing/,
    ],
    [
      'one is there that is not targeted',
      { target_modules: ['q_proj', 'v_proj', 'o_proj'] },
      all(),
      /mlp\.down_proj .* does not target/,
    ],
  ])('is refused when %s', async (_, fields, tensors, message) => {
    const folder = await writeAdapter({ ...VERA, ...fields }, tensors);
    expect((await problemsOf(readAdapter(folder, SMALL))).join('\n')).toMatch(message);
  });

  it('is refused without a base where its widths are not in the file', async () => {
    const folder = await writeAdapter(
      { ...VERA, target_modules: ['o_proj', 'down_proj'] },
      all(['o', 'down'], A, tensor('base_model.vera_B', [8, RANK])),
    );
    expect(await problemsOf(readAdapter(folder, null))).toEqual([expect.stringMatching(/give the base model/)]);
    await (await readAdapter(folder, SMALL)).close();
  });

  it('is refused for a NaN in what all modules share', async () => {
    const bad = new Float32Array(RANK * 20).fill(1);
    bad[21] = Number.NaN;
    const file = await readAdapter(
      await writeAdapter(VERA, all(MODULES, tensor('base_model.vera_A', [RANK, 20], 'f32', bad))),
      SMALL,
    );
    expect(await problemsOf(file.modules[0]!.read())).toEqual([
      expect.stringMatching(/vera_A": .*found NaN at \[1, 1\]/),
    ]);
    await file.close();
  });
});
