/** What the READMEs name is there: links and their anchors, files, packages' scripts; and what they list is complete. */
import { readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { VARIANTS } from '../../engine/transformer/variants.ts';
import { EXIT } from '../../src/errors.ts';
import { METRICS } from '../../src/metrics/registry.ts';
import { split } from './commands.ts';
import { filesIn, pageOf, pages, ROOT } from './pages.ts';

const all = pages();
const files = new Set(filesIn());
const folders = new Set([...files].flatMap((file) => parentsOf(file)));
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

function parentsOf(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [folder, ...parentsOf(folder)];
}

test('every folder that the README names has one', () => {
  const named = [
    'README.md',
    ...['scenarios', 'src', 'engine', 'reports', 'test'].map((folder) => `${folder}/README.md`),
  ];
  expect(all.map(({ path }) => path)).toEqual(expect.arrayContaining(named));
});

test('a page is read as GitHub reads it', () => {
  const page = pageOf(
    'a/b.md',
    '# One `two`: three\n## At\n## At\n[x](y.md#z) `c/d.ts`\n```sh\n# no heading\n[n](n)\n```\n',
  );
  expect(page.anchors).toEqual(['one-two-three', 'at', 'at-1']);
  expect(page.links).toEqual([{ line: 4, to: 'y.md#z' }]);
  expect(page.code.map(({ text }) => text)).toEqual(['two', 'c/d.ts']);
  expect(page.blocks).toEqual([
    { page: 'a/b.md', line: 5, language: 'sh', text: '# no heading\n[n](n)\n', heading: 'At' },
  ]);
});

test('a line is split as a shell splits it', () => {
  expect(split(`a 'b c' d="e # f" $(g "h i"; j && k) && l \\#m # n && o`)).toEqual([
    ['a', 'b c', 'd=e # f', '$(g "h i"; j && k)'],
    ['l', '\\#m'],
  ]);
  expect(() => split("a 'b")).toThrow('left open');
});

describe.each(all)('$path', ({ path, links, code, blocks, anchors }) => {
  it('links to files that are there, and to one heading of theirs', () => {
    const broken = links
      .filter(({ to }) => !/^https?:/.test(to))
      .flatMap(({ line, to }) => {
        const [file = '', anchor] = to.split('#');
        const target = file === '' ? path : normalize(join(dirname(path), file)).replace(/\/$/, '');
        if (!files.has(target) && !folders.has(target)) return [`${path}:${line}: ${to}: there is no ${target}`];
        if (anchor === undefined) return [];
        const there = target === path ? anchors : (all.find((page) => page.path === target)?.anchors ?? []);
        if (!there.includes(anchor)) return [`${path}:${line}: ${to}: no such heading`];
        return there.includes(`${anchor}-1`) ? [`${path}:${line}: ${to}: two headings are called that`] : [];
      });
    expect(broken).toEqual([]);
  });

  it('names files that are there', () => {
    const drawn = blocks.filter(({ language }) => language === '').map(({ line, text }) => ({ line, text }));
    const missing = [...code, ...drawn].flatMap(({ line, text }) =>
      pathsIn(text)
        .filter((name) => !MADE.has(name) && !isThere(name, path))
        .map((name) => `${path}:${line}: ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('names folders that are there', () => {
    const named = code.filter(({ text }) => /^[\w.-]+(\/[\w.-]+)*\/$/.test(text) && !MADE_FOLDERS.has(text));
    const there = (name: string) =>
      ['', dirname(path), 'src', 'engine', 'test', 'test/perf', 'test/golden', 'reports'].map((from) =>
        normalize(join(from, name, '.')),
      );
    expect(
      named
        .filter(({ text }) => !there(text).some((one) => folders.has(one)))
        .map(({ line, text }) => `${path}:${line}: ${text}`),
    ).toEqual([]);
  });

  it('has commands in blocks of sh only, where they are looked at', () => {
    const hidden = blocks.filter(
      ({ language, text }) => language === '' && /^([A-Z_]+=\S+ )*(npx|npm|bench|node) /m.test(text),
    );
    expect(hidden.map(({ line }) => `${path}:${line}`)).toEqual([]);
  });
});

/** Folders that are made by building or measuring, and one of AIPerf's sources. */
const MADE_FOLDERS = new Set(['dist/', 'baselines/', 'reports/baselines/', 'aiperf/', 'aiperf/metrics/types/']);

/** Names in recipes of what is to be added, which must not be there yet, or the recipe would be a lie. */
const RECIPES = [
  ...['metrics/first-byte.ts', 'workload/arrivals/twins.ts', 'report/one-line.ts'].map((file) => `src/${file}`),
  ...['kernels/scale.ts', 'kernels/scale.wgsl', 'transformer/scale-stages.ts'].map((file) => `engine/${file}`),
  'test/engine/kernels/scale.test.ts',
];
const MADE = new Set(RECIPES.flatMap((file) => [file, file.replace(/^(src|engine)\//, '')]));

test('what recipes add is not there yet, and is named in one', () => {
  expect(RECIPES.filter((file) => files.has(file))).toEqual([]);
  const told = all.map(({ path }) => textOf(path)).join('\n');
  expect(RECIPES.filter((file) => !told.includes(file.replace(/^(src|engine)\//, '')))).toEqual([]);
});

/** Paths of code, with a folder or without: `metrics/{a,b}.ts`, `main.ts`; what ends otherwise may be a result's. */
function pathsIn(text: string): string[] {
  const found = text.match(/(?<![\w./<{*~@:-])(?:[\w./-]|\{[\w,.-]+\})+\.(?:ts|mjs|js|wgsl|py|c)(?![\w.])/g) ?? [];
  return found.filter((name) => !/\.\./.test(name)).flatMap(unbraced);
}

function unbraced(name: string): string[] {
  const match = /^(?<before>.*)\{(?<names>[^}]+)\}(?<after>.*)$/.exec(name);
  if (match?.groups === undefined) return [name];
  const { before = '', names = '', after = '' } = match.groups;
  return names.split(',').flatMap((one) => unbraced(`${before}${one}${after}`));
}

/** From the page's folder, the root, or the folder of code whose tests or modules are told; a bare name anywhere. */
function isThere(name: string, page: string): boolean {
  if (name.startsWith('dist/')) return files.has(name.replace(/^dist\//, '').replace(/\.js$/, '.ts'));
  const from = [dirname(page), '', 'src', 'engine', 'test'];
  if (from.some((folder) => files.has(normalize(join(folder, name))))) return true;
  return !name.includes('/') && [...files].some((file) => basename(file) === name || file.endsWith(`/${name}`));
}

test('paths are found where they are told', () => {
  expect(pathsIn('metrics/{a,b}.ts and main.ts, http://h/x.ts? ~/y.ts')).toEqual([
    'metrics/a.ts',
    'metrics/b.ts',
    'main.ts',
  ]);
  expect(isThere('metrics/ttft.ts', 'src/README.md')).toBe(true);
  expect(isThere('metrics/tttt.ts', 'src/README.md')).toBe(false);
  expect(isThere('dist/engine/main.js', 'README.md')).toBe(true);
});

describe('tables are complete:', () => {
  const firstCells = (path: string) =>
    textOf(path)
      .split('\n')
      .flatMap((line) => /^\| (?<cell>[^|]+) \|/.exec(line)?.groups?.['cell'] ?? []);
  const codesIn = (cells: readonly string[]) =>
    cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code));

  it('exit codes', () => {
    expect(
      firstCells('README.md')
        .filter((cell) => /^\d+$/.test(cell))
        .map(Number),
    ).toEqual(Object.values(EXIT));
  });

  it('metrics', () => {
    expect(codesIn(firstCells('src/README.md'))).toEqual(expect.arrayContaining(METRICS.map(({ name }) => name)));
  });

  it('variants of kernels', () => {
    expect(codesIn(firstCells('engine/README.md'))).toEqual(expect.arrayContaining([...VARIANTS]));
  });

  it.each([
    ['src', 'README.md'],
    ['engine', 'engine/README.md'],
    ['test', 'test/README.md'],
  ])('folders of %s', (folder, page) => {
    const named = [...folders]
      .filter((path) => dirname(path) === folder && path !== 'src/commands')
      .map((path) => basename(path));
    expect(named.filter((name) => !new RegExp(`\\b${name}/`).test(textOf(page)))).toEqual([]);
  });

  it('golden data and the scripts that measure', () => {
    const told = textOf('test/README.md');
    const scripts = [...files]
      .filter((file) => /^test\/(golden\/[^/]+\.py|perf\/[^/]+\.mjs)$/.test(file))
      .map((file) => basename(file));
    // Parts of others.
    const parts = ['chunk-server.mjs', 'client-parts.mjs', 'core-wait.mjs'];
    expect(scripts.filter((name) => !parts.includes(name) && !told.includes(`\`${name}\``))).toEqual([]);
  });

  it('scripts of the package', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    for (const { path } of all) {
      for (const [, name] of textOf(path).matchAll(/npm run ([\w:-]+)/g))
        expect(Object.keys(scripts), path).toContain(name);
    }
  });
});
