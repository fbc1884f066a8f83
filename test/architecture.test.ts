/** Holds the layout and import rules of the design, by reading import lines. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** src/'s folders in the order the data flows; a folder imports only those before it. */
const FLOW = ['scenario', 'plan', 'runner', 'target', 'workload', 'client', 'recorder', 'metrics', 'validity'];
const ORDER = [...FLOW, 'stats', 'result', 'gate', 'report'];
const ANYWHERE = ['stats', 'result'];
const ENGINE_FOLDERS_FOR_SRC = ['models', 'adapter-files'];
const FORBIDDEN_NAMES = /(^|\/)(utils?|common|helpers?)(\/|\.ts$)|(^|\/)types\.ts$/;
const HEAVY = ['llama3-tokenizer-js', 'vega', 'vega-lite', 'vega-interpreter', 'webgpu', '@sparticuz/chromium'];

interface Import {
  from: string;
  /** Path from the root for files of ours, the specifier for packages. */
  to: string;
  dynamic: boolean;
  typeOnly: boolean;
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string, text = readFileSync(join(root, file), 'utf8')): Import[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  const found: Import[] = [];
  const add = (specifier: ts.Expression | undefined, dynamic: boolean, typeOnly: boolean) => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return;
    const path = specifier.text;
    const to = path.startsWith('.') ? relative(root, resolve(root, dirname(file), path)) : path;
    found.push({ from: file, to, dynamic, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, false, node.importClause?.isTypeOnly ?? false);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, false, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], true, false);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal as ts.Expression, false, true);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Why an import inside src/ is not allowed, or null. */
function fault({ from, to }: Import): string | null {
  if (to.startsWith('engine/')) {
    const folder = to.split('/')[1]!;
    return ENGINE_FOLDERS_FOR_SRC.includes(folder) ? null : `src/ may import only ${ENGINE_FOLDERS_FOR_SRC} of engine/`;
  }
  if (to.startsWith('test/')) return 'src/ does not import tests';
  if (!to.startsWith('src/') || to === 'src/errors.ts') return null;
  const own = from.split('/')[1]!;
  const other = to.split('/')[1]!;
  if (from === 'src/cli.ts') return other === 'commands' ? null : 'cli.ts imports commands/';
  if (own === other || own === 'commands') return null;
  if (other === 'commands' || other === 'cli.ts') return 'only cli.ts imports commands/';
  if (own === 'runner') return other === 'gate' || other === 'report' ? 'runner/ may not judge or report' : null;
  if (other === 'runner') return 'only commands/ imports runner/';
  if (own === 'target' && other === 'client') return null;
  if (ANYWHERE.includes(other)) return null;
  if (own === 'stats') return 'stats/ knows no project types';
  return ORDER.indexOf(other) < ORDER.indexOf(own) ? null : `${own}/ comes before ${other}/`;
}

describe('layout', () => {
  const src = filesIn('src');
  const engine = filesIn('engine');
  const imports = src.flatMap((file) => importsOf(file));

  it('reads imports of every form', () => {
    const text = `import a from './a.ts'; import type { B } from '../plan/b.ts'; export * from 'c';
      const d = await import('../d.ts'); type E = import('./e.ts').E;`;
    expect(importsOf('src/gate/x.ts', text).map(({ to }) => to)).toEqual([
      'src/gate/a.ts',
      'src/plan/b.ts',
      'c',
      'src/d.ts',
      'src/gate/e.ts',
    ]);
  });

  it('finds what it looks for', () => {
    const allowed = (from: string, to: string) => fault({ from, to, dynamic: false, typeOnly: false }) === null;
    expect(allowed('src/plan/a.ts', 'src/scenario/b.ts')).toBe(true);
    expect(allowed('src/scenario/a.ts', 'src/plan/b.ts')).toBe(false);
    expect(allowed('src/runner/a.ts', 'src/report/b.ts')).toBe(false);
    expect(allowed('src/metrics/a.ts', 'src/runner/b.ts')).toBe(false);
    expect(allowed('src/client/a.ts', 'engine/http/server.ts')).toBe(false);
    expect(allowed('src/plan/a.ts', 'engine/models/geometry.ts')).toBe(true);
    expect(allowed('src/stats/a.ts', 'src/plan/b.ts')).toBe(false);
  });

  it('has only folders that the design names', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of folders) expect([...ORDER, 'commands']).toContain(name);
  });

  it('src/ imports along the flow of the data', () => {
    const faults = imports.flatMap((one) => {
      const why = fault(one);
      return why === null ? [] : [`${one.from} imports ${one.to}: ${why}`];
    });
    expect(faults).toEqual([]);
  });

  it('engine/ never imports src/', () => {
    const bad = engine.flatMap((file) => importsOf(file)).filter(({ to }) => to.startsWith('src/'));
    expect(bad).toEqual([]);
  });

  it('heavy packages are loaded when used', () => {
    const every = [...imports, ...engine.flatMap((file) => importsOf(file))];
    const heavy = every.filter(({ to }) => HEAVY.some((name) => to === name || to.startsWith(`${name}/`)));
    expect(heavy.length).toBeGreaterThan(0);
    expect(heavy.filter(({ dynamic, typeOnly }) => !dynamic && !typeOnly)).toEqual([]);
  });

  it('only cli.ts ends the process of the harness', () => {
    const calls = src.filter((file) => /process\s*\.\s*(exit|abort|reallyExit)\b|process\.exitCode/.test(code(file)));
    // write-schema.ts is a script of the build, a process of its own.
    expect(calls.filter((file) => file !== 'src/scenario/write-schema.ts')).toEqual(['src/cli.ts']);
  });

  it('has no drawers for everything', () => {
    expect([...src, ...engine, ...filesIn('test')].filter((file) => FORBIDDEN_NAMES.test(file))).toEqual([]);
    expect(FORBIDDEN_NAMES.test('src/plan/utils/a.ts')).toBe(true);
    expect(FORBIDDEN_NAMES.test('src/plan/types.ts')).toBe(true);
  });

  it('keeps files small enough to read', () => {
    const long = [...src, ...engine].filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 401);
    expect(long).toEqual([]);
  });

  it('says at the top of every module what it is for', () => {
    const silent = [...src, ...engine].filter((file) => {
      const text = readFileSync(join(root, file), 'utf8').replace(/^#!.*\n/, '');
      return !text.startsWith('/**');
    });
    expect(silent).toEqual([]);
  });
});

/** The file without comments and texts. */
function code(file: string): string {
  const text = readFileSync(join(root, file), 'utf8');
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
}
