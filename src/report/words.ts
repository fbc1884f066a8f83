/**
 * What was measured on what, in words. A result in, sentences out; the HTML report's heading and the terminal share them.
 */
import type { Result, TargetInfo } from '../result/schema.ts';
import { listText, plural } from './numbers.ts';
import { adapterCounts, loadKindOf, loadOf } from './panels.ts';

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** "16", or "8, 16 and 64", or null when no cell says. */
export function declaredRanks(result: Result): string | null {
  const ranks = distinct(result.cells.map((cell) => cell.at.rank).filter((rank) => rank !== null));
  return ranks.length === 0 ? null : listText(ranks);
}

/** Ranks that a stand-in really served, or null when they are the declared ones. */
export function servedRanks(result: Result): string | null {
  const ranks = distinct(result.cells.flatMap((cell) => cell.servedRanks ?? [])).sort((a, b) => a - b);
  return ranks.length === 0 ? null : listText(ranks);
}

export const modelsOf = (result: Result): string[] => distinct(result.cells.map((cell) => cell.at.model));

/** "the base model alone", "0 (base), 1, 8 and 32 adapters of rank 16". */
export function adaptersPhrase(result: Result): string {
  const counts = adapterCounts(result);
  if (counts.every((count) => count === 0)) return 'the base model alone';
  const ranks = declaredRanks(result);
  const words = counts.map((count) => (count === 0 ? '0 (base)' : String(count)));
  const noun = counts.length === 1 && counts[0] === 1 ? 'adapter' : 'adapters';
  return `${listText(words)} ${noun}${ranks === null ? '' : ` of rank ${ranks}`}`;
}

export function loadPhrase(result: Result): string {
  const byKind = (kind: 'concurrency' | 'rate'): number[] =>
    distinct(result.cells.filter((cell) => loadKindOf(cell.at) === kind).map((cell) => loadOf(cell.at))).sort(
      (a, b) => a - b,
    );
  const closed = byKind('concurrency');
  const open = byKind('rate');
  return [
    ...(closed.length > 0
      ? [`${listText(closed)} ${closed.length === 1 && closed[0] === 1 ? 'request' : 'requests'} at a time`]
      : []),
    ...(open.length > 0 ? [`${listText(open)} requests per second`] : []),
  ].join(', and ');
}

const text = (value: unknown): string | null =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;

/** A name for what a server said of itself, such as "lorabench 0.1.0" or "vLLM 0.9.2". */
export function serverName(target: TargetInfo): string | null {
  const name = text(target.server['name']) ?? text(target.server['server']);
  const version = text(target.server['version']);
  return name === null ? null : version === null ? name : `${name} ${version}`;
}

/** "the bundled engine on SwiftShader (software)", "http://host:8000/v1 (vLLM 0.9.2)"; of two: "A: http://..". */
export const targetPhrase = (result: Result, target: TargetInfo): string =>
  target.arm === undefined ? ownPhrase(result, target) : `${target.arm}: ${ownPhrase(result, target)}`;

function ownPhrase(result: Result, target: TargetInfo): string {
  if (target.kind === 'engine') {
    const gpu = result.machine.gpu;
    return gpu === null
      ? 'the bundled engine'
      : `the bundled engine on ${gpu.name}${gpu.software ? ' (software, no GPU)' : ''}`;
  }
  const name = serverName(target);
  return name === null ? target.url : `${target.url} (${name})`;
}

export const machinePhrase = (result: Result): string =>
  `${result.machine.cpu}, ${plural(result.machine.cores, 'core')}, ${result.machine.os}`;

/** "28 September 2026, 12:05 UTC": the same everywhere, whatever the locale of the machine that writes it. */
export function datePhrase(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const day = date.toLocaleDateString('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'long', year: 'numeric' });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}

/** Lengths of prompts and outputs, where the cells agree; else how many there are. */
export function lengthsPhrase(result: Result): string {
  const pairs = distinct(result.cells.map((cell) => `${cell.at.promptTokens} tokens in, ${cell.at.outputTokens} out`));
  return pairs.length === 1 ? pairs[0]! : `${pairs.length} pairs of prompt and output lengths`;
}
