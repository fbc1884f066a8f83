/**
 * What the engine will take on the device, before it takes it: weights, adapter pools, KV cache and scratch. The KV cache
 * gets what is left, down to a floor of one sequence of full length; less than that is "too big", with the arithmetic.
 */
import type { EngineConfig } from '../config.ts';
import { EngineError } from '../errors.ts';
import { pieceBytes } from '../kernels/attention-split.ts';
import { pagesFor } from '../lora/slots.ts';
import { type Geometry, PRESETS, standInDivisors } from '../models/geometry.ts';
import { stepCapacity } from '../scheduler/step-data.ts';
import { loraLayout } from './dimensions.ts';
import { kvTokenBytes } from './step-work.ts';
import { weightLayouts } from './weight-layouts.ts';
import { type Norms, weightSizes } from './weights.ts';

export const KV_BLOCK = 16;

export interface Sizes {
  maxModelLen: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  kvBlocks: number;
  /** Words of the step's data. */
  stepWords: number;
  partialBytes: number;
}

export interface MemoryPlan extends Sizes {
  weightBytes: number;
  loraBytes: number;
  kvBytes: number;
  scratchBytes: number;
  lines: string[];
}

/** KV memory a software device, which takes it from the machine's own, is given unasked. A GPU is asked for all that is wanted. */
const KV_UNASKED_SOFTWARE = 256 * 2 ** 20;

/** Rows are workgroups of a dispatch's x or y, of which WebGPU allows so many. */
const MOST_ROWS = 65_535;

export interface DeviceLimits {
  software: boolean;
  maxBufferSize: number;
  maxStorageBufferBindingSize: number;
}

export interface PlanOptions {
  /** Whether the model's norms are its own (weights.ts). Default shared. */
  norms?: Norms;
  /** 1 for the first try; halved by the caller when the device said no. */
  shrinkKv?: number;
  /** What kernels that split a product's depth leave for others to sum; 0 where none does. */
  partialBytes?: number;
}

/**
 * @throws EngineError too_big with what is needed, what there is and what would fit; usage when settings cannot go together
 */
export function planMemory(
  g: Geometry,
  config: EngineConfig,
  limits: DeviceLimits,
  { norms = 'shared', shrinkKv = 1, partialBytes = 0 }: PlanOptions = {},
): MemoryPlan {
  const { software } = limits;
  const maxModelLen = Math.min(config.maxModelLen ?? Math.min(g.maxPosition, software ? 2048 : 8192), g.maxPosition);
  const { maxNumSeqs, maxNumBatchedTokens } = batchLimits(config, software);

  const weights = weightSizes(g, weightLayouts(g, config.weights, software), norms);
  const weightBytes = weights.total;
  const { maxGpuLoras, maxLoraRank, merge } = config;
  const lora = loraLayout(g, pagesFor(maxGpuLoras, maxLoraRank), maxLoraRank, maxGpuLoras);
  const loraBytes = g.layers * 4 * (lora.aWords + lora.bWords);
  const scratch = scratchSizes(g, maxNumBatchedTokens, maxNumSeqs, lora.groups.qkv.ranks, maxModelLen, partialBytes);
  const scratchBytes = sum(Object.values(scratch));

  const tokenBytes = kvTokenBytes(g);
  const blockBytes = tokenBytes * KV_BLOCK;
  const floor = Math.ceil(maxModelLen / KV_BLOCK);
  const most = maxNumSeqs * floor;
  const left = config.gpuMemory === null ? null : config.gpuMemory - weightBytes - loraBytes - scratchBytes;
  const kvPerLayerCap = Math.floor(limits.maxStorageBufferBindingSize / (blockBytes / g.layers / 2));
  const wanted = Math.min(
    most,
    kvPerLayerCap,
    Math.floor((left ?? (software ? KV_UNASKED_SOFTWARE : Number.POSITIVE_INFINITY)) / blockBytes),
  );
  const kvBlocks = Math.max(left === null ? floor : 0, Math.floor(wanted * shrinkKv));
  const kvBytes = kvBlocks * blockBytes;
  const stepWords = stepCapacity({
    rows: maxNumBatchedTokens,
    sequences: maxNumSeqs,
    blocks: Math.min(maxNumSeqs * floor, kvBlocks),
    pages: lora.pages,
  });
  const total = weightBytes + loraBytes + kvBytes + scratchBytes;
  const columnBytes = 4 * g.layers * maxGpuLoras * lora.columnWords;
  const adapters =
    maxGpuLoras > 0
      ? `${maxGpuLoras} slots up to rank ${maxLoraRank}, ${mib(columnBytes).trim()} of it for DoRA's columns and biases`
      : `no slots${merge ? `; ${merge.name} is folded into the weights` : ''}`;
  const lines = [
    `weights    ${mib(weightBytes)}  ${g.layers} layers of ${mib(weights.layer).trim()}, ${tables(g, weights)}${config.weights === 'f16' ? '' : `; ${config.weights}, and f16 embeddings`}`,
    `adapters   ${mib(loraBytes)}  ${adapters}`,
    `kv cache   ${mib(kvBytes)}  ${kvBlocks} blocks of ${KV_BLOCK} tokens, ${tokenBytes} bytes a token: ${Math.min(maxNumSeqs, Math.floor(kvBlocks / floor))} of ${maxNumSeqs} sequences at full length`,
    `scratch    ${mib(scratchBytes)}  steps of ${maxNumBatchedTokens} rows, ${maxNumSeqs} sequences`,
    `total      ${mib(total)}  of ${config.gpuMemory === null ? 'unknown device memory (--gpu-memory says how much)' : mib(config.gpuMemory).trim()}`,
  ];
  const tooBig = (why: string) =>
    new EngineError('too_big', `${g.name} does not fit the device: ${why}\n  ${lines.join('\n  ')}`, {
      hint: smaller(g),
    });
  const buffers: Record<string, number> = {
    'embedding table': weights.embedding,
    head: weights.head,
    'largest matrix': Math.max(...Object.values(weights.groups)),
    'adapter pool of a layer': 4 * Math.max(lora.aWords, lora.bWords),
    'key cache of a layer': kvBytes / g.layers / 2,
    ...Object.fromEntries(Object.entries(scratch).map(([name, bytes]) => [`buffer "${name}"`, bytes])),
  };
  const cap = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const over = Object.entries(buffers).find(([, bytes]) => bytes > cap);
  if (over) {
    const [name, bytes] = over;
    throw tooBig(`its ${name} takes ${mib(bytes).trim()}, a buffer of this device at most ${mib(cap).trim()}`);
  }
  if (kvBlocks < floor) {
    throw tooBig(
      `the KV cache needs at least ${floor} blocks (one sequence of ${maxModelLen} tokens, ${mib(floor * blockBytes).trim()}) and gets ${kvBlocks}`,
    );
  }
  return {
    maxModelLen,
    maxNumSeqs,
    maxNumBatchedTokens,
    kvBlocks,
    stepWords,
    partialBytes,
    weightBytes,
    loraBytes,
    kvBytes,
    scratchBytes,
    lines,
  };
}

/** @throws EngineError usage when the two cannot go together, or no dispatch could hold the rows */
function batchLimits(config: EngineConfig, software: boolean): { maxNumSeqs: number; maxNumBatchedTokens: number } {
  const asked = config.maxNumBatchedTokens;
  const maxNumSeqs = config.maxNumSeqs ?? Math.min(software ? 32 : 256, asked ?? Number.POSITIVE_INFINITY);
  const maxNumBatchedTokens = asked ?? Math.max(maxNumSeqs, software ? 256 : 2048);
  if (maxNumBatchedTokens < maxNumSeqs) {
    throw new EngineError(
      'usage',
      `--max-num-batched-tokens ${maxNumBatchedTokens} is below --max-num-seqs ${maxNumSeqs}: each running sequence needs a row`,
      { hint: `accepted: at least ${maxNumSeqs} rows, or fewer sequences` },
    );
  }
  if (maxNumBatchedTokens > MOST_ROWS) {
    throw new EngineError('usage', `steps of ${maxNumBatchedTokens} rows are more than a dispatch can hold`, {
      hint: `accepted: --max-num-batched-tokens and --max-num-seqs up to ${MOST_ROWS}`,
    });
  }
  return { maxNumSeqs, maxNumBatchedTokens };
}

/** Bytes of each activation buffer. */
export function scratchSizes(
  g: Geometry,
  rows: number,
  sequences: number,
  ranks: number,
  positions: number,
  partials: number,
) {
  const q = g.heads * g.headDim;
  const kv = g.kvHeads * g.headDim;
  return {
    partials,
    x0: 4 * rows * g.hidden,
    x1: 4 * rows * g.hidden,
    normed: 4 * rows * g.hidden,
    qkv: 4 * rows * (q + 2 * kv),
    q: 4 * rows * q,
    attended: 4 * rows * q,
    activated: 4 * rows * g.intermediate,
    shrunk: 4 * rows * 3 * ranks,
    last: 4 * sequences * g.hidden,
    logits: 4 * sequences * g.vocab,
    angles: 4 * positions * g.headDim,
    attentionPieces: pieceBytes(g),
  };
}

function tables(g: Geometry, { embedding, head }: { embedding: number; head: number }): string {
  if (g.tied) return `one table of ${mib(embedding).trim()}`;
  if (head === embedding) return `embedding and head of ${mib(head).trim()}`;
  return `embedding of ${mib(embedding).trim()}, head of ${mib(head).trim()}`;
}

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1).padStart(9)} MiB`;

function smaller(g: Geometry): string {
  const standIns = Object.hasOwn(PRESETS, g.name) ? standInDivisors(g).map((n) => `${g.name}@1/${n}`) : [];
  const also = 'a shorter --max-model-len, fewer --max-gpu-loras or --max-num-seqs, or a lower --max-lora-rank';
  return standIns.length > 0 ? `a stand-in (${standIns.join(', ')}), ${also}` : also;
}
