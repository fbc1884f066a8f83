/**
 * The tensors of made adapters, by kind and format. In: geometry, rank, modules, strength, seed, and how large the base's
 * projections are. Out: names, shapes, and a way to get the values of each when its turn to be written comes, so that an
 * adapter of a 70B model never lies in memory.
 *
 * A has variance 1 / in, so that A x is as large as x; what follows (B; VeRA's and Tied-LoRA's vectors) is sized so that
 * ‖ΔW‖ is `share` of ‖W‖ for each projection: the LoRA term is then that share of what it is added to, in every model.
 */
import { OUTSIDE_LAYERS } from '../lora/random-f16.ts';
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES, type ModuleName, moduleWidths } from '../models/projections.ts';
import type { TensorToWrite } from '../tensor-files/tensor-to-write.ts';
import type { AdapterKind } from './adapter.ts';
import type { BaseNorms } from './make-base-norms.ts';
import { type Part, randomValues, scatteredValues, streamKey } from './make-random.ts';

export interface TensorOptions {
  geometry: Geometry;
  kind: AdapterKind;
  rank: number;
  modules: readonly ModuleName[];
  /** ‖ΔW‖ / ‖W‖ of every projection. */
  share: number;
  seed: number;
  norms: BaseNorms;
}

/** DoRA's magnitudes differ from the base's row norms by up to so much, as training leaves them. */
const MAGNITUDE_SPREAD = 0.05;
/** Entries of the vectors that scale ranks and outputs are 1 ± this; the mean of their squares is then 1 + this² / 3. */
const VECTOR_SPREAD = 0.5;
const VECTOR_RMS = Math.sqrt(1 + VECTOR_SPREAD ** 2 / 3);

export const rootOfRank = (rank: number): number => 1 / Math.sqrt(rank);

/** Every tensor of a PEFT folder, or of our own form for Tied-LoRA. */
export function adapterTensors(options: TensorOptions): TensorToWrite[] {
  const { kind } = options;
  return kind === 'vera' ? veraTensors(options) : kind === 'tied' ? tiedTensors(options) : loraTensors(options);
}

/** As PEFT names the modules of a wrapped Llama. */
const peftPrefix = (layer: number, module: ModuleName): string =>
  `base_model.model.model.layers.${layer}.${HUGGING_FACE_NAMES[module]}`;

const keyOf = ({ seed }: TensorOptions, layer: number, module: ModuleName, part: Part): number =>
  streamKey(seed, layer, MODULES.indexOf(module), part);

/** The modules of every layer, in the order of the file. */
const everywhere = ({ geometry, modules }: TensorOptions): { layer: number; module: ModuleName }[] =>
  Array.from({ length: geometry.layers }, (_, layer) => modules.map((module) => ({ layer, module }))).flat();

/** [rank, in] of a module: variance 1 / in. */
export function aOf(options: TensorOptions, layer: number, module: ModuleName): Float32Array {
  const width = moduleWidths(options.geometry)[module].in;
  return randomValues(options.rank * width, keyOf(options, layer, module, 'a'), 1 / Math.sqrt(width));
}

/** [out, rank] of a module: with A of that size, B A is `share` of W. */
export async function bOf(options: TensorOptions, layer: number, module: ModuleName): Promise<Float32Array> {
  const { rank, share, norms } = options;
  const rms = share * (await norms.typical(layer, module)) * rootOfRank(rank);
  return randomValues(moduleWidths(options.geometry)[module].out * rank, keyOf(options, layer, module, 'b'), rms);
}

function loraTensors(options: TensorOptions): TensorToWrite[] {
  const { geometry, kind, rank, norms } = options;
  const widths = moduleWidths(geometry);
  return everywhere(options).flatMap(({ layer, module }): TensorToWrite[] => {
    const prefix = peftPrefix(layer, module);
    const { in: inputs, out } = widths[module];
    const magnitude = async () =>
      scatteredValues(
        out,
        keyOf(options, layer, module, 'magnitude'),
        await norms.rows(layer, module),
        MAGNITUDE_SPREAD,
      );
    return [
      tensor(`${prefix}.lora_A.weight`, [rank, inputs], () => aOf(options, layer, module)),
      tensor(`${prefix}.lora_B.weight`, [out, rank], () => bOf(options, layer, module)),
      ...(kind === 'dora' ? [vector(`${prefix}.lora_magnitude_vector`, out, magnitude)] : []),
    ];
  });
}

/** One A and B for all, of the widest module's widths, of which each takes its part; two vectors for each module. */
function veraTensors(options: TensorOptions): TensorToWrite[] {
  const { geometry, modules, rank, share, seed, norms } = options;
  const widths = moduleWidths(geometry);
  const most = {
    in: Math.max(...modules.map((module) => widths[module].in)),
    out: Math.max(...modules.map((module) => widths[module].out)),
  };
  const shared = (part: Part) => streamKey(seed, OUTSIDE_LAYERS, 0, part);
  const vectors = everywhere(options).flatMap(({ layer, module }) => {
    const prefix = peftPrefix(layer, module);
    const { in: inputs, out } = widths[module];
    // A's rows are cut to the module's inputs, so that they are smaller than 1 by the root of the part that is left.
    const size = async () =>
      (share * (await norms.typical(layer, module)) * Math.sqrt(most.in / inputs)) / VECTOR_RMS ** 2;
    return [
      vector(`${prefix}.vera_lambda_b`, out, async () =>
        scatteredValues(out, keyOf(options, layer, module, 'outer'), [await size()], VECTOR_SPREAD),
      ),
      vector(`${prefix}.vera_lambda_d`, rank, () =>
        scatteredValues(rank, keyOf(options, layer, module, 'inner'), [1], VECTOR_SPREAD),
      ),
    ];
  });
  return [
    ...vectors,
    tensor('base_model.vera_A', [rank, most.in], () =>
      randomValues(rank * most.in, shared('a'), 1 / Math.sqrt(most.in)),
    ),
    tensor('base_model.vera_B', [most.out, rank], () => randomValues(most.out * rank, shared('b'), rootOfRank(rank))),
  ];
}

/** One A and B a module for all layers; two vectors for each layer (README.md in this folder). */
function tiedTensors(options: TensorOptions): TensorToWrite[] {
  const { geometry, modules, rank, share, norms } = options;
  const widths = moduleWidths(geometry);
  const projection = (module: ModuleName) => HUGGING_FACE_NAMES[module].split('.').at(-1)!;
  const tied = modules.flatMap((module) => {
    const { in: inputs, out } = widths[module];
    const key = keyOf(options, OUTSIDE_LAYERS, module, 'b');
    return [
      tensor(`tied.${projection(module)}.A`, [rank, inputs], () => aOf(options, OUTSIDE_LAYERS, module)),
      tensor(`tied.${projection(module)}.B`, [out, rank], () => randomValues(out * rank, key, rootOfRank(rank))),
    ];
  });
  const vectors = everywhere(options).flatMap(({ layer, module }) => {
    const { out } = widths[module];
    const size = async () => (share * (await norms.typical(layer, module))) / VECTOR_RMS ** 2;
    return [
      vector(`layers.${layer}.${projection(module)}.u`, rank, () =>
        scatteredValues(rank, keyOf(options, layer, module, 'inner'), [1], VECTOR_SPREAD),
      ),
      vector(`layers.${layer}.${projection(module)}.v`, out, async () =>
        scatteredValues(out, keyOf(options, layer, module, 'outer'), [await size()], VECTOR_SPREAD),
      ),
    ];
  });
  return [...tied, ...vectors];
}

/** Matrices are bf16, as the models are published: f16 and f32 hold nearly all of its values exactly. */
export const tensor = (
  name: string,
  shape: number[],
  data: () => Float32Array | Promise<Float32Array>,
): TensorToWrite => ({
  name,
  dtype: 'bf16',
  shape,
  data,
});

/** Vectors are f32: they are small, and three digits of a DoRA magnitude would be a coarse g - 1. */
const vector = (name: string, length: number, data: () => Float32Array | Promise<Float32Array>): TensorToWrite => ({
  name,
  dtype: 'f32',
  shape: [length],
  data,
});
