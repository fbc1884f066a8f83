/**
 * Draws charts: compiles their specs ahead of time and renders each as static SVG.
 *
 * Charts in; for each its SVG (so that a report reads without JavaScript) and the index of its compiled spec out, and the
 * specs, each kept once however many charts share it. Specs are compiled without data and with expressions as syntax
 * trees, since the page's content security policy allows no code to be generated; the rows are put in when drawing.
 *
 * vega and vega-lite are large, so they are loaded here, when a report is written.
 */
import { BenchError } from '../../errors.ts';
import type { Chart, Row } from './chart.ts';

export interface Drawing {
  svg: string;
  /** Index into `templates`. */
  template: number;
  rows: Row[];
}

export interface Drawings {
  drawings: Drawing[];
  /** Compiled vega specs that read the data set "rows". */
  templates: unknown[];
}

/** What says nothing in this page: roles and names below the one labelled figure, defaults, and empty shapes. */
const BALLAST =
  / (?:role|aria-roledescription|aria-hidden|xmlns|xmlns:xlink|version|class|font-family|pointer-events)="[^"]*"| opacity="1"/g;
const EMPTY_SHAPE = /<path(?: d="(?:|M0,0h0v0h0Z)"| display="none"| stroke="[^"]*")+\/>/g;

const slim = (svg: string): string => svg.replace(BALLAST, '').replace(EMPTY_SHAPE, '');

export async function drawCharts(charts: readonly Chart[]): Promise<Drawings> {
  const { compile } = await import('vega-lite');
  const vega = await import('vega');
  const { expressionInterpreter } = await import('vega-interpreter');
  const templates: unknown[] = [];
  const indexOf = new Map<string, number>();
  const quiet = vega.logger(vega.Error);

  const drawings: Drawing[] = [];
  for (const chart of charts) {
    const key = JSON.stringify(chart.spec);
    let template = indexOf.get(key);
    if (template === undefined) {
      template = templates.length;
      indexOf.set(key, template);
      // The type wants data; `rows` is filled in when drawing.
      const spec = { ...chart.spec, data: { name: 'rows' } } as Parameters<typeof compile>[0];
      templates.push(compile(spec, { logger: quiet as never }).spec);
    }
    const runtime = vega.parse(templates[template] as never, undefined, { ast: true } as never);
    const view = new vega.View(runtime, {
      renderer: 'none',
      logger: quiet,
      expr: expressionInterpreter,
    } as never);
    try {
      view.data(
        'rows',
        chart.rows.map((row) => ({ ...row })),
      );
      drawings.push({ svg: slim(await view.toSVG()), template, rows: chart.rows });
    } catch (cause) {
      throw new BenchError('BUG', `The chart "${chart.title}" could not be drawn: ${(cause as Error).message}`, {
        cause,
      });
    } finally {
      view.finalize();
    }
  }
  return { drawings, templates };
}
