/**
 * The tensors of a made NeMo 1.x adapter, fused as Megatron computes: one A for q, k and v, with the rows of B group by
 * group, and one for gate and up, whose halves of B follow each other. In: as make-tensors.ts. Out: tensors to write.
 *
 * Source of names and order: NeMo's parallel_adapters.py and scripts/checkpoint_converters/lora_converters.
 */
import { MODULES, type ModuleName, moduleWidths } from '../models/projections.ts';
import type { TensorToWrite } from '../tensor-files/tensor-to-write.ts';
import { NEMO_TARGETS, type NemoTarget } from './make-config.ts';
import { aOf, bOf, type TensorOptions, tensor } from './make-tensors.ts';

const PLACES: Readonly<Record<NemoTarget, string>> = {
  attention_qkv: 'self_attention.adapter_layer.lora_kqv_adapter',
  attention_dense: 'self_attention.adapter_layer.lora_dense_attention_adapter',
  mlp_fc1: 'mlp.adapter_layer.lora_hto4h_adapter',
  mlp_fc2: 'mlp.adapter_layer.lora_4htoh_adapter',
};

export function nemoTensors(options: TensorOptions, targets: readonly NemoTarget[]): TensorToWrite[] {
  const { geometry, rank } = options;
  const widths = moduleWidths(geometry);
  return Array.from({ length: geometry.layers }, (_, layer) =>
    targets.flatMap((target) => {
      const modules: readonly ModuleName[] = NEMO_TARGETS[target];
      const [first] = modules as readonly [ModuleName];
      const out = modules.reduce((sum, module) => sum + widths[module].out, 0);
      const prefix = `model.decoder.layers.${layer}.${PLACES[target]}`;
      return [
        tensor(`${prefix}.linear_in.weight`, [rank, widths[first].in], () => aOf(options, layer, first)),
        tensor(`${prefix}.linear_out.weight`, [out, rank], () => fusedB(options, layer, target)),
      ];
    }),
  ).flat();
}

/** [sum of the modules' out, rank] */
async function fusedB(options: TensorOptions, layer: number, target: NemoTarget): Promise<Float32Array> {
  const modules: readonly ModuleName[] = NEMO_TARGETS[target];
  const parts = await Promise.all(modules.map((module) => bOf(options, layer, module)));
  const fused = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  // q, k and v lie together for each group of query heads; a target of one module, or gate and up, has one group.
  const groups = target === 'attention_qkv' ? options.geometry.kvHeads : 1;
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (const part of parts) {
      const rows = part.length / groups;
      fused.set(part.subarray(group * rows, (group + 1) * rows), at);
      at += rows;
    }
  }
  return fused;
}

/** What NeMo files may hold when nobody says: servers that read them all know these, and some no others. */
export const NEMO_DEFAULT_MODULES: readonly ModuleName[] = MODULES.filter((module) =>
  (NEMO_TARGETS.attention_qkv as readonly ModuleName[]).includes(module),
);
