/**
 * The engine's flags: argv in, settings out. Nothing is started here.
 *
 * The names follow vLLM's where vLLM has the flag. A value that is not accepted is an EngineError "usage" that says what
 * would be.
 */
import yargs from 'yargs';
import type { EngineConfig } from './config.ts';
import { EngineError } from './errors.ts';
import { geometryOf, isGeometry } from './models/geometry.ts';
import { packageVersion } from './version.ts';

/** What serve.ts needs to start; plain data, it is sent to the child process. */
export interface ServeSettings {
  config: EngineConfig;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Adapters to load before the engine says that it is ready. */
  loras: Array<{ name: string; path: string }>;
}

export type ParsedFlags = { show: string } | { probe: boolean; settings: ServeSettings };

/** @returns the settings, or the text to show where help or the version was asked for */
export async function parseFlags(argv: readonly string[]): Promise<ParsedFlags> {
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
        describe: 'preset, or a stand-in such as llama-3-8b@1/8',
      },
      weights: { type: 'string', default: 'f16', requiresArg: true, describe: 'f16' },
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
      'max-gpu-loras': { type: 'number', default: 32, requiresArg: true, describe: 'adapter slots' },
      'max-lora-rank': { type: 'number', default: 64, requiresArg: true, describe: 'largest rank of an adapter' },
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
        describe: 'adapter to load, NAME=synthetic:rank=16,seed=1; may be given again',
      },
      validate: { type: 'boolean', default: false, describe: 'check every device call (slow; for tests)' },
      probe: { type: 'boolean', default: false, describe: 'choose the device, print one JSON line about it, and exit' },
    })
    .version(packageVersion())
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
  const twice = Object.entries(flags).find(([name, value]) => Array.isArray(value) && name !== 'lora' && name !== '_');
  if (twice !== undefined) throw usage(`--${twice[0]} is given more than once`);
  return {
    probe: flags.probe,
    settings: {
      config: {
        model: modelOf(flags.model),
        weights: weightsOf(flags.weights),
        seed: wholeNumber('seed', flags.seed, 0),
        device: flags.device as EngineConfig['device'],
        maxModelLen: optionalWholeNumber('max-model-len', flags['max-model-len'], 2),
        maxNumSeqs: optionalWholeNumber('max-num-seqs', flags['max-num-seqs'], 1),
        maxNumBatchedTokens: optionalWholeNumber('max-num-batched-tokens', flags['max-num-batched-tokens'], 1),
        maxGpuLoras: wholeNumber('max-gpu-loras', flags['max-gpu-loras'], 0),
        maxLoraRank: wholeNumber('max-lora-rank', flags['max-lora-rank'], 1),
        gpuMemory: flags['gpu-memory'] === undefined ? null : bytesOf('gpu-memory', flags['gpu-memory']),
        batchInvariant: flags['batch-invariant'],
        validate: flags.validate,
      },
      host: flags.host,
      port: wholeNumber('port', flags.port, 0, 65535),
      loras: lorasOf(flags.lora),
    },
  };
}

const usage = (message: string): EngineError =>
  new EngineError('usage', message, { hint: 'bench serve --help lists the flags' });

function modelOf(name: string): string {
  const geometry = geometryOf(name);
  if (isGeometry(geometry)) return name;
  throw usage(`--model: ${geometry.message}; accepted: ${geometry.accepted.join(', ')}`);
}

function weightsOf(weights: string): 'f16' {
  if (weights === 'f16') return weights;
  throw usage(`--weights: "${weights}" is not supported; accepted: f16`);
}

function wholeNumber(flag: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw usage(`--${flag}: expected a whole number ${range}`);
}

const optionalWholeNumber = (flag: string, value: number | undefined, least: number): number | null =>
  value === undefined ? null : wholeNumber(flag, value, least);

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

function lorasOf(values: readonly string[]): Array<{ name: string; path: string }> {
  const loras = values.map((value) => {
    const at = value.indexOf('=');
    const [name, path] = [value.slice(0, Math.max(at, 0)), value.slice(at + 1)];
    if (name !== '' && path !== '') return { name, path };
    throw usage(`--lora: "${value}" is not NAME=PATH, such as support=synthetic:rank=16,seed=1`);
  });
  const twice = loras.find(({ name }, i) => loras.findIndex((lora) => lora.name === name) < i);
  if (twice !== undefined) throw usage(`--lora: the name "${twice.name}" is given twice`);
  return loras;
}
