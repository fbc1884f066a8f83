/**
 * The engine's flags: argv and environment in, settings out. Nothing is started here.
 *
 * The names follow vLLM's where vLLM has the flag, and NIM's for adapters; NIM's environment variables are read where the
 * flag is absent, so that a NIM deployment's settings can be kept. A value that is not accepted is an EngineError "usage"
 * that says what would be.
 */
import { resolve } from 'node:path';
import yargs from 'yargs';
import type { EngineConfig } from './config.ts';
import { EngineError } from './errors.ts';
import { type InjectDelay, parseInjectDelay } from './inject-delay.ts';
import { WEIGHT_FORMATS, type WeightFormat } from './kernels/weight-format.ts';
import { findModel } from './models/find-model.ts';
import { FileError } from './tensor-files/file-error.ts';
import { type KernelChoice, VARIANTS } from './transformer/variants.ts';
import { packageVersion } from './version.ts';

/** What serve.ts needs to start; plain data, it is sent to the child process. */
export interface ServeSettings {
  config: EngineConfig;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Adapters to load before the engine says that it is ready. */
  loras: Array<NamedPath>;
  /** A folder of adapters, and how often it is looked at again: 0 is never. Null where none was named. */
  store: { folder: string; refreshSeconds: number } | null;
  /** How much later tokens are handed on than they could be; null: not at all. */
  injectDelay: InjectDelay | null;
}

export interface NamedPath {
  name: string;
  path: string;
}

export type ParsedFlags = { show: string } | { probe: null | 'device' | 'ceilings'; settings: ServeSettings };

/** NIM's variables for the flags of the same meaning. */
const NIM_VARIABLES = {
  'peft-source': 'NIM_PEFT_SOURCE',
  refresh: 'NIM_PEFT_REFRESH_INTERVAL',
  'max-gpu-loras': 'NIM_MAX_GPU_LORAS',
  'max-cpu-loras': 'NIM_MAX_CPU_LORAS',
  'max-lora-rank': 'NIM_MAX_LORA_RANK',
} as const;
type NimFlag = keyof typeof NIM_VARIABLES;

/** What may be given more than once; `_` is what stands beside the flags. */
const LISTS = ['_', 'lora', 'inject-delay'];

const DEFAULT_GPU_LORAS = 32;
const DEFAULT_LORA_RANK = 64;

/** @returns the settings, or the text to show where help or the version was asked for */
export async function parseFlags(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ParsedFlags> {
  let shown = '';
  const parser = yargs([...argv])
    .scriptName('bench serve')
    .usage("$0 [flags]\n\nServes a model and its LoRA adapters over OpenAI's API, on WebGPU.")
    .parserConfiguration({ 'camel-case-expansion': false })
    .options({
      model: {
        type: 'string',
        default: 'llama-3-8b',
        requiresArg: true,
        describe: 'preset, a stand-in such as llama-3-8b@1/8, or a Hugging Face folder',
      },
      'served-model-name': {
        type: 'string',
        requiresArg: true,
        describe: "the base model's name in requests; the preset's or the folder's own if not given",
      },
      weights: {
        type: 'string',
        default: 'f16',
        requiresArg: true,
        describe: `${WEIGHT_FORMATS.join(', ')}: format of the projections; embeddings stay f16`,
      },
      seed: { type: 'number', default: 1, requiresArg: true, describe: 'seed of the random weights' },
      host: { type: 'string', default: '127.0.0.1', requiresArg: true, describe: 'address to listen on' },
      port: { type: 'number', default: 8000, requiresArg: true, describe: 'port to listen on; 0 takes a free one' },
      device: {
        type: 'string',
        default: 'auto',
        requiresArg: true,
        choices: ['auto', 'gpu', 'lavapipe', 'llvmpipe', 'swiftshader'] as const,
        describe: 'what WebGPU runs on',
      },
      'max-model-len': { type: 'number', requiresArg: true, describe: 'tokens of prompt and output together' },
      'max-num-seqs': { type: 'number', requiresArg: true, describe: 'sequences run at once' },
      'max-num-batched-tokens': { type: 'number', requiresArg: true, describe: 'rows of a step' },
      'max-gpu-loras': {
        type: 'number',
        requiresArg: true,
        describe: `adapter slots: adapters on the device at once (default: ${DEFAULT_GPU_LORAS})`,
      },
      'max-cpu-loras': {
        type: 'number',
        requiresArg: true,
        describe: 'adapters from files kept in host memory, those on the device included (default: twice the slots)',
      },
      'max-lora-rank': {
        type: 'number',
        requiresArg: true,
        describe: `largest rank of an adapter (default: ${DEFAULT_LORA_RANK})`,
      },
      'gpu-memory': { type: 'string', requiresArg: true, describe: 'device memory the engine may take, such as 70GiB' },
      'batch-invariant': {
        type: 'boolean',
        default: false,
        describe: 'output does not depend on what else is in the batch',
      },
      lora: {
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        describe:
          'adapter to load, NAME=PATH of a PEFT folder or .nemo file, or NAME=synthetic:rank=16,seed=1; may be given again',
      },
      'peft-source': {
        type: 'string',
        requiresArg: true,
        describe:
          "folder of adapters, each in a folder that gives it its name; read when a request names one, as NIM's",
      },
      refresh: {
        type: 'number',
        requiresArg: true,
        describe:
          'seconds between looks at --peft-source for adapters that came, went or changed; 0: only at the start (default)',
      },
      'merge-lora': {
        type: 'string',
        requiresArg: true,
        describe: 'NAME=PATH of an adapter to fold into the weights; NAME is then the only model served',
      },
      kernels: {
        type: 'string',
        default: 'auto',
        requiresArg: true,
        describe: `auto (those checked on this chip), portable, fast (all it can run), or of ${VARIANTS.join(',')}`,
      },
      profile: {
        type: 'boolean',
        default: false,
        describe: 'time every kernel of every step (GET /v1/engine/profile); steps take somewhat longer',
      },
      'inject-delay': {
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        describe:
          'a test aid: tokens come later by a share of their true time or by a time, ttft=8%, itl=8%, ttft=20ms or itl=2ms; may be given for each',
      },
      validate: { type: 'boolean', default: false, describe: 'check every device call (slow; for tests)' },
      probe: { type: 'boolean', default: false, describe: 'choose the device, print one JSON line about it, and exit' },
      ceilings: {
        type: 'boolean',
        default: false,
        describe: 'as --probe, with what the device can do at most, measured (some seconds)',
      },
    })
    .version(packageVersion())
    .epilogue(
      `Environment, where the flag is absent: ${Object.entries(NIM_VARIABLES)
        .map(([flag, variable]) => `${variable} for --${flag}`)
        .join(', ')}.`,
    )
    .strict()
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(110)
    .fail((message: string | undefined, error: Error | undefined) => {
      throw error instanceof EngineError ? error : usage(message ?? error?.message ?? 'the flags cannot be read');
    });
  const flags = await parser.parseAsync([...argv], {}, (_error: unknown, _argv: unknown, output: string) => {
    shown = output;
  });
  if (shown !== '') return { show: shown };
  if (flags._.length > 0) throw usage(`unexpected argument "${flags._[0]}"`);
  const twice = Object.entries(flags).find(([name, value]) => Array.isArray(value) && !LISTS.includes(name));
  if (twice !== undefined) throw usage(`--${twice[0]} is given more than once`);
  const nim = (flag: NimFlag): string | undefined => {
    const value = environment[NIM_VARIABLES[flag]];
    return flags[flag] === undefined && value !== undefined && value !== '' ? value : undefined;
  };
  /** A number from the flag, or else from NIM's variable, with the words that name where it came from. */
  const number = (flag: Exclude<NimFlag, 'peft-source'>): { from: string; value: number | undefined } => {
    const text = nim(flag);
    if (text === undefined) return { from: `--${flag}`, value: flags[flag] };
    return { from: NIM_VARIABLES[flag], value: /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN };
  };
  const merge = flags['merge-lora'] === undefined ? null : namedPath('merge-lora', flags['merge-lora']);
  const loras = lorasOf(flags.lora);
  const source = flags['peft-source'] ?? nim('peft-source');
  const slots = number('max-gpu-loras');
  if (merge !== null) refuseBesideMerge({ ...flags, lora: loras.length > 0 || undefined });
  const maxGpuLoras = merge !== null ? 0 : wholeNumber(slots.from, slots.value ?? DEFAULT_GPU_LORAS, 0);
  const host = number('max-cpu-loras');
  const rank = number('max-lora-rank');
  return {
    probe: flags.ceilings ? 'ceilings' : flags.probe ? 'device' : null,
    settings: {
      config: {
        model: await modelOf(flags.model, flags['served-model-name'] ?? null),
        servedModelName: flags['served-model-name'] ?? null,
        weights: weightsOf(flags.weights),
        seed: wholeNumber('--seed', flags.seed, 0),
        device: flags.device as EngineConfig['device'],
        maxModelLen: optionalWholeNumber('--max-model-len', flags['max-model-len'], 2),
        maxNumSeqs: optionalWholeNumber('--max-num-seqs', flags['max-num-seqs'], 1),
        maxNumBatchedTokens: optionalWholeNumber('--max-num-batched-tokens', flags['max-num-batched-tokens'], 1),
        maxGpuLoras,
        // Were it the slots alone, an adapter that leaves the device would leave host memory with it.
        maxCpuLoras: wholeNumber(host.from, host.value ?? Math.max(1, 2 * maxGpuLoras), 1),
        maxLoraRank: wholeNumber(rank.from, rank.value ?? DEFAULT_LORA_RANK, 1),
        gpuMemory: flags['gpu-memory'] === undefined ? null : bytesOf('gpu-memory', flags['gpu-memory']),
        batchInvariant: flags['batch-invariant'],
        merge,
        kernels: kernelsOf(flags.kernels),
        profile: flags.profile,
        validate: flags.validate,
      },
      host: flags.host,
      port: wholeNumber('--port', flags.port, 0, 65535),
      loras,
      store: merge !== null ? null : storeOf(source, number('refresh')),
      injectDelay: injectDelayOf(flags['inject-delay']),
    },
  };
}

const usage = (message: string): EngineError =>
  new EngineError('usage', message, { hint: 'bench serve --help lists the flags' });

/** A folder's path is made whole: the engine's processes need not share a working folder. */
async function modelOf(name: string, servedName: string | null): Promise<string> {
  try {
    const { folder } = await findModel(name, servedName);
    return folder ?? name;
  } catch (error) {
    if (error instanceof FileError) throw usage(`--model: ${error.message}`);
    throw error;
  }
}

/** With an adapter folded into the weights there is no base left for others. */
function refuseBesideMerge(flags: Record<string, unknown>): void {
  const beside = ['lora', 'peft-source'].find((flag) => flags[flag] !== undefined);
  if (beside === undefined) return;
  throw usage(`--merge-lora leaves no base model to put adapters on; leave out --${beside}`);
}

function injectDelayOf(values: readonly string[]): InjectDelay | null {
  const parsed = parseInjectDelay(values);
  if (typeof parsed === 'string') throw usage(`--inject-delay: ${parsed}`);
  return parsed;
}

function storeOf(
  folder: string | undefined,
  { from, value }: { from: string; value: number | undefined },
): ServeSettings['store'] {
  if (folder === undefined) {
    if (value !== undefined && from === '--refresh') throw usage('--refresh is for --peft-source, which is not given');
    return null;
  }
  if (/^https?:/.test(folder)) {
    throw usage(`--peft-source: "${folder}" is a URL; expected a folder on this machine that holds the adapters`);
  }
  const refreshSeconds = value ?? 0;
  if (!(refreshSeconds >= 0 && Number.isFinite(refreshSeconds))) throw usage(`${from}: expected seconds, 0 or more`);
  return { folder: resolve(folder), refreshSeconds };
}

function weightsOf(weights: string): WeightFormat {
  const known = WEIGHT_FORMATS.find((format) => format === weights);
  if (known !== undefined) return known;
  throw usage(`--weights: "${weights}" is not supported; accepted: ${WEIGHT_FORMATS.join(', ')}`);
}

function kernelsOf(text: string): KernelChoice {
  if (text === 'auto' || text === 'fast' || text === 'portable') return text;
  const names = text.split(',').map((name) => name.trim());
  const known = VARIANTS.filter((variant) => names.includes(variant));
  const unknown = names.find((name) => !(VARIANTS as readonly string[]).includes(name));
  if (unknown === undefined) return known;
  throw usage(`--kernels: "${unknown}" is not known; accepted: auto, portable, fast, or some of ${VARIANTS.join(',')}`);
}

/** @param from the flag or variable that it came from, as errors name it */
function wholeNumber(from: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw usage(`${from}: expected a whole number ${range}`);
}

const optionalWholeNumber = (from: string, value: number | undefined, least: number): number | null =>
  value === undefined ? null : wholeNumber(from, value, least);

const UNIT_BYTES: Readonly<Record<string, number>> = {
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

function bytesOf(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]i?B)$/.exec(text.trim());
  const bytes = match ? Math.floor(Number(match[1]) * UNIT_BYTES[match[2]!]!) : 0;
  if (bytes > 0) return bytes;
  throw usage(
    `--${flag}: "${text}" is not a size; expected a number and a unit (${Object.keys(UNIT_BYTES).join(', ')}), such as 70GiB`,
  );
}

const SYNTHETIC = 'synthetic:';

function namedPath(flag: string, value: string): NamedPath {
  const at = value.indexOf('=');
  const [name, path] = [value.slice(0, Math.max(at, 0)), value.slice(at + 1)];
  if (name !== '' && path !== '') return { name, path: path.startsWith(SYNTHETIC) ? path : resolve(path) };
  throw usage(
    `--${flag}: "${value}" is not NAME=PATH, such as support=adapters/support or support=synthetic:rank=16,seed=1`,
  );
}

function lorasOf(values: readonly string[]): NamedPath[] {
  const loras = values.map((value) => namedPath('lora', value));
  const twice = loras.find(({ name }, i) => loras.findIndex((lora) => lora.name === name) < i);
  if (twice !== undefined) throw usage(`--lora: the name "${twice.name}" is given twice`);
  return loras;
}
