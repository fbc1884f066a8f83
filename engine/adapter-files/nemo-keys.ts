/**
 * Names of the tensors in a NeMo 1.x LoRA checkpoint, and what each part of a layer changes.
 *
 * Names: AdapterName in nemo/collections/nlp/modules/common/megatron/adapters/parallel_adapters.py; prefixes with and
 * without Megatron core ("decoder", "language_model.encoder") and O2 mixed precision ("module").
 */
import type { ModuleName } from '../models/projections.ts';
import type { NemoConfig, NemoTarget } from './nemo-config.ts';

export const PARTS = ['qkv', 'q', 'k', 'v', 'o', 'gate_up', 'gate', 'up', 'down'] as const;
export type NemoPart = (typeof PARTS)[number];

interface PartFacts {
  /** Its name in keys, after "layers.N.". */
  path: string;
  target: NemoTarget;
  /** The fused form of the nemo variant, the separate ones of the canonical, or in both. */
  variant: 'nemo' | 'canonical' | 'both';
  modules: readonly ModuleName[];
  /** linear_in is split over tensor-parallel ranks along its input, not its rank: the layer before was split so. */
  inputSplit: boolean;
}

const attention = 'self_attention.adapter_layer';
const mlp = 'mlp.adapter_layer';
const unfused = (module: ModuleName): PartFacts => {
  const inAttention = module === 'q' || module === 'k' || module === 'v';
  const folder = inAttention ? `${attention}.lora_unfused_kqv_adapter` : `${mlp}.lora_unfused_hto4h_adapter`;
  const target = inAttention ? 'attention_qkv' : 'mlp_fc1';
  return { path: `${folder}.${module}_adapter`, target, variant: 'canonical', modules: [module], inputSplit: false };
};

export const PART_FACTS: Readonly<Record<NemoPart, PartFacts>> = {
  qkv: {
    path: `${attention}.lora_kqv_adapter`,
    target: 'attention_qkv',
    variant: 'nemo',
    modules: ['q', 'k', 'v'],
    inputSplit: false,
  },
  q: unfused('q'),
  k: unfused('k'),
  v: unfused('v'),
  o: {
    path: `${attention}.lora_dense_attention_adapter`,
    target: 'attention_dense',
    variant: 'both',
    modules: ['o'],
    inputSplit: true,
  },
  gate_up: {
    path: `${mlp}.lora_hto4h_adapter`,
    target: 'mlp_fc1',
    variant: 'nemo',
    modules: ['gate', 'up'],
    inputSplit: false,
  },
  gate: unfused('gate'),
  up: unfused('up'),
  down: { path: `${mlp}.lora_4htoh_adapter`, target: 'mlp_fc2', variant: 'both', modules: ['down'], inputSplit: true },
};

const PART_OF_PATH = new Map(PARTS.map((part) => [PART_FACTS[part].path, part]));
const KEY =
  /^model\.(?:module\.)?(?:language_model\.encoder|decoder)\.layers\.(0|[1-9]\d{0,5})\.(.+)\.linear_(in|out)\.weight$/;

export interface NemoKey {
  /** Counted within its pipeline stage. */
  layer: number;
  part: NemoPart;
  half: 'in' | 'out';
}

/** Null for a name that is none of a LoRA's. */
export function parseNemoKey(name: string): NemoKey | null {
  const [, layer, path, half] = KEY.exec(name) ?? [];
  const part = PART_OF_PATH.get(path ?? '');
  return part ? { layer: Number(layer), part, half: half as 'in' | 'out' } : null;
}

/** Widths of a part: what goes in, and what comes out for all its modules. */
export function partWidths(part: NemoPart, c: NemoConfig): { in: number; out: number } {
  const q = c.heads * c.headDim;
  const kv = c.groups * c.headDim;
  switch (part) {
    case 'qkv':
      return { in: c.hidden, out: q + 2 * kv };
    case 'q':
      return { in: c.hidden, out: q };
    case 'k':
    case 'v':
      return { in: c.hidden, out: kv };
    case 'o':
      return { in: q, out: c.hidden };
    case 'gate_up':
      return { in: c.hidden, out: 2 * c.ffn };
    case 'gate':
    case 'up':
      return { in: c.hidden, out: c.ffn };
    case 'down':
      return { in: c.ffn, out: c.hidden };
  }
}

/**
 * Rows of a part's linear_out, [from, to) each, that belong to one of its modules, in the module's order; `ranks` is how
 * many tensor-parallel ranks' rows stand one after the other.
 *
 * Fused qkv keeps each group's heads together: its queries, then its key, then its value
 * (scripts/checkpoint_converters/lora_converters/convert_nemo_to_hf.py). Fused gate and up are halves of each rank's rows.
 */
export function rowsOfModule(part: NemoPart, module: ModuleName, c: NemoConfig, ranks: number): [number, number][] {
  const { out } = partWidths(part, c);
  if (part === 'qkv') {
    const perGroup = c.heads / c.groups;
    return Array.from({ length: c.groups }, (_, group) => {
      const first = (perGroup + 2) * group + (module === 'q' ? 0 : module === 'k' ? perGroup : perGroup + 1);
      return [first * c.headDim, (first + (module === 'q' ? perGroup : 1)) * c.headDim];
    });
  }
  if (part === 'gate_up') {
    const half = out / ranks / 2;
    return Array.from({ length: ranks }, (_, rank) => {
      const first = (2 * rank + (module === 'up' ? 1 : 0)) * half;
      return [first, first + half];
    });
  }
  return [[0, out]];
}
