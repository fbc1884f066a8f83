/** test/golden/peft-adapters.json, typed: what transformers and peft say of the small Llama and its adapters beside it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AdapterFormat, AdapterKind } from '../../engine/adapter-files/adapter.ts';

/** How far rounding to f16 alone moves the logits; measured by the script, adapter by adapter. */
export interface Rounding {
  max: number;
  rms: number;
}

export interface GoldenAdapter {
  name: string;
  kind: AdapterKind;
  format: AdapterFormat;
  rank: number;
  /** "layer.module": rank, scale, and the Frobenius norm of scale * B * A. */
  modules: Record<string, [rank: number, scale: number, norm: number]>;
  /** Median of how far the adapter moves a logit. */
  medianChange: number;
  /** With A, B, DoRA's g - 1 and bias, keys and values in f16. */
  rounding: Rounding;
  /** The same, folded into weights of f16; null where peft cannot merge it. */
  merged: Rounding | null;
  /** [positions of all prompts][vocab] */
  logits: Float32Array[];
}

export interface Golden {
  prompts: number[][];
  base: { rounding: Rounding; logits: Float32Array[] };
  adapters: GoldenAdapter[];
}

const here = (name: string): string => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
export const TINY_LLAMA = here('tiny-llama');
export const TINY_LLAMA_SHARDED = here('tiny-llama-sharded');
export const adapterFolder = (name: string): string => here(`adapters/${name}`);

type Packed<T> = Omit<T, 'logits'> & { logits: string };

export function readGolden(): Golden {
  const file = JSON.parse(readFileSync(here('peft-adapters.json'), 'utf8')) as {
    prompts: number[][];
    base: Packed<Golden['base']>;
    adapters: Packed<GoldenAdapter>[];
  };
  const { vocab_size: vocab } = JSON.parse(readFileSync(here('tiny-llama/config.json'), 'utf8')) as {
    vocab_size: number;
  };
  const unpack = (text: string): Float32Array[] => {
    const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
    return Array.from(
      { length: bytes.length / 4 / vocab },
      (_, row) => new Float32Array(bytes.buffer, 4 * row * vocab, vocab),
    );
  };
  return {
    prompts: file.prompts,
    base: { ...file.base, logits: unpack(file.base.logits) },
    adapters: file.adapters.map((adapter) => ({ ...adapter, logits: unpack(adapter.logits) })),
  };
}
