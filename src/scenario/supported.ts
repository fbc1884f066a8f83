/**
 * What the format knows and this version does not do: refused by name, never ignored. Each refusal says what is accepted
 * instead. In: a scenario as plain data with the tree it came from; out: problems marked `unsupported`.
 */
import { looksLikeFolder } from '../../engine/models/find-model.ts';
import { PRESETS } from '../../engine/models/geometry.ts';
import type { Located } from './located.ts';
import { axisValues, isObject, type Plain } from './plain-data.ts';
import { type Path, type Problem, problemAt, shown } from './problems.ts';
import { TOKENIZER_PRESETS } from './tokenizers.ts';

const WEIGHTS_LATER = ['int8', 'int4'];

export function unsupportedIn(plain: Plain, tree: Located): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Path, what: string, accepted: string) =>
    problems.push({ ...problemAt(tree, path, `${what} not supported yet; accepted: ${accepted}`), unsupported: true });

  for (const { path, value } of axisValues(plain, ['weights'])) {
    if (WEIGHTS_LATER.includes(value as string)) refuse(path, `${shown(value)} is`, 'f16');
  }
  const { target } = plain;
  if (plain['gate'] !== undefined) refuse(['gate'], 'a gate is', 'leave it out');
  if (isObject(target)) {
    if (target['command'] !== undefined) refuse(['target', 'command'], 'starting a server is', 'engine or {url: ..}');
    const tokenizer = target['tokenizer'];
    if (typeof tokenizer === 'string' && !TOKENIZER_PRESETS.includes(tokenizer) && !looksLikeFolder(tokenizer)) {
      const kind = PRESETS[tokenizer] === undefined ? "the server's, or an unknown name" : 'not in this package';
      const accepted = `${TOKENIZER_PRESETS.join(', ')}, or a folder with a tokenizer.json, such as ./my-model`;
      refuse(['target', 'tokenizer'], `the tokenizer ${shown(tokenizer)} (${kind}) is`, accepted);
    }
  }
  return problems;
}
