/**
 * A Hugging Face checkpoint of a Llama: which stored tensor is which weight. In: a file's tensors and the geometry that its
 * config.json declares. Out: every weight's tensor in its place, or all that is wrong with the set at once, found from the
 * headers alone, before anything is allocated or read. Pure.
 *
 * Names and shapes are those that transformers' LlamaForCausalLM saves (modeling_llama.py): weights are [out, in], row-major.
 */
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES, type ModuleName, moduleWidths } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted, shapeText, told } from '../tensor-files/problems.ts';
import { DTYPES, type OtherTensor, type StoredTensor, type TensorFile } from '../tensor-files/tensor.ts';

export interface CheckpointLayer {
  /** [hidden] */
  inputNorm: StoredTensor;
  postAttentionNorm: StoredTensor;
  /** [out, in] */
  projections: Record<ModuleName, StoredTensor>;
}

export interface Checkpoint {
  /** Where it was read from, for messages. */
  path: string;
  layers: CheckpointLayer[];
  /** [vocab, hidden] */
  embedding: StoredTensor;
  /** [vocab, hidden]; null when the embedding is the head. */
  head: StoredTensor | null;
  /** [hidden] */
  finalNorm: StoredTensor;
}

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
const FINAL_NORM = 'model.norm.weight';
const inputNormOf = (layer: number) => `model.layers.${layer}.input_layernorm.weight`;
const postAttentionNormOf = (layer: number) => `model.layers.${layer}.post_attention_layernorm.weight`;
const projectionOf = (layer: number, module: ModuleName) =>
  `model.layers.${layer}.${HUGGING_FACE_NAMES[module]}.weight`;

/** Rotation frequencies that older versions of transformers saved; they follow from config.json. */
const IGNORED = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/;
/** What GPTQ, AWQ, bitsandbytes, compressed-tensors and fp8 checkpoints keep beside or in place of a weight. */
const QUANTISED =
  /\.(qweight|qzeros|scales|g_idx|SCB|weight_format|weight_(packed|scale|scale_inv|shape|zero_point)|input_scale|weight\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\..+))$/;
/** Elements of the head and of the embedding compared at a time. */
const COMPARED = 2 ** 20;

/** Every tensor the model has, by name, with its shape. */
function expectedShapes(g: Geometry): Map<string, readonly number[]> {
  const widths = moduleWidths(g);
  const shapes = new Map<string, readonly number[]>([
    [EMBEDDING, [g.vocab, g.hidden]],
    [FINAL_NORM, [g.hidden]],
  ]);
  if (!g.tied) shapes.set(HEAD, [g.vocab, g.hidden]);
  for (let layer = 0; layer < g.layers; layer++) {
    shapes.set(inputNormOf(layer), [g.hidden]);
    shapes.set(postAttentionNormOf(layer), [g.hidden]);
    for (const module of MODULES) shapes.set(projectionOf(layer, module), [widths[module].out, widths[module].in]);
  }
  return shapes;
}

/** @throws FileError with every tensor that is missing, misshapen, of a type not accepted, or not known */
export function mapCheckpoint(file: TensorFile, g: Geometry): Checkpoint {
  const shapes = expectedShapes(g);
  const problems: string[] = [];
  for (const [name, shape] of shapes) {
    const found = file.tensors.get(name) ?? file.others.get(name);
    if (found) problems.push(...wrongWith(found, shape));
    else problems.push(`tensor ${quoted(name)} is missing: expected ${shapeText(shape)}`);
  }
  for (const found of [...file.tensors.values(), ...file.others.values()]) {
    if (shapes.has(found.name) || IGNORED.test(found.name)) continue;
    if (found.name === HEAD) problems.push(...wrongWith(found, [g.vocab, g.hidden]));
    else problems.push(unexpected(found.name, g));
  }
  if (problems.length > 0) throw new FileError(file.path, told(problems));

  const tensor = (name: string) => file.tensors.get(name) as StoredTensor;
  return {
    path: file.path,
    layers: Array.from({ length: g.layers }, (_, layer) => ({
      inputNorm: tensor(inputNormOf(layer)),
      postAttentionNorm: tensor(postAttentionNormOf(layer)),
      projections: Object.fromEntries(MODULES.map((module) => [module, tensor(projectionOf(layer, module))])) as Record<
        ModuleName,
        StoredTensor
      >,
    })),
    embedding: tensor(EMBEDDING),
    head: g.tied ? null : tensor(HEAD),
    finalNorm: tensor(FINAL_NORM),
  };
}

/**
 * Some tied models are saved with their head all the same. It then has to be the embedding, which is what is served.
 * @throws FileError naming the first element that differs
 */
export async function checkTiedHead(file: TensorFile, g: Geometry): Promise<void> {
  const head = file.tensors.get(HEAD);
  const embedding = file.tensors.get(EMBEDDING);
  if (!g.tied || !head || !embedding) return;
  for (let first = 0; first < head.elements; first += COMPARED) {
    const count = Math.min(COMPARED, head.elements - first);
    const [a, b] = await Promise.all([head.read(first, count), embedding.read(first, count)]);
    const at = a.findIndex((value, i) => value !== b[i]);
    if (at < 0) continue;
    const [row, column] = [Math.floor((first + at) / g.hidden), (first + at) % g.hidden];
    throw new FileError(
      file.path,
      `config.json says tie_word_embeddings, yet tensor ${quoted(HEAD)} is not ${quoted(EMBEDDING)}: at [${row}, ${column}] expected ${b[at]}, found ${a[at]}`,
    );
  }
}

function wrongWith(found: StoredTensor | OtherTensor, shape: readonly number[]): string[] {
  const problems: string[] = [];
  const tensor = `tensor ${quoted(found.name)}`;
  if (!DTYPES.some((dtype) => dtype === found.dtype)) {
    problems.push(`${tensor} has type ${found.dtype}: expected ${DTYPES.join(', ')}`);
  }
  if (found.shape.length !== shape.length || shape.some((size, i) => size !== found.shape[i])) {
    problems.push(`${tensor} has the wrong shape: expected ${shapeText(shape)}, found ${shapeText(found.shape)}`);
  }
  return problems;
}

function unexpected(name: string, g: Geometry): string {
  const tensor = `tensor ${quoted(name)}`;
  if (QUANTISED.test(name))
    return `${tensor} belongs to quantised weights: expected plain ones in ${DTYPES.join(', ')}`;
  const layer = Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1);
  if (layer >= g.layers) return `${tensor} is of a layer that config.json does not have: it says ${g.layers} layers`;
  if (name.endsWith('.bias')) return `${tensor} is a bias: a Llama served here has none`;
  return `${tensor} is no part of a Llama`;
}
