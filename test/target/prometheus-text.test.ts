/** The reader of Prometheus' text: known lines, a page by the official client library, and whatever else can come. */
import fc from 'fast-check';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { samplesOf } from '../../src/target/prometheus-text.ts';

const ALL = { has: () => true };
const read = (page: string) =>
  [...samplesOf(page, ALL)].map(({ name, labels, value }) => ({ name, labels: Object.fromEntries(labels), value }));
const one = (line: string) => {
  const samples = read(line);
  expect(samples, line).toHaveLength(1);
  return samples[0]!;
};

describe('samplesOf', () => {
  it('reads names, labels and values', () => {
    expect(read('a 1\n# HELP b a 7\n# TYPE b gauge\n\nb{x="1",y=""} -2.5e-3\nc:d_total{} +4\n')).toEqual([
      { name: 'a', labels: {}, value: 1 },
      { name: 'b', labels: { x: '1', y: '' }, value: -0.0025 },
      { name: 'c:d_total', labels: {}, value: 4 },
    ]);
  });

  it.each([
    ['1', 1],
    ['1.', 1],
    ['.5', 0.5],
    ['1.458255915e9', 1458255915],
    ['1E+3', 1000],
    ['+Inf', Number.POSITIVE_INFINITY],
    ['-inf', Number.NEGATIVE_INFINITY],
    ['NaN', Number.NaN],
    ['nan', Number.NaN],
  ])('reads the number %s', (text, value) => {
    expect(one(`m ${text}`).value).toBe(value);
    expect(one(`m{a="b"} ${text} 1395066363000\r`).value).toBe(value);
  });

  it('undoes the escapes of labels, and takes what else is in them as it is', () => {
    const line = String.raw`m{path="C:\\DIR\\n",error="say \"no\"\nnow",odd="{a=\"b\"} 7, # }"} 1`;
    expect(one(line).labels).toEqual({ path: 'C:\\DIR\\n', error: 'say "no"\nnow', odd: '{a="b"} 7, # }' });
    expect(one('m{__proto__="x"} 1').labels).toEqual(Object.fromEntries([['__proto__', 'x']]));
  });

  it('allows spaces where the format does, a last comma, and the exemplar of OpenMetrics', () => {
    for (const line of [' m  {  a = "b" , c="d" , }  1', 'm{a="b",c="d"}1', '\tm\t{a="b",c="d",}\t1\t1000.5\t']) {
      expect(one(line)).toEqual({ name: 'm', labels: { a: 'b', c: 'd' }, value: 1 });
    }
    expect(one('m_bucket{le="1"} 17 # {trace_id="x"} 0.67 1.6e9').value).toBe(17);
  });

  it.each([
    'm',
    'm{} ',
    'm1 x',
    'm 1 2 3',
    'm 1e',
    'm 0x10',
    'm --1',
    'm,1',
    'm{a} 1',
    'm{a=b} 1',
    'm{a="b} 1',
    'm{a="b"',
    'm{a="b" c="d"} 1',
    'm{a="b",,c="d"} 1',
    'm{,a="b"} 1',
    'm{1a="b"} 1',
    'm{a="b",a="c"} 1',
    String.raw`m{a="\t"} 1`,
    '{"m",a="b"} 1',
    '<html>1</html>',
    '{"m": 1}',
  ])('takes nothing from %j', (line) => {
    expect(read(line)).toEqual([]);
    expect(read(`a 1\n${line}\nz 2`).map(({ name }) => name)).toEqual(['a', 'z']);
  });

  it('looks into wanted lines only', () => {
    expect([...samplesOf('a 1\nab 2\nb 3\na{x="1"} 4', new Set(['a']))].map(({ value }) => value)).toEqual([1, 4]);
  });

  it("agrees with the official client's page", async () => {
    const registry = new Registry();
    registry.setDefaultLabels({ model_name: 'a "quoted" \\ name' });
    const registers = [registry];
    const gauge = new Gauge({ name: 'vllm:gauge', help: 'with\nnewline', labelNames: ['a'], registers });
    const values = [0, -1.5, 1e-9, 1.7e308, Number.NaN, Number.POSITIVE_INFINITY];
    for (const [i, value] of values.entries()) gauge.set({ a: `\n"${i}"\\,{}=` }, value);
    new Counter({ name: 'c_total', help: '.', registers }).inc(7);
    const histogram = new Histogram({ name: 'h', help: '.', buckets: [0.1, 1], registers });
    histogram.observe(0.5);
    const samples = read(await registry.metrics());
    const of = (name: string) => samples.filter((sample) => sample.name === name);
    expect(of('vllm:gauge').map(({ value }) => value)).toEqual(values);
    expect(of('vllm:gauge').map(({ labels }) => labels)).toEqual(
      values.map((_, i) => ({ a: `\n"${i}"\\,{}=`, model_name: 'a "quoted" \\ name' })),
    );
    expect(of('c_total')[0]?.value).toBe(7);
    expect(of('h_bucket').map(({ labels, value }) => [labels['le'], value])).toEqual([
      ['0.1', 0],
      ['1', 1],
      ['+Inf', 1],
    ]);
  });
});

describe('whatever comes', () => {
  const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,20}$/);
  const labels = fc.dictionary(fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,10}$/), fc.string({ unit: 'binary' }));
  const value = fc.oneof(fc.double(), fc.integer());
  const escaped = (text: string) => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
  const shown = (number: number) =>
    Object.is(number, -0)
      ? '-0'
      : Number.isFinite(number) || Number.isNaN(number)
        ? `${number}`
        : number > 0
          ? '+Inf'
          : '-Inf';

  it('reads back what is written', () => {
    const sample = fc.record({ name, labels, value });
    fc.assert(
      fc.property(fc.array(sample), (samples) => {
        const lines = samples.map((s) => {
          const inner = Object.entries(s.labels).map(([key, text]) => `${key}="${escaped(text)}"`);
          return `${s.name}{${inner.join(',')}} ${shown(s.value)}`;
        });
        const back = read(lines.join('\n'));
        expect(back.map((s) => ({ ...s, labels: { ...s.labels } }))).toEqual(
          samples.map((s) => ({ ...s, labels: { ...s.labels } })),
        );
      }),
    );
  });

  it('never throws, and tells of nothing that is not in the page', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '{',
        '}',
        '"',
        '\\',
        ',',
        '=',
        ' ',
        '\n',
        '#',
        'm',
        'm{a="',
        '"} 1',
        'nan',
        '1e9',
        '\r',
        '\u2028',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const page = pieces.join('');
        for (const { name, labels } of samplesOf(page, ALL)) {
          expect(page).toContain(name);
          for (const key of labels.keys()) expect(page).toContain(key);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['backslashes', `m{a="${'\\\\'.repeat(100_000)}`],
    ['quotes', `m{${'a="'.repeat(80_000)}`],
    ['labels', `m{${Array.from({ length: 20_000 }, (_, i) => `l${i}="x"`).join(',')}`],
    ['spaces', `m${' '.repeat(250_000)}x`],
    ['spaces in labels', `m{${' '.repeat(250_000)}`],
    ['spaces after a value', `m 1${' '.repeat(250_000)}x`],
    ['digits', `m ${'1'.repeat(250_000)}x`],
    ['digits of a timestamp', `m 1 ${'1'.repeat(250_000)}x`],
    ['an exemplar', `m 1 # ${' #'.repeat(120_000)}\u2028`],
    ['a name', `${'m'.repeat(8_000_000)}`],
    ['one line', `m{a="${'x'.repeat(8_000_000)}"} 1`],
    ['lines', 'm\n'.repeat(1_000_000)],
    ['empty lines', '\n'.repeat(8_000_000)],
    ['indentation', '\t'.repeat(8_000_000)],
  ])('is done soon with a page of nothing but %s', (_what, page) => {
    const start = performance.now();
    expect(read(page)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
