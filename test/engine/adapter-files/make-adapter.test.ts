/** Made adapters, read back by the engine's own readers: they fit, and change the base by as much as was asked. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTER_KINDS, type AdapterModule } from '../../../engine/adapter-files/adapter.ts';
import {
  DEFAULT_SCALE,
  type MakeOptions,
  makeAdapter,
  makeProblems,
  parametersOf,
} from '../../../engine/adapter-files/make-adapter.ts';
import { openBaseNorms } from '../../../engine/adapter-files/make-base-norms.ts';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import { findModel } from '../../../engine/models/find-model.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES, moduleWidths } from '../../../engine/models/projections.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { openShardedSafetensors } from '../../../engine/tensor-files/sharded.ts';
import { GROUPS, groupShapes } from '../../../engine/transformer/dimensions.ts';

const GEOMETRY = geometryOf('llama-3.2-1b@1/8') as Geometry;
const TINY_LLAMA = join(dirname(fileURLToPath(import.meta.url)), '../../golden/tiny-llama');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'make-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const optionsFor = (changes: Partial<MakeOptions> = {}): MakeOptions => ({
  geometry: GEOMETRY,
  folder: null,
  kind: 'lora',
  format: 'peft',
  rank: 8,
  modules: MODULES,
  scale: DEFAULT_SCALE,
  seed: 1,
  out: join(folder, 'a'),
  ...changes,
});

/** ‖scale · B A‖, formed. */
async function changeNorm({ rank, scale, in: width, out, read }: AdapterModule): Promise<number> {
  const { a, b } = await read();
  let sum = 0;
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < width; column++) {
      let value = 0;
      for (let r = 0; r < rank; r++) value += b[row * rank + r]! * a[r * width + column]!;
      sum += value * value;
    }
  }
  return scale * Math.sqrt(sum);
}

const bytesIn = (path: string): Buffer[] =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name)));

const FORMS = [
  ...ADAPTER_KINDS.map((kind) => ({ kind, format: 'peft' as const })),
  { kind: 'lora' as const, format: 'nemo' as const },
];

describe.each(FORMS)('$kind in $format', ({ kind, format }) => {
  it('is read back whole, and changes each projection by the share asked for', async () => {
    const options = optionsFor({ kind, format, scale: 0.2 });
    const made = await makeAdapter(options);
    expect(made.path).toBe(options.out);
    expect(made.files).toEqual(format === 'nemo' ? ['a.nemo'] : ['adapter_config.json', 'adapter_model.safetensors']);
    expect(made.bytes).toBe(made.files.reduce((sum, name) => sum + statSync(join(made.path, name)).size, 0));
    expect(made.parameters).toBe(parametersOf(options));

    const adapter = await readAdapter(made.path, GEOMETRY);
    const widths = moduleWidths(GEOMETRY);
    const expected = Array.from({ length: GEOMETRY.layers }, (_, layer) =>
      MODULES.map((module) => `${layer} ${module}`),
    );
    expect(adapter).toMatchObject({ kind, rank: 8 });
    expect(adapter.modules.map(({ layer, module }) => `${layer} ${module}`)).toEqual(expected.flat());
    for (const module of adapter.modules) {
      expect(module).toMatchObject({
        ...widths[module.module],
        rank: 8,
        hasMagnitude: kind === 'dora',
        hasBias: false,
      });
      if (module.layer > 0) continue;
      const gain = ['q', 'k'].includes(module.module) ? 2 : 1;
      const share = (await changeNorm(module)) / (gain * Math.sqrt(module.out));
      expect(share, `${module.module}`).toBeGreaterThan(0.2 * 0.75);
      expect(share, `${module.module}`).toBeLessThan(0.2 * 1.25);
    }
    if (kind === 'lora') expect(new Set(adapter.modules.map(({ scale }) => scale))).toEqual(new Set([1]));
    await adapter.close();
  });

  it('is the same for a seed, and another for another', async () => {
    const make = async (name: string, seed: number) =>
      (await makeAdapter(optionsFor({ kind, format, seed, out: join(folder, name, 'a') }))).path;
    const [first, again, other] = [await make('x', 7), await make('y', 7), await make('z', 8)];
    expect(bytesIn(again)).toEqual(bytesIn(first));
    expect(bytesIn(other)).not.toEqual(bytesIn(first));
  });
});

describe('the base it is made for', () => {
  it("is measured by its files: DoRA's magnitudes lie within five percent of the rows' norms", async () => {
    const { geometry } = await findModel(TINY_LLAMA);
    const made = await makeAdapter(optionsFor({ geometry, folder: TINY_LLAMA, kind: 'dora', rank: 4 }));
    const adapter = await readAdapter(made.path, geometry);
    const base = await openShardedSafetensors(TINY_LLAMA);
    for (const module of adapter.modules) {
      const weight = await base.tensors
        .get(`model.layers.${module.layer}.${HUGGING_FACE_NAMES[module.module]}.weight`)!
        .read();
      const { magnitude } = await module.read();
      const ratios = Array.from(
        magnitude!,
        (value, row) => value / Math.hypot(...weight.subarray(row * module.in, (row + 1) * module.in)),
      );
      expect(Math.min(...ratios)).toBeGreaterThan(0.949);
      expect(Math.max(...ratios)).toBeLessThan(1.051);
      expect(new Set(ratios.map((ratio) => ratio.toFixed(4))).size).toBeGreaterThan(ratios.length / 2);
      const share = (await changeNorm(module)) / Math.hypot(...weight);
      expect(Math.abs(share / DEFAULT_SCALE - 1)).toBeLessThan(0.3);
    }
    await Promise.all([adapter.close(), base.close()]);
  });

  it('must have the shapes that its configuration says', async () => {
    const { geometry } = await findModel(TINY_LLAMA);
    const wider = { ...geometry, intermediate: geometry.intermediate * 2 };
    const options = optionsFor({ geometry: wider, folder: TINY_LLAMA, kind: 'dora' });
    await expect(makeAdapter(options)).rejects.toThrow(/gate_proj\.weight": expected \[192, 64\], found \[96, 64\]/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('with random weights has rows of the norm that these are made with', async () => {
    const norms = await openBaseNorms(GEOMETRY, null);
    for (const group of GROUPS) {
      for (const slice of groupShapes(GEOMETRY)[group].slices) {
        const module = MODULES[slice.tensor - 1]!;
        expect(await norms.typical(0, module), module).toBe(slice.gain);
      }
    }
  });
});

describe('modules', () => {
  it('are those asked for', async () => {
    const { path } = await makeAdapter(optionsFor({ modules: ['q', 'v'] }));
    const adapter = await readAdapter(path, GEOMETRY);
    expect(new Set(adapter.modules.map(({ module }) => module))).toEqual(new Set(['q', 'v']));
    await adapter.close();
  });

  it('of NeMo go together as Megatron computes them', () => {
    const faults = (changes: Partial<MakeOptions>) => makeProblems(optionsFor({ format: 'nemo', ...changes }));
    expect(faults({ modules: ['q', 'k', 'v', 'down'] })).toEqual([]);
    expect(faults({ modules: ['q', 'v'] })).toEqual([
      'NeMo adapters take these modules together: q,k,v | o | gate,up | down; found q,v',
    ]);
    expect(faults({ kind: 'dora' })).toEqual(['NeMo 1.x archives hold LoRA only, not dora; expected --format peft']);
  });
});

describe('what cannot be made', () => {
  it('is refused before anything is written', async () => {
    await expect(makeAdapter(optionsFor({ rank: 0 }))).rejects.toThrow(/rank: expected 1 to 9999, found 0/);
    await expect(makeAdapter(optionsFor({ modules: [] }))).rejects.toThrow(FileError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves what is in its place as it is', async () => {
    const { path } = await makeAdapter(optionsFor());
    const before = bytesIn(path);
    await expect(makeAdapter(optionsFor({ seed: 2 }))).rejects.toThrow(/is there already; nothing is ever overwritten/);
    expect(bytesIn(path)).toEqual(before);
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('leaves nothing half made', async () => {
    const fails = { rows: () => Promise.reject(new Error('gone')), typical: async () => 1, close: async () => {} };
    await expect(makeAdapter(optionsFor({ kind: 'dora', norms: fails }))).rejects.toThrow('gone');
    expect(existsSync(join(folder, 'a'))).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });
});

it("PEFT's configuration is as PEFT writes it, with alpha / r of 1 for every reader", async () => {
  const { path } = await makeAdapter(optionsFor({ kind: 'dora', rank: 16, modules: ['q', 'down'] }));
  const config = JSON.parse(readFileSync(join(path, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
  expect(config).toMatchObject({
    peft_type: 'LORA',
    r: 16,
    lora_alpha: 16,
    use_dora: true,
    use_rslora: false,
    bias: 'none',
    target_modules: ['q_proj', 'down_proj'],
    base_model_name_or_path: 'llama-3.2-1b@1/8',
  });
  const golden = join(TINY_LLAMA, '../adapters/dora/adapter_config.json');
  const real = JSON.parse(readFileSync(golden, 'utf8')) as Record<string, unknown>;
  for (const key of Object.keys(config)) expect(real, key).toHaveProperty(key);
});
