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

export function unsupportedIn(plain: Plain, tree: Located): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Path, what: string, accepted: string) =>
    problems.push({ ...problemAt(tree, path, `${what} not supported yet; accepted: ${accepted}`), unsupported: true });

  if (axisValues(plain, ['adapters', 'mode']).some(({ value }) => value === 'merged')) {
    for (const { path, value } of axisValues(plain, ['weights'])) {
      if (value === 'f16') continue;
      refuse(path, `folding an adapter (mode merged) into ${shown(value)} is`, 'f16, or mode dynamic');
    }
  }
  const { target } = plain;
  if (isObject(target)) {
    const tokenizer = target['tokenizer'];
    if (typeof tokenizer === 'string' && !TOKENIZER_PRESETS.includes(tokenizer) && !looksLikeFolder(tokenizer)) {
      const kind = PRESETS[tokenizer] === undefined ? "the server's, or an unknown name" : 'not in this package';
      const accepted = `${TOKENIZER_PRESETS.join(', ')}, or a folder with a tokenizer.json, such as ./my-model`;
      refuse(['target', 'tokenizer'], `the tokenizer ${shown(tokenizer)} (${kind}) is`, accepted);
    }
  }
  return problems;
}
