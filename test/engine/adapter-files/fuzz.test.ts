/** Mutated adapters end in a FileError or in the values that were written, never in another error or a hang. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AdapterFile, ModuleWeights } from '../../../engine/adapter-files/adapter.ts';
import { inspectAdapter } from '../../../engine/adapter-files/inspect.ts';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { moduleKey, PREFIX, pairs, SMALL, tensor, WIDTHS, writeAdapter } from './write-adapter.ts';

const COMMON = { base_model_name_or_path: 'some/llama', r: 2, target_modules: ['q_proj'], layers_to_transform: [0, 2] };
const LORA = {
  ...COMMON,
  peft_type: 'LORA',
  lora_alpha: 4,
  rank_pattern: {},
  alpha_pattern: {},
  use_rslora: false,
  bias: 'none',
};
const key = (layer: number, ending: string) => `${PREFIX}${moduleKey(layer, 'q')}.${ending}`;
const vector = (layer: number, ending: string, size: number) => tensor(key(layer, ending), [size]);

const ADAPTERS: [string, object, TensorToWrite[]][] = [
  ['LoRA', LORA, pairs(['q'], 2, [0, 2])],
  [
    'DoRA',
    { ...LORA, use_dora: true },
    [...pairs(['q'], 2, [0, 2]), ...[0, 2].map((layer) => vector(layer, 'lora_magnitude_vector', WIDTHS.q.out))],
  ],
  [
    'VeRA',
    { ...COMMON, peft_type: 'VERA', save_projection: true },
    [
      tensor('base_model.vera_A', [2, WIDTHS.q.in]),
      tensor('base_model.vera_B', [WIDTHS.q.out, 2]),
      ...[0, 2].flatMap((l) => [vector(l, 'vera_lambda_b', WIDTHS.q.out), vector(l, 'vera_lambda_d', 2)]),
    ],
  ],
  [
    'Tied-LoRA',
    { ...COMMON, peft_type: 'TIED_LORA', lora_alpha: 4, num_layers: 3 },
    [
      tensor('tied.q_proj.A', [2, WIDTHS.q.in]),
      tensor('tied.q_proj.B', [WIDTHS.q.out, 2]),
      tensor('layers.2.q_proj.u', [2]),
    ],
  ],
];

type Read = { kind: string; scales: number[]; weights: ModuleWeights[] };

/** Everything the adapter says, or null when it is refused. */
async function outcome(folder: string): Promise<Read | null> {
  let file: AdapterFile | undefined;
  try {
    file = await readAdapter(folder, SMALL);
    const weights: ModuleWeights[] = [];
    for (const module of file.modules) weights.push(await module.read());
    return { kind: file.kind, scales: file.modules.map(({ scale }) => scale), weights };
  } catch (error) {
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).problems.length).toBeGreaterThan(0);
    return null;
  } finally {
    await file?.close();
  }
}

/** Which layers Tied-LoRA changes is in its config alone, so that there a changed config may leave some out or add some. */
function expectSameValues(read: Read, written: Read): void {
  if (read.kind !== 'tied') expect(read.weights).toEqual(written.weights);
  const folded = read.weights.filter(({ a }) => written.weights.every((other) => !sameArray(a, other.a)));
  expect(folded).toEqual([]);
}
const sameArray = (x: Float32Array, y: Float32Array): boolean => x.length === y.length && x.every((v, i) => v === y[i]);

/** Any JSON, and more often what the fields might hold. */
const anything = fc.oneof(
  fc.constantFrom(
    null,
    true,
    false,
    0,
    1,
    2,
    -1,
    1.5,
    '',
    'none',
    'all-linear',
    'DORA',
    [],
    {},
    ['q_proj'],
    '.*q_proj',
    '(a+)+$',
    [0],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const field = fc.constantFrom(
  ...Object.keys(LORA),
  'use_dora',
  'lora_bias',
  'exclude_modules',
  'layers_pattern',
  'save_projection',
  'modules_to_save',
  'init_lora_weights',
  '__proto__',
);

it.each(ADAPTERS)('a %s adapter with fields of its config changed', async (_, config, tensors) => {
  const folder = await writeAdapter(config, tensors);
  const path = join(folder, 'adapter_config.json');
  const written = await outcome(folder);
  expect(written).not.toBeNull();
  let accepted = 0;
  // Mostly the fields it has, as any other is refused in Tied-LoRA's form.
  const own = { weight: 5, arbitrary: fc.constantFrom(...Object.keys(config)) };
  const change = fc.tuple(fc.oneof(own, field), anything);
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      await writeFile(path, JSON.stringify(Object.fromEntries([...Object.entries(config), ...changes])));
      const read = await outcome(folder);
      // What is accepted has the same values: only the scale may follow the config, and Tied-LoRA's layers.
      if (read) expectSameValues(read, written!);
      if (read) accepted++;
      const report = await inspectAdapter(folder, SMALL);
      expect(report.problems.length === 0).toBe(read !== null);
    }),
    // The example is one that all of them take: chance alone leaves all refused in some runs.
    { numRuns: 120, examples: [[[['base_model_name_or_path', null]]]] },
  );
  expect(accepted).toBeGreaterThan(0);
});

it.each(ADAPTERS)('a %s adapter with characters of its config changed', async (_, config, tensors) => {
  const folder = await writeAdapter(config, tensors);
  const path = join(folder, 'adapter_config.json');
  const text = await readFile(path);
  const written = await outcome(folder);
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.nat(255), async (at, byte) => {
      const mutated = Uint8Array.from(text);
      mutated[at] = byte;
      await writeFile(path, mutated);
      const read = await outcome(folder);
      if (read) expectSameValues(read, written!);
    }),
    { numRuns: 120 },
  );
});

it.each(ADAPTERS)('a %s adapter with bytes of its weights changed, cut off or added', async (_, config, tensors) => {
  const folder = await writeAdapter(config, tensors);
  const path = join(folder, 'adapter_model.safetensors');
  const bytes = await readFile(path);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const written = await outcome(folder);
  const flip = fc.record({ at: fc.nat(headerEnd - 1), byte: fc.nat(255), length: fc.constant(bytes.length) });
  const cut = fc.record({ at: fc.constant(-1), byte: fc.constant(0), length: fc.nat(bytes.length + 20) });
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: flip }, cut), async ({ at, byte, length }) => {
      const mutated = new Uint8Array(length);
      mutated.set(bytes.subarray(0, length));
      if (at >= 0) mutated[at] = byte;
      const same = Buffer.compare(mutated, bytes) === 0;
      await writeFile(path, mutated);
      const read = await outcome(folder);
      if (same) expect(read).toEqual(written);
      // A name or range may be changed into another good one; the shapes must still be those of the base.
      const sizes = (all: Read | null) => all?.weights.map(({ a, b }) => [a.length, b.length]);
      if (read) expect(sizes(read)).toEqual(sizes(written));
    }),
    { numRuns: 150 },
  );
});
