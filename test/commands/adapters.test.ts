/** `bench adapters make` and `inspect`, from argv to files, words and exit codes. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdapterReport } from '../../engine/adapter-files/inspect.ts';
import { parseFlags } from '../../engine/flags.ts';
import { runCommandLine } from '../../src/commands/command-line.ts';
import { BenchError } from '../../src/errors.ts';

const GOLDEN = join(dirname(fileURLToPath(import.meta.url)), '../golden');
const BASE = 'llama-3.2-1b@1/8';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'adapters-command-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function bench(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof said) =>
    ({ columns: 120, write: (text: string) => (said[name] += text) }) as unknown as NodeJS.WriteStream;
  const signal = new AbortController().signal;
  const io = { stdout: stream('stdout'), stderr: stream('stderr'), env: {}, signal };
  return { code: await runCommandLine(['adapters', ...argv], io), ...said };
}

async function refusal(...argv: string[]): Promise<BenchError> {
  const error = await bench(...argv).then(
    ({ stdout }) => new Error(`accepted: ${stdout}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BenchError)) throw error;
  return error;
}

const out = (): string => join(folder, 'out');

describe('bench adapters make', () => {
  it('writes as many as asked for, that load, and says how to load them', async () => {
    const made = await bench('make', '--base', BASE, '--rank', '4', '--count', '3', '--out', out());
    expect(made.code).toBe(0);
    expect(readdirSync(out()).sort()).toEqual(['r4-a1', 'r4-a2', 'r4-a3']);
    expect(made.stdout).toMatch(
      /^made {2}r4-a1 to r4-a3 in .*\n.*rank 4, lora, all modules; each \d+ KB: adapter_config\.json, adapter_model\.safetensors\n/,
    );
    const weights = readdirSync(out()).map((name) =>
      readFileSync(join(out(), name, 'adapter_model.safetensors')).toString('base64'),
    );
    expect(new Set(weights).size).toBe(3);

    const names = readdirSync(out()).map((name) => join(out(), name));
    const inspected = await bench('inspect', ...names, '--base', BASE);
    expect(inspected.code).toBe(0);
    expect(inspected.stdout.match(/^loads {4}yes, into llama-3\.2-1b@1\/8$/gm)).toHaveLength(3);

    // The line for the engine is one that it takes.
    const line = /bench serve (.*)/.exec(made.stdout)![1]!;
    const parsed = await parseFlags(line.split(' '));
    if ('show' in parsed) throw new Error(parsed.show);
    expect(parsed.settings.config).toMatchObject({ model: BASE, maxGpuLoras: 3, maxCpuLoras: 3, maxLoraRank: 4 });
    expect(parsed.settings.store).toMatchObject({ folder: out() });
    // No other server knows a stand-in.
    expect(made.stdout).not.toMatch(/vllm|NIM/);
  });

  it('names the command lines of other servers for a model that they know', async () => {
    const preset = await bench(
      'make',
      '--base',
      'smollm2-135m',
      '--rank',
      '12',
      '--modules',
      'q',
      '--count',
      '2',
      '--out',
      out(),
    );
    expect(preset.stdout).toContain(
      'vllm serve HuggingFaceTB/SmolLM2-135M --enable-lora --max-loras 2 --max-lora-rank 16 ' +
        `--lora-modules r12-a1=${out()}/r12-a1 r12-a2=${out()}/r12-a2`,
    );
    expect(preset.stdout).toContain(`--max-loras-per-batch 3 --lora-paths r12-a1=${out()}/r12-a1`);
    expect(preset.stdout).toContain('-e NIM_MAX_GPU_LORAS=2 -e NIM_MAX_CPU_LORAS=2 -e NIM_MAX_LORA_RANK=12');
    const dora = await bench('make', '--base', 'smollm2-135m', '--kind', 'dora', '--modules', 'v', '--out', out());
    expect(dora.stdout).toContain('made  r16-dora-a1 in ');
    expect(dora.stdout).toContain('(vLLM, SGLang and NIM do not load dora)');
  });

  it('writes NeMo archives of what every server reads, for NIM', async () => {
    const made = await bench('make', '--base', 'smollm2-135m', '--format', 'nemo', '--names', 'math-', '--out', out());
    expect(readdirSync(join(out(), 'math-1'))).toEqual(['math-1.nemo']);
    expect(made.stdout).toContain('rank 16, lora, q,k,v;');
    expect(made.stdout).toContain('NIM_PEFT_SOURCE=/loras');
    expect(made.stdout).not.toContain('vllm');
    const inspected = await bench('inspect', join(out(), 'math-1', 'math-1.nemo'), '--base', 'smollm2-135m');
    expect(inspected.code).toBe(0);
    expect(inspected.stdout).toContain('format   lora (nemo)');
  });

  it('sizes them by a folder, and gives its path', async () => {
    const tiny = join(GOLDEN, 'tiny-llama');
    const made = await bench('make', '--base', tiny, '--kind', 'tied', '--rank', '4', '--seed', '3', '--out', out());
    expect(made.stdout).toContain(`bench serve --model ${tiny} --peft-source`);
    expect((await bench('inspect', join(out(), 'r4-tied-a1'), '--base', tiny)).code).toBe(0);
  });

  it('overwrites nothing, and then writes nothing', async () => {
    mkdirSync(join(out(), 'r16-a2'), { recursive: true });
    const error = await refusal('make', '--base', BASE, '--count', '3', '--out', out());
    expect(error).toMatchObject({ code: 'OUTPUT_NOT_WRITABLE', exitCode: 2 });
    expect(error.message).toBe(`${out()} holds r16-a2 already`);
    expect(readdirSync(out())).toEqual(['r16-a2']);
  });

  it.each<[string[], RegExp]>([
    [['--base', 'llama-3-8'], /--base: .*llama-3-8b/],
    [['--base', './nowhere'], /--base: .*there is no such folder/],
    [['--base', BASE, '--rank', '0'], /--rank: expected a whole number of at least 1, found "0"/],
    [['--base', BASE, '--rank', 'big'], /--rank: .*found "big"/],
    [['--base', BASE, '--count', '0'], /--count: expected a whole number of at least 1/],
    [['--base', BASE, '--scale', '-1'], /--scale: expected a number above 0/],
    [['--base', BASE, '--kind', 'doar'], /kind/],
    [['--base', BASE, '--format', 'nemo', '--kind', 'dora'], /NeMo 1\.x archives hold LoRA only/],
    [['--base', BASE, '--format', 'nemo', '--modules', 'q,v'], /take these modules together: q,k,v \|/],
    [['--base', BASE, '--modules', 'q,dwon'], /"dwon" is no module; did you mean down\?/],
    [['--base', BASE, '--names', '../x'], /--names: expected letters/],
    [['--base', BASE, '--rank', '1', '--rank', '2'], /--rank is given twice/],
    [['--base', BASE, '--rnak', '1'], /unknown: rnak/],
    [[], /base/],
  ])('refuses %j', async (argv, message) => {
    const error = await refusal('make', ...argv, '--out', out());
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(2);
    expect(existsSync(out())).toBe(false);
  });

  it('leaves whole ones when it is interrupted', async () => {
    const stop = new AbortController();
    const write = (text: string) => (text.startsWith('made r16-a1') ? stop.abort() : undefined);
    const stream = { columns: 120, write } as unknown as NodeJS.WriteStream;
    const io = { stdout: stream, stderr: stream, env: {}, signal: stop.signal };
    const made = runCommandLine(['adapters', 'make', '--base', BASE, '--count', '9', '--out', out()], io);
    await expect(made).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    expect(readdirSync(out())).toEqual(['r16-a1']);
  });
});

describe('bench adapters inspect', () => {
  it('says what an adapter of PEFT holds, in words and as JSON', async () => {
    const path = join(GOLDEN, 'adapters', 'patterns');
    const { code, stdout } = await bench('inspect', path);
    expect(code).toBe(0);
    expect(stdout).toContain(`adapter  ${path}\n`);
    expect(stdout).toMatch(/format {3}lora \(peft\)/);
    expect(stdout).toMatch(/modules +layers +rank +alpha +scale\n/);
    expect(stdout).toMatch(/‖ΔW‖ {5}[\d.]+ over all/);
    expect(stdout).toContain('loads    yes, as far as can be told without the base (--base)');

    const json = await bench('inspect', path, join(GOLDEN, 'adapters', 'dora'), '--json');
    const reports = JSON.parse(json.stdout) as AdapterReport[];
    expect(reports.map(({ kind, problems }) => [kind, problems])).toEqual([
      ['lora', []],
      ['dora', []],
    ]);
  });

  it('says why one would be refused, and ends with 2', async () => {
    const other = await bench('inspect', join(GOLDEN, 'adapters', 'plain'), '--base', BASE);
    expect(other.code).toBe(2);
    expect(other.stdout).toMatch(/^loads {4}no\n {9}- .*expected/m);
    writeFileSync(join(folder, 'junk.nemo'), 'no archive');
    const both = await bench('inspect', join(GOLDEN, 'adapters', 'plain'), join(folder, 'junk.nemo'));
    expect(both.code).toBe(2);
    expect(both.stdout).toMatch(/loads {4}yes[\s\S]*junk\.nemo[\s\S]*loads {4}no/);
    const json = await bench('inspect', join(folder, 'nowhere'), '--json');
    expect(json.code).toBe(2);
    expect((JSON.parse(json.stdout) as AdapterReport[])[0]!.problems.length).toBeGreaterThan(0);
  });

  it('refuses a base that there is not', async () => {
    expect((await refusal('inspect', join(GOLDEN, 'adapters', 'plain'), '--base', 'nobody')).message).toMatch(
      /--base: .*nobody/,
    );
  });
});

it('bench adapters says what it has, with examples', async () => {
  const help = await bench('--help');
  expect(help.stdout).toMatch(/make[\s\S]*inspect/);
  const make = await bench('make', '--help');
  for (const word of [
    '--base',
    '--rank',
    '--count',
    '--format',
    '--kind',
    '--modules',
    '--scale',
    '--seed',
    '--names',
    '--out',
    'bench adapters make --base llama-3-8b',
  ]) {
    expect(make.stdout).toContain(word);
  }
  expect((await bench('inspect', '--help')).stdout).toContain('bench adapters inspect adapters/*');
  expect((await refusal()).message).toMatch(/expected make or inspect/);
  expect((await refusal('mkae')).exitCode).toBe(2);
});
