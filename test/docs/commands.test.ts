/**
 * Every command that a README shows, read by the parser that would read it: flags exist, values are accepted, files are there or are
 * made by the page itself. Those of RUN are run besides (runs.test.ts).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test, vi } from 'vitest';
import { parseFlags } from '../../engine/flags.ts';
import { type Geometry, geometryOf } from '../../engine/models/geometry.ts';
import { loadCommands } from '../../src/commands/load-commands.ts';
import { bench } from '../commands/in-process.ts';
import { OTHERS, PARSED, RUN } from './classes.ts';
import { type Command, commandsOf } from './commands.ts';
import { filesIn, pages, ROOT } from './pages.ts';

/** What the parser handed to a command, instead of the command. */
const asked: unknown[][] = [];
const told = vi.hoisted(() => (name: string) => ({ [name]: (...args: unknown[]) => record(name, args) }));
function record(name: string, args: unknown[]): 0 {
  asked.push([name, ...args.slice(0, -1)]);
  return 0;
}
vi.mock('../../src/commands/run.ts', () => told('run'));
vi.mock('../../src/commands/validate.ts', () => told('validate'));
vi.mock('../../src/commands/report.ts', () => told('report'));
vi.mock('../../src/commands/compare.ts', () => told('compare'));
vi.mock('../../src/commands/gate.ts', () => told('gate'));
vi.mock('../../src/commands/calibrate.ts', () => told('calibrate'));
vi.mock('../../src/commands/baseline.ts', () => ({ ...told('baselineAdd'), ...told('baselineList') }));
vi.mock('../../src/commands/adapters-make.ts', () => told('makeAdapters'));
vi.mock('../../src/commands/adapters-inspect.ts', () => told('inspectAdapters'));
vi.mock('../../src/commands/doctor.ts', () => told('doctor'));
vi.mock('../../src/commands/doctor-client.ts', () => told('doctorClient'));
vi.mock('../../src/commands/serve.ts', () => told('serve'));

const commands = pages().flatMap(commandsOf);
const files = new Set(filesIn());

/** A folder of a model, and of adapters, that a reader has and the repository has small ones of. */
const PLACES: Readonly<Record<string, string>> = {
  './Llama-3.2-1B-Instruct': 'test/golden/tiny-llama',
  './adapters/support': 'test/golden/adapters/plain',
  './adapters': 'test/golden/adapters',
};
const placed = (word: string): string =>
  Object.entries(PLACES).reduce((text, [name, place]) => text.replace(name, join(ROOT, place)), word);

test("each command is run, or read, or is somebody else's; and none is listed that no page shows", () => {
  const shown = new Set(commands.map(({ text }) => text.replace(/^[A-Z_]+=\S+ /, '')));
  const known: string[] = [...RUN, ...Object.keys(PARSED), ...OTHERS];
  expect([...shown].filter((text) => !known.includes(text))).toEqual([]);
  expect(known.filter((text) => !shown.has(text))).toEqual([]);
});

const ours = commands.filter(({ words }) => words[0] === 'bench' || (words[0] === 'npx' && words[1] === 'bench'));

describe.each(ours.map((command) => [`${command.place} ${command.text}`, command] as const))('%s', (_, command) => {
  const argv = command.words.slice(command.words.indexOf('bench') + 1);

  it('is a command with flags that there are', async () => {
    asked.length = 0;
    const { code, stdout } = await bench(...argv);
    expect([code, stdout]).toEqual([0, '']);
    expect(asked).toHaveLength(1);
    if (argv[0] === 'serve') expect(await parseFlags(argv.slice(1).map(placed), {})).toHaveProperty('settings');
    // Nobody but a script on the page itself can have made the bin known by that name.
    expect(command.words[0]).toBe('npx');
  });

  it('names scenarios that are there, or that a page shows', () => {
    const named = argv.filter((word) => word.endsWith('.yaml'));
    expect(named.filter((name) => !files.has(name) && !shownFiles.has(name))).toEqual([]);
  });
});

/** Blocks that begin with a comment on which file they are: "# gate-vllm.yaml". */
const shownFiles = new Set(
  pages().flatMap(({ blocks }) =>
    blocks.flatMap(({ text }) => /^# (?<name>[\w-]+\.yaml)\b/.exec(text)?.groups?.['name'] ?? []),
  ),
);

describe('in sentences', () => {
  const told = pages().flatMap(({ path, code }) => code.map(({ line, text }) => ({ place: `${path}:${line}`, text })));
  const helps = async (): Promise<string> => {
    const verbs = ['run', 'gate', 'compare', 'calibrate', 'validate', 'report', 'doctor'].map((verb) => [verb]);
    const under = [
      ...['add', 'list'].map((verb) => ['baseline', verb]),
      ...['make', 'inspect'].map((verb) => ['adapters', verb]),
    ];
    const shown = await Promise.all([[], ...verbs, ...under].map((verb) => bench(...verb, '--help')));
    const serve = await parseFlags(['--help'], {});
    return [...shown.map(({ stdout }) => stdout), 'show' in serve ? serve.show : ''].join('\n');
  };

  it('flags are those of a command, or of a program that is named beside them', async () => {
    const known = new Set((await helps()).match(/--[a-z][a-z-]+/g));
    const flags = told.flatMap(({ place, text }) => {
      // npm's, and AIPerf's in the pages about it.
      if (text.startsWith('npm ') || place.startsWith('test/interop/')) return [];
      return (text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []).map((flag) => ({
        place,
        flag: flag.replace(/^--no-/, '--'),
      }));
    });
    expect(flags.length).toBeGreaterThan(40);
    expect(flags.filter(({ flag }) => !known.has(flag)).map(({ place, flag }) => `${place} ${flag}`)).toEqual([]);
  });

  it('commands of bench are commands', async () => {
    const help = await helps();
    const verbs = told.flatMap(({ place, text }) => {
      const verb = /^bench (?<verb>[a-z]+)(?: |$)/.exec(text)?.groups?.['verb'];
      return verb === undefined ? [] : [{ place, verb }];
    });
    expect(verbs.length).toBeGreaterThan(20);
    expect(
      verbs.filter(({ verb }) => !help.includes(`  bench ${verb} `)).map(({ place, verb }) => `${place} ${verb}`),
    ).toEqual([]);
  });
});

describe("others' programs", () => {
  const others = commands.filter((command) => !ours.includes(command));
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const with_ = (...words: string[]) => others.filter((one) => words.every((word, i) => one.words[i] === word));

  it('npm knows the scripts', () => {
    const named = with_('npm', 'run').map(({ words }) => words[2]!);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
    expect(scripts['test']).toBeDefined();
  });

  it('vitest and node are given files that are there', () => {
    const given = [
      ...with_('npx', 'vitest', 'run').map(({ words }) => words.slice(3)),
      ...with_('node').map(({ words }) => words.slice(1)),
    ];
    const paths = given.flat().filter((word) => word.startsWith('test/'));
    expect(paths.length).toBeGreaterThan(3);
    expect(paths.filter((path) => !files.has(path) && ![...files].some((file) => file.startsWith(`${path}/`)))).toEqual(
      [],
    );
  });

  it('scripts that measure know their flags', () => {
    for (const { words, place } of with_('node')) {
      const source = readFileSync(join(ROOT, words[1]!), 'utf8');
      const flags = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2));
      expect(
        flags.filter((flag) => !new RegExp(`^\\s+'?${flag}'?: \\{ type: `, 'm').test(source)),
        place,
      ).toEqual([]);
    }
  });

  it('vLLM is started as `adapters make` says', () => {
    const [vllm, ...more] = with_('vllm');
    expect(more).toEqual([]);
    const names = Array.from({ length: 32 }, (_, i) => `r16-a${i + 1}`);
    const geometry = geometryOf('llama-3-8b') as Geometry;
    const folder = join(ROOT, 'adapters');
    const said = loadCommands({ geometry, baseFolder: null, kind: 'lora', format: 'peft', rank: 16, names, folder });
    const line = said.find((one) => one.includes('vLLM'))!.replace(/^\s*vLLM\s+/, '');
    expect(expanded(vllm!)).toEqual(line.split(' '));
  });
});

/** Words as bash hands them to the program. */
const expanded = ({ text }: Command): string[] =>
  execFileSync('bash', ['-c', `vllm() { printf '%s\\n' vllm "$@"; }; ${text}`], { cwd: ROOT, encoding: 'utf8' })
    .trim()
    .split('\n');

describe('examples in --help', () => {
  const VERBS = [
    ...['run', 'gate', 'compare', 'calibrate', 'validate', 'report', 'doctor'].map((verb) => [verb]),
    ...['add', 'list'].map((verb) => ['baseline', verb]),
    ...['make', 'inspect'].map((verb) => ['adapters', verb]),
  ];

  /** Commands of the left column; where one is wrapped it goes on at the same indentation. */
  function examplesIn(help: string): string[] {
    const lines = (/^Examples:\n(?<lines>(?: .*\n)+)/m.exec(`${help}\n`)?.groups?.['lines'] ?? '').split('\n');
    const examples: string[] = [];
    for (const line of lines) {
      const left = /^ {2}(?<left>\S.*?)(?: {2,}|$)/.exec(line)?.groups?.['left'];
      if (left === undefined) continue;
      if (left.startsWith('bench ')) examples.push(left);
      else examples.push(`${examples.pop() ?? ''} ${left}`);
    }
    return examples;
  }
  const wordsOf = (command: string): string[] =>
    (command.split(' | ')[0]!.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^["']|["']$/g, ''));

  it('are read by the parser, whatever command they are of', async () => {
    const helps = await Promise.all([[], ...VERBS].map((verb) => bench(...verb, '--help')));
    const examples = helps.flatMap(({ stdout }) => examplesIn(stdout));
    expect(examples.length).toBeGreaterThan(8);
    for (const example of examples) {
      asked.length = 0;
      const { code, stderr } = await bench(...wordsOf(example).slice(1));
      expect([example, code, stderr]).toEqual([example, 0, '']);
      expect(asked, example).toHaveLength(1);
    }
  });
});
