/**
 * The two tools that are compared, each run once as a user would: `bench` as built into dist/, and AIPerf's command.
 *
 * In: a server, a load, a folder of its own. Out: the run in AIPerf's form, profile_export_aiperf.json, by both; from
 * `bench` its result as well. A run that failed is an error with what the tool said.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { Result } from '../../src/result/schema.ts';
import type { PreparedAiperf } from './prepare.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));

export interface Load {
  /** Without /v1. */
  url: string;
  model: string;
  /** Hugging Face folder: both make prompts with it. Tokens are counted by the server, for both. */
  tokenizer: string;
  concurrency: number | number[];
  requests: number;
  promptTokens: number;
  outputTokens: number;
  /** Completions unless told otherwise. */
  api?: 'chat';
  /** Sent with every request by both. */
  extra?: Record<string, boolean>;
  /** A connection for each request, for servers that close theirs without saying so. */
  closing?: boolean;
}

/** A metric of an export. */
export type Block = { unit: string } & Partial<Record<string, number>>;
export type Export = Record<string, unknown>;

export interface BenchRun {
  folder: string;
  result: Result;
  exported: Export;
}

/** @param more merged over the scenario */
export async function runBench(load: Load, folder: string, more: Record<string, unknown> = {}): Promise<BenchRun> {
  const scenario = {
    name: 'compared-with-aiperf',
    models: [load.model],
    target: {
      url: `${load.url}/v1`,
      api: load.api ?? 'completions',
      tokenizer: load.tokenizer,
      ...(load.closing ? { headers: { connection: 'close' } } : {}),
    },
    prompt: { tokens: load.promptTokens },
    output: { tokens: load.outputTokens, control: 'exact' },
    load: { concurrency: load.concurrency },
    request: { extra_body: load.extra ?? {} },
    measure: { requests: load.requests },
    ...more,
  };
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'scenario.yaml');
  await writeFile(file, stringify(scenario));
  const out = join(folder, 'out');
  await finished('bench', process.execPath, [CLI, file, '--quiet', '--out', out]);
  return { folder: out, result: await json<Result>(out, 'result.json'), exported: await exportIn(out) };
}

export async function runAiperf(
  { command }: PreparedAiperf,
  load: Load,
  folder: string,
  flags: string[] = [],
): Promise<Export> {
  const extra = { ignore_eos: true, ...load.extra };
  await finished('aiperf', command, [
    'profile',
    ...['--model', load.model, '--url', load.url, '--endpoint-type', load.api ?? 'completions', '--streaming'],
    ...['--tokenizer', load.tokenizer, '--use-server-token-count'],
    ...['--isl', `${load.promptTokens}`, '--isl-stddev', '0', '--osl', `${load.outputTokens}`],
    ...Object.entries(extra).flatMap(([name, value]) => ['--extra-inputs', `${name}:${value}`]),
    ...['--concurrency', `${load.concurrency}`, '--request-count', `${load.requests}`, '--warmup-request-count', '2'],
    ...(load.api === 'chat' ? ['--use-legacy-max-tokens'] : []),
    ...(load.closing ? ['--connection-reuse-strategy', 'never'] : []),
    ...['--no-gpu-telemetry', '--no-server-metrics', '--ui', 'none', '--artifact-dir', folder],
    ...flags,
  ]);
  return exportIn(folder);
}

/** @throws Error with the last lines of what it printed */
async function finished(name: string, command: string, args: string[]): Promise<void> {
  // With either of these AIPerf takes a tokenizer's folder for a name in Hugging Face's cache.
  const { HF_HUB_OFFLINE: _, TRANSFORMERS_OFFLINE: __, ...env } = process.env;
  const options = { env: { ...env, HF_HUB_DISABLE_TELEMETRY: '1' }, maxBuffer: 2 ** 26 };
  await run(command, args, options).catch((error: { stdout?: string; stderr?: string; message: string }) => {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim().split('\n').slice(-30).join('\n');
    throw new Error(`${name} failed:\n${said || error.message}`);
  });
}

const json = async <T>(folder: string, file: string): Promise<T> =>
  JSON.parse(await readFile(join(folder, file), 'utf8')) as T;

const exportIn = (folder: string): Promise<Export> => json<Export>(folder, 'profile_export_aiperf.json');

/** A figure of an export. @throws Error where it is not there */
export function figure(exported: Export, tag: string, statistic = 'avg'): number {
  const value = (exported[tag] as Block | undefined)?.[statistic];
  if (typeof value !== 'number') throw new Error(`the export has no ${tag}.${statistic}`);
  return value;
}
