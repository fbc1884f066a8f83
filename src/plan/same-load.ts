/**
 * Whether two plans put the same load on two targets. In: both plans. Out: nothing, or the error that names the first
 * difference; sentences for the reader.
 *
 * Models and adapters may be called otherwise on another server, and what only one of them says of an adapter (its rank,
 * its kind) is not held against the other. Whatever is sent must be equal: cells in number and order, lengths, arrivals, adapters in number and
 * popularity, how long and how often.
 */
import { BenchError } from '../errors.ts';
import { canonicalJson } from '../scenario/hash.ts';
import type { Cell, Plan } from './plan.ts';
import { popularityShares } from './shares.ts';

/** What is sent in a cell, by the words that messages use. */
const SENT: Record<string, (cell: Cell) => unknown> = {
  adapters: ({ adapters }) => adapters.length,
  popularity: ({ adapters, popularity, baseShare }) => [popularityShares(popularity, adapters), baseShare],
  prompts: ({ prompt: { file, ...prompt } }) => ({ ...prompt, file: file?.hash }),
  output: ({ output }) => output,
  load: ({ load }) => load,
  'length of a run': ({ measure, drainMs }) => [measure, drainMs],
  'warm-up': ({ warmupPerAdapter }) => warmupPerAdapter,
  request: ({ request }) => request,
};

/** @returns what the reader of a comparison must know @throws BenchError PLAN_INVALID */
export function checkSameLoad(a: Plan, b: Plan): string[] {
  if (a.cells.length !== b.cells.length)
    throw otherLoad(`one has ${a.cells.length} cells, the other ${b.cells.length}`);
  for (const [i, cell] of a.cells.entries()) {
    const other = b.cells[i]!;
    const what = Object.keys(SENT).find(
      (name) => canonicalJson(SENT[name]!(cell)) !== canonicalJson(SENT[name]!(other)),
    );
    if (what !== undefined) throw otherLoad(`in cell ${cell.id} the ${what} would differ`);
    const ranks = cell.adapters.map(({ rank }, k) => [rank, other.adapters[k]!.rank] as const);
    const unlike = ranks.find(([own, its]) => own !== null && its !== null && own !== its);
    if (unlike !== undefined)
      throw otherLoad(`in cell ${cell.id} an adapter of rank ${unlike[0]} would meet one of ${unlike[1]}`);
  }
  return checkModels(a, b);
}

const otherLoad = (why: string): BenchError =>
  new BenchError('PLAN_INVALID', `the two targets would not get the same load: ${why}`, {
    hint: 'a comparison needs the same cells on both: name adapters for either, in the same number and order of ranks',
  });

/** A stand-in is no model of anybody else's. Two names may be one model; only the reader can know. */
function checkModels(a: Plan, b: Plan): string[] {
  const pairs = a.cells.map(({ at }, i) => [at.model, b.cells[i]!.at.model] as const);
  const unlike = new Map(pairs.filter(([own, other]) => own !== other));
  const standIn = a.standIn ?? b.standIn;
  for (const [own, other] of unlike) {
    if (standIn === null) continue;
    throw new BenchError(
      'PLAN_INVALID',
      `A has the model ${own}, B ${other}: a stand-in is compared with itself only`,
      {
        hint: 'serve the same stand-in on both, such as `bench serve --model llama-3-8b@1/8`',
      },
    );
  }
  return [...unlike].map(([own, other]) => `A serves ${own}, B serves ${other}: taken for the same model`);
}
