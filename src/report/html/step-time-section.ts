/** Where a step's time goes, for cells whose engine profiled: a result in, markup out; empty where none did. */
import type { Result } from '../../result/schema.ts';
import { figure, plural, shareText } from '../numbers.ts';
import { adaptersText, loadKindOf, loadOf, loadText } from '../panels.ts';
import { type CellStepTime, type StageTime, type StepTime, stageWords } from '../step-time.ts';
import { html, type Markup } from './markup.ts';
import { tableMarkup } from './sections.ts';

/** @param charts of these times, drawn */
export function stepTimeSection(result: Result, times: readonly CellStepTime[], charts: Markup | null): Markup | null {
  const ceilings = result.machine.gpu?.ceilings ?? null;
  if (times.length === 0) return null;
  const shares =
    ceilings === null
      ? 'No ceilings of this device were measured, so no shares of them are shown: run `bench doctor` beside the reports first.'
      : 'The last column sets a stage beside what the device was measured to read or compute at most, whichever it is nearer to.';
  return html`<section id="steps"><h2>Where a step’s time goes</h2>
<p class="lead">Timed by the device, kernel by kernel, which keeps kernels from overlapping: a profiled run’s latencies are longer than a plain one’s. Bytes and operations are the least a stage has to move and compute. ${shares}</p>
${charts}
${times.map(cellMarkup)}</section>`;
}

function cellMarkup({ cell, kinds }: CellStepTime, i: number): Markup {
  const { at, id } = cell;
  const what = `${id}: ${adaptersText(at.adapters)}, ${loadText(loadKindOf(at), loadOf(at))}`;
  return html`<details${i === 0 ? html` open` : null}><summary>${what}</summary>${kinds.map((kind) => kindMarkup(kind, what))}</details>`;
}

function kindMarkup(time: StepTime, what: string): Markup {
  const { least, most } = time.rows;
  const rows = least === most ? plural(least, 'row') : `${least} to ${most} rows`;
  const title = `${time.kind === 'decode' ? 'Decode' : 'With prompts'}, ${rows}`;
  const adapters = time.adapters === 0 ? 'no adapter' : `${figure(time.adapters)} distinct adapters a step`;
  const lead = `${plural(time.steps, 'step')} of ${figure(time.kernelMs)} ms in kernels (${figure(time.wallMs)} ms from step to step); ${adapters}.`;
  const table = {
    columns: ['stage', 'ms a step', 'share', 'GB/s', 'GFLOP/s', 'of the ceiling', 'kernels, ms'],
    rows: time.stages.map(rowOf),
  };
  return html`<h3>${title}</h3><p>${lead}</p>${tableMarkup(table, `${what}: ${title}`)}`;
}

const rowOf = ({ stage, ms, share, bytesPerSecond, operationsPerSecond, ofCeiling, kernels }: StageTime): string[] => [
  stageWords(stage),
  figure(ms),
  shareText(share),
  bytesPerSecond === null ? '–' : figure(bytesPerSecond / 1e9),
  operationsPerSecond === null ? '–' : figure(operationsPerSecond / 1e9),
  ofCeiling === null ? '–' : `${shareText(ofCeiling.share)} of ${ofCeiling.of === 'read' ? 'reading' : 'computing'}`,
  kernels.map((one) => `${one.kernel} ${figure(one.ms)}`).join(', '),
];
