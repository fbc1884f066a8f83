/**
 * In which order a plan's cells are run. In: cells in the order of the sweep, how often each, a seed. Out: runs.
 *
 * Server by server, since each takes a while to start. On a server every replicate is a block that holds each cell once, in
 * a random order of its own: a randomized complete block design. Machines warm up, clocks throttle, caches and neighbours
 * come and go; in the order of the sweep all of that would fall on the same cells each time and look like an effect of the
 * axis (the first cell after a start is the coldest, and would always be the base model at the lowest load). Shuffled, it
 * falls on any cell alike: blocks keep slow drift out of the comparison of cells, the order within them keeps quick drift
 * from taking sides. Results and reports keep the order of the sweep.
 */
import { sha256Of } from '../scenario/hash.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { Cell, PlannedRun } from './plan.ts';
import { runSeed } from './seeds.ts';
import { serverOf } from './server-of.ts';

export function runsOf(cells: readonly Cell[], { repeats, seed }: Scenario['measure']): PlannedRun[] {
  const servers = [...new Set(cells.map(serverOf))];
  const runs = servers.flatMap((server) => {
    const group = cells.filter((cell) => serverOf(cell) === server);
    return Array.from({ length: repeats }, (_, replicate) =>
      shuffled(group, seed, replicate).map((cell) => ({ cell, replicate })),
    ).flat();
  });
  return runs.map(({ cell, replicate }, order) => ({
    cell: cell.id,
    replicate,
    order,
    seed: runSeed(seed, cell, replicate),
  }));
}

/**
 * By the hash of seed, replicate and cell: every order is equally likely, and a cell more or less leaves that of the others
 * as it is. The id and not the model's name, so that two servers compared get the same order.
 */
function shuffled(cells: readonly Cell[], seed: number, replicate: number): Cell[] {
  return cells
    .map((cell) => ({ cell, key: sha256Of({ orderSeed: seed, replicate, cell: cell.id }) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ cell }) => cell);
}
