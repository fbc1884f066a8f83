import { createHash } from 'node:crypto';
import vm from 'node:vm';
import { beforeAll, describe, expect, test } from 'vitest';
import { escapeHtml, html } from '../../../src/report/html/markup.ts';
import { htmlReport } from '../../../src/report/html/page.ts';
import type { Distribution, Result } from '../../../src/result/schema.ts';
import { resultFixture } from '../fixture.ts';
import { type Page, readPage } from './read-page.ts';

interface ChartData {
  templates: unknown[];
  drawings: { template: number; rows: Record<string, unknown>[] }[];
}

let result: Result;
let text: string;
let page: Page;

beforeAll(async () => {
  result = resultFixture();
  text = await htmlReport(result);
  page = readPage(text);
});

describe('one offline file', () => {
  test('stays under 3 MB for eight cells', () => {
    expect(result.cells).toHaveLength(8);
    expect(Buffer.byteLength(text)).toBeLessThan(3_000_000);
  });

  test('names every script and style by hash, allows nothing else, and has no inline style or handler', () => {
    const hash = (part: string): string => `'sha256-${createHash('sha256').update(part).digest('base64')}'`;
    const directives = new Map(
      page.policy.split('; ').map((directive) => {
        const [name, ...sources] = directive.split(' ');
        return [name!, sources];
      }),
    );
    expect(directives.get('default-src')).toEqual(["'none'"]);
    expect(directives.get('script-src')).toEqual(page.scripts.map(hash));
    expect(directives.get('style-src')).toEqual(page.styles.map(hash));
    expect(page.scripts.length).toBeGreaterThan(0);
    expect(page.policy).not.toContain('unsafe');
    expect(page.body).not.toMatch(/<[^>]*\s(?:style|on\w+)=/);
  });

  test('refers to nothing outside itself', () => {
    expect(page.body).not.toMatch(/(?:src|href|srcset|action)="(?!#)/);
    expect(page.styles.join('')).not.toMatch(/url\(|@import/);
  });

  test('holds the whole result', () => {
    expect(JSON.parse(page.data['result']!)).toEqual(result);
  });
});

describe('charts', () => {
  test('are drawn for readers without JavaScript: four histograms a cell, and each has words', () => {
    const data = JSON.parse(page.data['data']!) as ChartData;
    const plots = [
      ...page.body.matchAll(/<div class="plot" data-chart="(\d+)" role="img" aria-label="([^"]+)"><svg /g),
    ];
    expect(plots).toHaveLength(data.drawings.length);
    expect(plots.map(([, number]) => Number(number)).sort((a, b) => a - b)).toEqual(data.drawings.map((_, i) => i));
    for (const cell of result.cells) {
      const section = new RegExp(`<section class="cell" id="cell-${cell.target}-${cell.id}">[\\s\\S]*?</section>`).exec(
        page.body,
      )![0];
      expect(section.match(/<svg [\s\S]*?<path [^>]*d="/g)).toHaveLength(4);
      for (const name of ['TTFT', 'ITL', 'E2E', 'Throughput']) expect(section).toContain(`Histogram of ${name} for`);
    }
  });

  test('share their specs, which hold no data', () => {
    const data = JSON.parse(page.data['data']!) as ChartData;
    // Those beside them are drawn by the reader's choice.
    expect(new Set(data.drawings.map(({ template }) => template)).size).toBeLessThan(data.drawings.length / 2);
    expect(JSON.stringify(data.templates)).not.toContain('"values":[{');
  });

  test('histograms hold every sample', () => {
    const data = JSON.parse(page.data['data']!) as ChartData;
    const shares = data.drawings
      .map(({ rows }) => rows.flatMap(({ share }) => (typeof share === 'number' ? [share] : [])))
      .filter((all) => all.length > 0);
    expect(shares).toHaveLength(4 * result.cells.length);
    for (const all of shares) expect(all.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });

  test('are drawn by the shipped vega where code generation is forbidden', async () => {
    const data = JSON.parse(page.data['data']!) as ChartData;
    const sandbox = vm.createContext(
      { data, console, setTimeout, clearTimeout, setInterval, clearInterval, structuredClone },
      { codeGeneration: { strings: false, wasm: false } },
    );
    expect(() => vm.runInContext('new Function("return 1")', sandbox)).toThrow(/code generation/i);
    vm.runInContext(page.scripts[0]!, sandbox);
    const draw = vm.runInContext(
      `(i) => {
        const { template, rows } = data.drawings[i];
        const view = new vega.View(vega.parse(data.templates[template], undefined, { ast: true }),
          { renderer: 'none', expr: vega.expressionInterpreter });
        return view.data('rows', rows.map((row) => ({ ...row }))).width(300).signal('focus', null).toSVG();
      }`,
      sandbox,
    ) as (i: number) => Promise<string>;
    const lines = data.drawings.findIndex(({ rows }) => 'series' in rows[0]!);
    const svg = await draw(lines);
    expect(svg).toContain('width="300"');
    expect(svg).toContain('var(--q');
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1);
  });

  test('scripts are whole', () => {
    for (const script of page.scripts) expect(() => new vm.Script(script)).not.toThrow();
  });
});

describe('names that came from a server', () => {
  const HOSTILE = '</script><img src=x onerror=alert(1)>"\'&<!--';

  test('are text everywhere, and come back unharmed in the result', async () => {
    const hostile = resultFixture({
      adapters: [0, 2],
      model: HOSTILE,
      adapterName: (index) => `${HOSTILE}${index}`,
      requests: 6,
      warnings: [HOSTILE],
      standIn: null,
    });
    hostile.scenario.name = HOSTILE;
    hostile.scenario.description = HOSTILE;
    hostile.cells[0]!.runs[0]!.errors = { [HOSTILE]: 1 };
    hostile.cells[0]!.runs[0]!.counts.failed = 1;
    hostile.cells[1]!.runs[0]!.validity.warnings.push(HOSTILE);
    hostile.cells[2]!.at.popularity = HOSTILE;
    hostile.cells[1]!.runs[0]!.metrics['itl'] = { unit: 'ms', count: 0, reason: HOSTILE };
    Object.assign(hostile.targets[0]!, {
      kind: 'endpoint',
      url: HOSTILE,
      server: { [HOSTILE]: HOSTILE, nested: { a: HOSTILE } },
    });
    Object.assign(hostile.machine, { cpu: HOSTILE });
    const written = readPage(await htmlReport(hostile));
    expect(written.body).not.toContain('<img');
    expect(written.body).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(JSON.parse(written.data['result']!)).toEqual(hostile);
    expect(written.scripts).toHaveLength(page.scripts.length);
    expect(Object.keys(written.data)).toEqual(Object.keys(page.data));
  });

  test('escaping covers text and attributes', () => {
    expect(escapeHtml('<a b="c" d=\'e\'>&\u0000')).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\uFFFD');
    expect(html`<i>${'<'}${html`<b>${1}</b>`}${[null, false, undefined, '&']}</i>`.text).toBe(
      '<i>&lt;<b>1</b>&amp;</i>',
    );
  });
});

describe('what it says', () => {
  test('a stand-in loudly, with why and both ranks', () => {
    expect(page.body).toContain('A stand-in was measured, not llama-3-8b.');
    expect(page.body).toContain('SwiftShader');
    expect(page.body).toContain('Declared rank 16 was served as rank 2');
  });

  test('nothing of a stand-in where none was', async () => {
    const real = readPage(
      await htmlReport(resultFixture({ standIn: null, adapters: [0, 1], concurrency: [1], requests: 4 })),
    );
    expect(real.body).not.toMatch(/stand-in/i);
  });

  test.each<[string, () => Result, (body: string) => void]>([
    [
      'a single cell',
      () => resultFixture({ adapters: [0], concurrency: [1], requests: 3 }),
      (body) => {
        expect(body).not.toContain('What adapters cost');
        expect(body).toContain('TTFT p50 of base at concurrency 1');
      },
    ],
    [
      'no base model to compare with',
      () => resultFixture({ adapters: [4, 8], requests: 6 }),
      (body) => {
        expect(body).not.toContain('What adapters cost');
        expect(body).toContain('Time to first token (TTFT)');
      },
    ],
    [
      'one load',
      () => resultFixture({ concurrency: [4], requests: 8 }),
      (body) => expect(body).toContain('TTFT p50 in milliseconds against adapters'),
    ],
    [
      'an open loop',
      () => resultFixture({ rates: [0.5, 2], requests: 8, adapters: [0, 8] }),
      (body) => {
        expect(body).toContain('requests sent per second');
        expect(body).toContain('0.5 requests/s');
      },
    ],
    [
      'an unavailable metric',
      () => {
        const one = resultFixture({ adapters: [0, 8], requests: 6 });
        for (const { runs } of one.cells)
          runs[0]!.metrics['itl'] = { unit: 'ms', count: 0, reason: 'tokens are unknown' };
        return one;
      },
      (body) => {
        expect(body).toContain('No histogram: tokens are unknown.');
        expect(body).toContain('title="ITL p50 – (tokens are unknown)"');
        expect(body).not.toContain('Inter-token latency (ITL)');
      },
    ],
    [
      'a percentile among failed requests',
      () => {
        const one = resultFixture({ adapters: [0, 8], requests: 6 });
        (one.cells[2]!.runs[0]!.metrics['ttft'] as Distribution).p99 = { gt: 4321 };
        return one;
      },
      (body) => {
        expect(body).toContain('&gt; 4,321');
        expect(body).toContain('An arrow marks a figure that is only a lower bound');
        expect(body).not.toContain('Vertical bars span');
      },
    ],
    [
      'a failed run',
      () => {
        const one = resultFixture({ adapters: [0, 8], requests: 6 });
        one.cells[3]!.runs[0]!.state = 'failed';
        one.cells[1]!.runs = [];
        return one;
      },
      (body) => {
        expect(body).toContain('Don’t rely on all of this: 2 runs did not finish');
        expect(body).toContain('c4 (8 adapters, concurrency 4): the run failed after 6 requests.');
        expect(body).toContain('c2 (base, concurrency 4): no run was started.');
        expect(body).toMatch(/\d†</);
      },
    ],
    [
      'a doubtful run',
      () => {
        const one = resultFixture({ adapters: [0], requests: 6 });
        Object.assign(one.cells[0]!.runs[0]!.validity, { valid: false, reasons: ['the client was too slow'] });
        return one;
      },
      (body) => {
        expect(body).toContain('not valid: the client was too slow.');
        expect(body).toContain('doubtful');
      },
    ],
    [
      'counted work',
      () => {
        const one = resultFixture({ adapters: [0, 8], concurrency: [4], requests: 6 });
        Object.assign(one.cells[1]!.runs[0]!, {
          exact: { dispatches: 12345, dispatches_per_step: 61.25 },
          exactFor: 'SwiftShader <portable>',
        });
        return one;
      },
      (body) => {
        expect(body).toContain('c2 is 8 adapters, concurrency 4');
        expect(body).toContain('SwiftShader &lt;portable&gt;');
        expect(body).toMatch(/dispatches: kernels started<\/th><td>dispatches<\/td><td>12,345</);
        expect(body).toMatch(/dispatches_per_step: [^<]*<\/th><td>dispatches<\/td><td>61\.3</);
        expect(body).not.toContain('padded_rows');
      },
    ],
    [
      'several runs',
      () => resultFixture({ adapters: [0, 8], repeats: 2, requests: 6 }),
      (body) => {
        expect(body).toMatch(/title="TTFT p50 [^"]* to [^"]* over 2 runs\)"/);
        expect(body).not.toContain('Each cell was run once');
        expect(body).toContain('Vertical bars span the runs of a cell.');
      },
    ],
    [
      'failed requests',
      () => resultFixture({ adapters: [0, 8], failing: 0.4, requests: 20 }),
      (body) => {
        expect(body).toMatch(/Read with care: \d+ of 80 requests failed/);
        expect(body).toContain('reset_mid_stream');
      },
    ],
    [
      'nothing at all',
      () => ({ ...resultFixture({ adapters: [0], requests: 2 }), cells: [] }),
      (body) => expect(body).toContain('Nothing was measured.'),
    ],
  ])('%s', async (_, make, check) => {
    check(readPage(await htmlReport(make())).body);
  });
});
