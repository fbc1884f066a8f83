/**
 * The command lines with which servers load adapters from a folder of folders. In: what was made, and for which base.
 * Out: lines of text, to be copied; only servers that know the kind and the format are named.
 *
 * Sources: the documentation of vLLM (LoRA adapters), SGLang (LoRA serving) and NVIDIA NIM (parameter-efficient fine-tuning).
 */
import type { AdapterKind } from '../../engine/adapter-files/adapter.ts';
import type { MakeFormat } from '../../engine/adapter-files/make-adapter.ts';
import { publishedName } from '../../engine/adapter-files/make-config.ts';
import type { Geometry } from '../../engine/models/geometry.ts';

export interface LoadCommandOptions {
  geometry: Geometry;
  /** The base's folder; null for a preset. */
  baseFolder: string | null;
  kind: AdapterKind;
  format: MakeFormat;
  rank: number;
  names: readonly string[];
  /** Where the adapters are, as an absolute path. */
  folder: string;
}

/** vLLM takes no other values of --max-lora-rank. */
const VLLM_RANKS = [8, 16, 32, 64, 128, 256, 320, 512];

export function loadCommands(options: LoadCommandOptions): string[] {
  const { geometry, baseFolder, kind, format } = options;
  const model = baseFolder ?? publishedName(geometry);
  const lines = benchLines(options);
  // A stand-in is a model that only the engine has.
  if (model === null) return lines;
  if (kind !== 'lora') return [...lines, `  (vLLM, SGLang and NIM do not load ${kind})`];
  if (format === 'peft') lines.push(...vllmLines(options, model), ...sglangLines(options, model));
  return [...lines, ...nimLines(options)];
}

function benchLines({ geometry, baseFolder, rank, names, folder }: LoadCommandOptions): string[] {
  const model = quoted(baseFolder ?? geometry.name);
  return [
    `  bench   bench serve --model ${model} --peft-source ${quoted(folder)} ` +
      `--max-gpu-loras ${names.length} --max-cpu-loras ${names.length} --max-lora-rank ${rank}`,
  ];
}

function vllmLines({ rank, names, folder }: LoadCommandOptions, model: string): string[] {
  const most = VLLM_RANKS.find((one) => one >= rank);
  if (most === undefined) return [`  (vLLM loads ranks up to ${VLLM_RANKS.at(-1)})`];
  const modules = names.map((name) => quoted(`${name}=${folder}/${name}`)).join(' ');
  return [
    `  vLLM    vllm serve ${quoted(model)} --enable-lora --max-loras ${names.length} --max-lora-rank ${most} ` +
      `--lora-modules ${modules}`,
  ];
}

/** The base model takes one of SGLang's slots. */
function sglangLines({ names, folder }: LoadCommandOptions, model: string): string[] {
  const paths = names.map((name) => quoted(`${name}=${folder}/${name}`)).join(' ');
  return [
    `  SGLang  python3 -m sglang.launch_server --model-path ${quoted(model)} --enable-lora ` +
      `--max-loras-per-batch ${names.length + 1} --lora-paths ${paths}`,
  ];
}

function nimLines({ rank, names, folder }: LoadCommandOptions): string[] {
  const count = names.length;
  return [
    `  NIM     docker run -v ${quoted(`${folder}:/loras`)} -e NIM_PEFT_SOURCE=/loras ` +
      `-e NIM_MAX_GPU_LORAS=${count} -e NIM_MAX_CPU_LORAS=${count} -e NIM_MAX_LORA_RANK=${rank} ..`,
  ];
}

/** As a POSIX shell takes it for one word. */
const quoted = (text: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
