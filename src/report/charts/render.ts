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
import type { Chart, Row, Spec } from './chart.ts';
import { slim } from './slim-svg.ts';

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
  /** Indices into `templates` of the specs that were asked for without a drawing. */
  live: Record<string, number>;
}

/** @param live specs that the page draws by the reader's choice, by name */
export async function drawCharts(charts: readonly Chart[], live: Record<string, Spec> = {}): Promise<Drawings> {
  const { compile } = await import('vega-lite');
  const vega = await import('vega');
  const { expressionInterpreter } = await import('vega-interpreter');
  const templates: unknown[] = [];
  const indexOf = new Map<string, number>();
  const quiet = vega.logger(vega.Error);

  const templateOf = (spec: Spec): number => {
    const key = JSON.stringify(spec);
    const known = indexOf.get(key);
    if (known !== undefined) return known;
    indexOf.set(key, templates.length);
    // The type wants data; `rows` is filled in when drawing.
    const whole = { ...spec, data: { name: 'rows' } } as Parameters<typeof compile>[0];
    return templates.push(compile(whole, { logger: quiet as never }).spec) - 1;
  };

  const drawings: Drawing[] = [];
  for (const chart of charts) {
    const template = templateOf(chart.spec);
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
  const named = Object.entries(live).map(([name, spec]) => [name, templateOf(spec)] as const);
  return { drawings, templates, live: Object.fromEntries(named) };
}
