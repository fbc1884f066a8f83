/**
 * What a gate hands on: every output says the same of each verdict, none is broken by a name that a server chose, and each is in the
 * form its reader wants.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/errors.ts';
import { annotations, writeJobSummary } from '../../../src/report/gate/github.ts';
import { junitXml } from '../../../src/report/gate/junit.ts';
import { markerOf, summaryMarkdown } from '../../../src/report/gate/markdown.ts';
import { headline, verdictRows } from '../../../src/report/gate/rows.ts';
import { verdictText } from '../../../src/report/gate/terminal.ts';
import { verdictFixture, verdictLine } from './verdict-fixture.ts';

const file = verdictFixture();

it('puts what failed first, then what could not be judged, then the rest', () => {
  expect(verdictRows(file).map(({ line }) => line.outcome)).toEqual([
    'fail',
    'invalid',
    'inconclusive',
    'pass',
    'report-only',
  ]);
});

it('says the same of a verdict everywhere', () => {
  const [row] = verdictRows(file);
  expect(row).toMatchObject({
    reference: '20.1 ms',
    candidate: '20.3 ms',
    change: '+12% (+9.0% to +15%)',
    pairs: '12',
  });
  const texts = [verdictText(file, { width: 400, color: false }), summaryMarkdown(file)];
  for (const text of texts)
    for (const part of ['20.1 ms', '20.3 ms', '+12% (+9.0% to +15%)']) expect(text).toContain(part);
});

it('heads each outcome with its counts', () => {
  expect(headline(file)).toBe('failed: 1 of 4 thresholds');
  const passed = { ...file, outcome: 'passed' as const, exitCode: EXIT.done };
  expect(headline({ ...passed, verdicts: [verdictLine()] })).toBe('passed: all 1 thresholds hold');
  expect(headline({ ...passed, verdicts: [verdictLine(), verdictLine({ outcome: 'inconclusive' })] })).toBe(
    'passed with a warning: 1 of 2 thresholds could not be decided',
  );
  expect(headline({ ...file, outcome: 'target down' })).toBe('not judged: a server is down');
});

describe('the terminal', () => {
  it('keeps the outcome, the threshold and the change when it is narrow', () => {
    const narrow = verdictText(file, { width: 60, color: false });
    expect(narrow).toContain('FAIL');
    expect(narrow).toContain('+12% (+9.0% to +15%)');
    expect(narrow).not.toContain('reference  ');
  });

  it('obeys no escape sequence that a name holds, and has colours of its own only where they are wanted', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(verdictText(file, { width: 400, color: false })).not.toMatch(/\u001b/);
    expect(verdictText(file, { width: 400, color: true })).toContain('\u001b[31m');
  });
});

describe('JUnit', () => {
  const xml = junitXml(file);

  it('is well-formed: every tag is closed, no character stands there that XML has no place for', () => {
    const open: string[] = [];
    const rest = xml
      .replace(/<\?xml[^>]*\?>/, '')
      .replace(
        /<(\/?)([\w-]+)((?:\s+[\w-]+="[^"<]*")*)\s*(\/?)>/g,
        (_, close: string, name: string, _a: string, empty: string) => {
          if (close) expect(open.pop()).toBe(name);
          else if (!empty) open.push(name);
          return '';
        },
      );
    expect(open).toEqual([]);
    expect(rest).not.toMatch(/[<>]/);
    expect(rest).not.toMatch(/&(?!(?:amp|lt|gt|quot);)/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/);
  });

  it('has a case for each, failed, in error, skipped or passed', () => {
    expect(xml).toContain('tests="5" failures="1" errors="2" skipped="1"');
    expect(xml.match(/<testcase /g)).toHaveLength(5);
    expect(xml).toMatch(/name="tpot.p50 max_increase 5%">\s*<failure message="FAIL: worse than allowed/);
  });

  it('has no error for what `on_inconclusive: warn` lets pass', () => {
    expect(junitXml(verdictFixture({ onInconclusive: 'warn' }))).toContain('errors="1"');
  });

  it('is in error when there was nothing to judge', () => {
    const nothing = junitXml(verdictFixture({ verdicts: [], reasons: ['nothing was judged'] }));
    expect(nothing).toContain('tests="1" failures="0" errors="1"');
    expect(nothing).toContain('<error message="nothing was judged"/>');
  });
});

describe('Markdown', () => {
  const text = summaryMarkdown(file);

  it('begins with the marker by which a comment is found again', () => {
    expect(text.startsWith(`${markerOf('gate')}\n### ❌ gate: failed: 1 of 4 thresholds`)).toBe(true);
  });

  it('lets no name end a cell, open a tag or mention anybody', () => {
    const rows = text.split('\n').filter((line) => line.startsWith('| '));
    for (const row of rows) expect(row.replaceAll('\\|', '').split('|')).toHaveLength(9);
    expect(text).not.toContain('<script>');
    expect(text).not.toContain('@octocat');
  });

  it('stays below what a comment may have, and says what it leaves out', () => {
    const many = verdictFixture({ verdicts: Array.from({ length: 3000 }, (_, i) => verdictLine({ id: `t${i}@c1` })) });
    const long = summaryMarkdown(many);
    expect(Buffer.byteLength(long)).toBeLessThan(65_536);
    expect(long).toMatch(/\d+ more are in verdict\.json/);
  });
});

describe('GitHub', () => {
  it('points at the line of a threshold that failed, everything escaped', () => {
    const [first] = annotations(file);
    expect(first).toBe(
      '::error file=scenarios/gate.yaml,line=12,col=7,title=gate%3A tpot.p50 max_increase 5%25::FAIL in c2: worse than allowed: 100%25, and more%0Aof it',
    );
    expect(
      annotations(file)
        .slice(1)
        .map((one) => one.split(' ')[0]),
    ).toEqual(['::warning', '::warning']);
  });

  it('shows no more than are seen, and says how many there are', () => {
    const verdicts = Array.from({ length: 30 }, (_, i) => verdictLine({ id: `t${i}@c1`, outcome: 'fail' }));
    const shown = annotations(verdictFixture({ verdicts }));
    expect(shown).toHaveLength(10);
    expect(shown.at(-1)).toContain('21 more thresholds');
  });

  it('is not silent where nothing was judged, and is where all passed', () => {
    const none = { verdicts: [], reasons: ['the reference is down: refused'] };
    expect(annotations(verdictFixture({ ...none, exitCode: EXIT.targetDied, outcome: 'target down' }))).toEqual([
      '::error title=gate::not judged: a server is down%0Athe reference is down: refused',
    ]);
    expect(annotations(verdictFixture({ exitCode: EXIT.done, outcome: 'passed', verdicts: [verdictLine()] }))).toEqual(
      [],
    );
  });

  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lorabench-summary-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("adds to the job's summary, and loses nothing where there is none", () => {
    const path = join(folder, 'summary');
    writeJobSummary(file, path);
    writeJobSummary(file, path);
    expect(readFileSync(path, 'utf8').match(/### ❌ gate/g)).toHaveLength(2);
    expect(() => writeJobSummary(file, undefined)).not.toThrow();
    expect(() => writeJobSummary(file, join(folder, 'not', 'there'))).not.toThrow();
  });
});
