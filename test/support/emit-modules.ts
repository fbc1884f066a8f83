/**
 * Modules as plain JavaScript in a folder of their own, for tests that need them in another process: Node 20 strips no
 * types, and `dist/` may be older than the sources under test.
 *
 * In: TypeScript modules. Out: a folder with them and everything they import relatively, laid out as in the repository.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

export interface Emitted {
  folder: string;
  /** Where a module of the repository ("src/errors.ts") lies now. */
  pathOf(module: string): string;
  remove(): void;
}

export function emitModules(...modules: string[]): Emitted {
  const folder = mkdtempSync(join(tmpdir(), 'emitted-'));
  const pathOf = (module: string) => join(folder, module.replace(/\.ts$/, '.js'));
  const pending = [...modules];
  const done = new Set<string>();
  for (let module = pending.pop(); module !== undefined; module = pending.pop()) {
    if (done.has(module)) continue;
    done.add(module);
    const source = readFileSync(join(ROOT, module), 'utf8');
    const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS, fileName: module });
    mkdirSync(dirname(pathOf(module)), { recursive: true });
    writeFileSync(pathOf(module), outputText);
    for (const [, target] of source.matchAll(/^(?:import|export) (?!type ).*?from '(\.[^']+\.ts)'/gms)) {
      pending.push(relative(ROOT, resolve(ROOT, dirname(module), target as string)));
    }
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return { folder, pathOf, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
