/** The seven linear projections of a Llama layer: the modules that adapters change, with their widths. Pure. */
import type { Geometry } from './geometry.ts';

export const MODULES = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'] as const;
export type ModuleName = (typeof MODULES)[number];

/** Width in and out of each: its weight is [out, in], row-major, as in every checkpoint. */
export function moduleWidths(g: Geometry): Record<ModuleName, { in: number; out: number }> {
  const { hidden, intermediate } = g;
  const q = g.heads * g.headDim;
  const kv = g.kvHeads * g.headDim;
  return {
    q: { in: hidden, out: q },
    k: { in: hidden, out: kv },
    v: { in: hidden, out: kv },
    o: { in: q, out: hidden },
    gate: { in: hidden, out: intermediate },
    up: { in: hidden, out: intermediate },
    down: { in: intermediate, out: hidden },
  };
}

/** Where the Hugging Face names of a layer's projections stand: "self_attn.q_proj" and so on. */
export const HUGGING_FACE_NAMES: Readonly<Record<ModuleName, string>> = {
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};
