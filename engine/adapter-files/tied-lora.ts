/**
 * A folder with a Tied-LoRA adapter in our own form (README.md in this folder) -> an AdapterFile that reads as plain LoRA.
 *
 * Δy = (alpha / r) · v ⊙ (B (u ⊙ (A x))), A and B of a module tied over all layers, u and v of each layer
 * (Renduchintala et al., arXiv 2311.09578). u goes into A's rows and v into B's, so that each layer then has its own pair.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES, type ModuleName, moduleWidths } from '../models/projections.ts';
import { isFile } from '../tensor-files/byte-source.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted, told } from '../tensor-files/problems.ts';
import { openSafetensors } from '../tensor-files/safetensors.ts';
import type { StoredTensor, TensorFile } from '../tensor-files/tensor.ts';
import type { AdapterFile, AdapterModule } from './adapter.ts';
import { CONFIG_NAME, type ConfigText, SAFETENSORS_NAME } from './peft.ts';
import { shown } from './peft-config-fields.ts';
import { inLayers, shapeProblem } from './peft-problems.ts';
import { readFinite, scaleRows, shared } from './peft-values.ts';

/** "q_proj" and so on -> module. */
const BY_NAME = new Map<string, ModuleName>(MODULES.map((module) => [leafName(module), module]));
const NAMES = [...BY_NAME.keys()].join(', ');
const MOST_LAYERS = 4096;

const whole = (least: number, most: number) => z.int().min(least).max(most);
const schema = z.object({
  peft_type: z.literal('TIED_LORA'),
  base_model_name_or_path: z.string('text').nullish(),
  num_layers: whole(1, MOST_LAYERS).nullish(),
  r: whole(1, 65536),
  lora_alpha: z
    .number()
    .refine((value) => value !== 0)
    .nullish(),
  target_modules: z.array(z.string().refine((name) => BY_NAME.has(name))).min(1),
  layers_to_transform: z.array(whole(0, MOST_LAYERS - 1)).nullish(),
});
type Config = z.infer<typeof schema>;

const EXPECTED: Readonly<Record<string, string>> = {
  base_model_name_or_path: 'text',
  num_layers: `a whole number from 1 to ${MOST_LAYERS}`,
  r: 'a whole number from 1 to 65536',
  lora_alpha: 'a number other than 0',
  target_modules: `a list of ${NAMES}`,
  layers_to_transform: 'a list of layers, or null',
};

function leafName(module: ModuleName): string {
  return HUGGING_FACE_NAMES[module].split('.').at(-1)!;
}

interface Tied {
  a?: StoredTensor;
  b?: StoredTensor;
  u: Map<number, StoredTensor>;
  v: Map<number, StoredTensor>;
}

/** @throws FileError with every problem */
export async function readTiedLora(folder: string, text: ConfigText, geometry: Geometry | null): Promise<AdapterFile> {
  const config = checked(folder, text.fields);
  const path = join(folder, SAFETENSORS_NAME);
  if (!(await isFile(path)))
    throw new FileError(folder, `expected ${SAFETENSORS_NAME} beside ${CONFIG_NAME}, found none`);
  const file = await openSafetensors(path);
  try {
    const problems: string[] = [];
    const tied = sorted(file, config, problems);
    const layers = layersOf(config, tied, geometry, problems);
    for (const [module, parts] of tied) problems.push(...partProblems(module, parts, config, layers, geometry));
    if (problems.length > 0) throw new FileError(folder, told(problems));
    const { modules, forget } = modulesOf(folder, config, tied, layers);
    return {
      path: folder,
      format: 'tied-lora',
      kind: 'tied',
      base: config.base_model_name_or_path || null,
      rank: config.r,
      modules,
      bytes: file.bytes + text.bytes,
      notes: [],
      async close() {
        forget();
        await file.close();
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** An unknown key is a problem, as this form is ours: a misspelt layers_to_transform would change every layer. */
function checked(folder: string, fields: Record<string, unknown>): Config {
  const problems = Object.keys(fields)
    .filter((key) => !Object.hasOwn(schema.shape, key))
    .map((key) => `unknown key ${quoted(key)}: expected ${Object.keys(schema.shape).join(', ')}`);
  const result = schema.safeParse(fields);
  const wrong = new Set(result.success ? [] : result.error.issues.map((issue) => String(issue.path[0])));
  problems.push(...[...wrong].map((key) => `${key}: expected ${EXPECTED[key]}, found ${shown(fields[key])}`));
  if (result.success && problems.length === 0) return result.data;
  throw new FileError(folder, told(problems.map((problem) => `${CONFIG_NAME}: ${problem}`)));
}

/** The tensors by module, in the order of MODULES; those of no targeted module are problems. */
function sorted(file: TensorFile, config: Config, problems: string[]): Map<ModuleName, Tied> {
  const targets = MODULES.filter((module) => config.target_modules.includes(leafName(module)));
  const tied = new Map<ModuleName, Tied>(targets.map((module) => [module, { u: new Map(), v: new Map() }]));
  for (const tensor of file.tensors.values()) {
    const [, whole, matrix] = /^tied\.(\w+)\.([AB])$/.exec(tensor.name) ?? [];
    const [, layer, part, vector] = /^layers\.(0|[1-9]\d{0,3})\.(\w+)\.([uv])$/.exec(tensor.name) ?? [];
    const module = BY_NAME.get(whole ?? part ?? '');
    const parts = module === undefined ? undefined : tied.get(module);
    if (module === undefined) {
      problems.push(
        `tensor ${quoted(tensor.name)}: expected tied.{module}.A or B, or layers.{i}.{module}.u or v, module one of ${NAMES}`,
      );
    } else if (!parts)
      problems.push(`tensor ${quoted(tensor.name)} is there, but target_modules does not name ${leafName(module)}`);
    else if (matrix) parts[matrix === 'A' ? 'a' : 'b'] = tensor;
    else parts[vector === 'u' ? 'u' : 'v'].set(Number(layer), tensor);
  }
  for (const other of file.others.values()) {
    problems.push(`tensor ${quoted(other.name)}: expected float32, float16 or bfloat16, found ${other.dtype}`);
  }
  return tied;
}

/** The layers it changes, in order. */
function layersOf(
  config: Config,
  tied: Map<ModuleName, Tied>,
  geometry: Geometry | null,
  problems: string[],
): number[] {
  const vectors = [...tied.values()].flatMap(({ u, v }) => [...u.keys(), ...v.keys()]);
  const declared = config.num_layers ?? null;
  if (geometry && declared !== null && declared !== geometry.layers) {
    problems.push(
      `${CONFIG_NAME}: num_layers: expected ${geometry.layers}, as the base ${geometry.name} has, found ${declared}`,
    );
  }
  const count = geometry?.layers ?? declared ?? Math.max(0, ...vectors.map((layer) => layer + 1));
  if (count === 0)
    problems.push(`${CONFIG_NAME}: num_layers is not given and no layer has a vector: give the base model`);
  const some = config.layers_to_transform ?? [];
  const chosen = some.length > 0 ? some : Array.from({ length: count }, (_, layer) => layer);
  const beyond = chosen.filter((layer) => layer >= count);
  if (beyond.length > 0) {
    problems.push(`${CONFIG_NAME}: layers_to_transform: expected layers 0-${count - 1}, found ${inLayers(beyond)}`);
  }
  const strange = [...new Set(vectors)].filter((layer) => !chosen.includes(layer));
  if (strange.length > 0) problems.push(`vectors of ${inLayers(strange)} are there, which the adapter does not change`);
  return [...new Set(chosen)].sort((x, y) => x - y);
}

function partProblems(
  module: ModuleName,
  tied: Tied,
  config: Config,
  layers: number[],
  geometry: Geometry | null,
): string[] {
  const name = leafName(module);
  const { a, b } = tied;
  if (!a || !b) return (a ? ['B'] : b ? ['A'] : ['A', 'B']).map((part) => `tensor "tied.${name}.${part}" is missing`);
  const width = geometry ? moduleWidths(geometry)[module] : null;
  const why = `rank ${config.r} by ${CONFIG_NAME}${geometry ? `, the base ${geometry.name}'s widths` : ''}`;
  const problems = [
    shapeProblem(a, [config.r, width?.in ?? 'in'], why),
    shapeProblem(b, [width?.out ?? 'out', config.r], why),
  ];
  for (const layer of layers) {
    const u = tied.u.get(layer);
    const v = tied.v.get(layer);
    if (u) problems.push(shapeProblem(u, [config.r], why));
    if (v) problems.push(shapeProblem(v, [width?.out ?? b.shape[0] ?? 0], 'one a row of B'));
  }
  return problems.filter((problem) => problem !== null);
}

function modulesOf(
  folder: string,
  config: Config,
  tied: Map<ModuleName, Tied>,
  layers: number[],
): { modules: AdapterModule[]; forget(): void } {
  const rank = config.r;
  const alpha = config.lora_alpha ?? rank;
  const sources = [...tied].map(([module, { a, b, u, v }]) => ({
    module,
    u,
    v,
    in: a!.shape[1]!,
    out: b!.shape[0]!,
    down: shared(() => readFinite(folder, a!)),
    up: shared(() => readFinite(folder, b!)),
  }));
  const factors = (tensor: StoredTensor | undefined, count: number): Promise<Float32Array> | Float32Array =>
    tensor ? readFinite(folder, tensor) : new Float32Array(count).fill(1);
  const modules = layers.flatMap((layer) =>
    sources.map(
      ({ module, u, v, in: width, out, down, up }): AdapterModule => ({
        layer,
        module,
        rank,
        alpha,
        scale: alpha / rank,
        in: width,
        out,
        hasMagnitude: false,
        hasBias: false,
        async read() {
          return {
            a: scaleRows((await down.get()).slice(), await factors(u.get(layer), rank)),
            b: scaleRows((await up.get()).slice(), await factors(v.get(layer), out)),
            magnitude: null,
            bias: null,
          };
        },
      }),
    ),
  );
  const forget = (): void => {
    for (const { down, up } of sources) {
      down.forget();
      up.forget();
    }
  };
  return { modules, forget };
}
