/**
 * The vega that a report carries: its minified build and its expression interpreter, as one script.
 *
 * Nothing in, the script's text out. vega's own way to evaluate expressions generates code, which the policy forbids;
 * the interpreter walks their syntax trees instead. It is published as a module that imports three functions of vega's,
 * so that import is turned into a look-up on the global `vega`.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BenchError } from '../../errors.ts';

const IMPORT = /^import \{([\w\s,]+)\} from 'vega-util';/m;
const EXPORT = /^export \{ (\w+) as expressionInterpreter \};/m;
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;

export async function vegaBundle(): Promise<string> {
  const require = createRequire(import.meta.url);
  const vega = await readFile(join(dirname(require.resolve('vega')), 'vega.min.js'), 'utf8');
  const interpreter = await readFile(require.resolve('vega-interpreter'), 'utf8');
  if (!IMPORT.test(interpreter) || !EXPORT.test(interpreter)) {
    throw new BenchError('BUG', 'The installed vega-interpreter has another module shape than the one built against.');
  }
  const inlined = interpreter
    .replace(IMPORT, (_, names: string) => `const {${names}} = globalThis.vega;`)
    .replace(EXPORT, (_, name: string) => `globalThis.vega.expressionInterpreter = ${name};`);
  const bundle = `${vega}\n(() => {\n${inlined}\n})();`.replace(SOURCE_MAP, '');
  // A closing tag or comment opener inside a string would end or change the script element.
  if (/<\/script|<!--/i.test(bundle)) {
    throw new BenchError('BUG', 'The installed vega holds text that can’t stand inside a script element.');
  }
  return bundle;
}
