/** The engine's counted work for a fixed set of requests in each cell: a result in, markup out; null where none was counted. */
import { EXACT_COUNTERS } from '../../result/exact.ts';
import type { Result } from '../../result/schema.ts';
import { countText, figure, NONE } from '../numbers.ts';
import { adaptersText, cellName, loadKindOf, loadOf, loadText } from '../panels.ts';
import { html, type Markup } from './markup.ts';
import { tableMarkup } from './sections.ts';

export function exactSection(result: Result): Markup | null {
  const counted = result.cells.flatMap((cell) => {
    const run = cell.runs.find(({ exact }) => Object.keys(exact).length > 0);
    return run === undefined ? [] : [{ cell, exact: run.exact, validFor: run.exactFor }];
  });
  if (counted.length === 0) return null;
  const names = Object.entries(EXACT_COUNTERS).filter(([name]) =>
    counted.some(({ exact }) => exact[name] !== undefined),
  );
  const text = (value: number | undefined): string =>
    value === undefined ? NONE : Number.isInteger(value) ? countText(value) : figure(value);
  const table = {
    columns: ['counter', 'unit', ...counted.map(({ cell }) => cellName(result, cell))],
    rows: names.map(([name, { unit, about }]) => [
      `${name}: ${about}`,
      unit,
      ...counted.map(({ exact }) => text(exact[name])),
    ]),
  };
  const cells = counted.map(
    ({ cell }) =>
      `${cellName(result, cell)} is ${adaptersText(cell.at.adapters)}, ${loadText(loadKindOf(cell.at), loadOf(cell.at))}`,
  );
  const validFor = [...new Set(counted.map((one) => one.validFor).filter((of) => of !== undefined))];
  return html`<section id="counted"><h2>Counted work</h2><p class="lead">What the engine did for one fixed set of requests a cell, counted and not timed: the same numbers each time, on any machine with this device and these kernels${validFor.length === 0 ? '' : ` (${validFor.join('; ')})`}. ${cells.join('; ')}.</p>
${tableMarkup(table, 'Counted work')}</section>`;
}
