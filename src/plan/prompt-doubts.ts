/**
 * Doubts about prompts that come from a file: what of it is not used, what is sent more than once, how long a replay takes.
 * In: a cell. Out: a sentence each, for warnings.ts.
 */
import { humanDuration } from '../scenario/units.ts';
import type { Cell } from './plan.ts';

/** A replay that takes longer is said before it begins. */
const LONG_MS = 2 * 3_600_000;

export function promptDoubts(cell: Cell): string[] {
  const { file } = cell.prompt;
  if (file === undefined) return [];
  const doubts = repeated(cell, file.entries.length);
  if (file.kind === 'trace') return [...doubts, ...longReplay(cell)];
  const { leftOut, cut, name } = file;
  if (leftOut !== null) {
    const entries = leftOut.count === 1 ? 'entry of' : 'entries of';
    doubts.push(`${leftOut.count} ${entries} ${name} left out: ${leftOut.why}`);
  }
  if (cut) doubts.push(`only the first ${file.entries.length} prompts of ${name} are used; what follows is not read`);
  return doubts;
}

/** The file comes round again; a closed loop that ends by time may do that, too, but nobody knows before. */
function repeated({ measure, prompt: { file, reuse } }: Cell, entries: number): string[] {
  if (!('requests' in measure) || measure.requests <= entries) return [];
  const what = `${measure.requests} requests of the ${entries} in ${file?.name}: they come round again`;
  if (reuse) return [`${what}, the same texts, and a prefix cache may answer (prompt.reuse)`];
  const how = file?.kind === 'trace' ? 'with other texts' : 'behind other first tokens';
  return [`${what}, ${how}, so that no prefix cache knows them`];
}

function longReplay({ load, prompt: { file } }: Cell): string[] {
  if (load.kind !== 'open' || load.arrivals !== 'trace' || file?.kind !== 'trace') return [];
  const ms = (file.entries.at(-1)?.atMs ?? 0) / load.speed;
  if (ms <= LONG_MS) return [];
  return [
    `a run takes ${humanDuration(ms)}, as long as ${file.name} at speed ${load.speed}; measure.requests or a higher ` +
      'load.trace.speed make it shorter',
  ];
}
