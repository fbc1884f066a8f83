import { describe, expect, test } from 'vitest';
import { plainText, summaryTable } from '../../src/report/terminal.ts';
import type { Distribution } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

describe('the summary', () => {
  test('has a line for each cell, each load below its base model, and says what ran', () => {
    const result = resultFixture();
    for (const [i, { runs }] of result.cells.entries()) (runs[0]!.metrics['tpot'] as Distribution).p50 = 40 + i;
    const text = summaryTable(result, { width: 120, color: false });
    const rows = text
      .split('\n')
      .map((line) => line.trim().split(/\s{2,}/))
      .filter((words) => /^× \d$/.test(words[2] ?? ''));
    expect(rows.map((words) => [words[1], words[2], words[7], words[9]])).toEqual([
      ['base', '× 1', '40.0', '–'],
      ['1', '× 1', '42.0', '1.05×'],
      ['8', '× 1', '44.0', '1.10×'],
      ['32', '× 1', '46.0', '1.15×'],
      ['base', '× 4', '41.0', '–'],
      ['1', '× 4', '43.0', '1.05×'],
      ['8', '× 4', '45.0', '1.10×'],
      ['32', '× 4', '47.0', '1.15×'],
    ]);
    expect(text).toContain('A stand-in was measured, not llama-3-8b.');
    expect(text).toContain('All 192 requests succeeded; no warnings.');
    expect(text).not.toContain('\u001b');
  });

  test.each([200, 100, 80, 60, 50, 40])('keeps to %d characters, and to its adapters, load, TPOT and cost', (width) => {
    const text = summaryTable(resultFixture({ requests: 6 }), { width, color: false });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
    for (const head of ['adapters', 'load', 'TPOT p50', 'cost']) expect(text).toContain(head);
  });

  test('colours change nothing but the colours', () => {
    const result = resultFixture({ failing: 0.3, requests: 10 });
    const colored = summaryTable(result, { width: 100, color: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is removed
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(summaryTable(result, { width: 100, color: false }));
    expect(colored).toContain('\u001b[31m');
  });

  test('explains its marks only where they stand', () => {
    const result = resultFixture({ requests: 6 });
    expect(summaryTable(result, { width: 120, color: false })).not.toMatch(/[>†]/);
    (result.cells[0]!.runs[0]!.metrics['ttft'] as Distribution).p99 = { gt: 900 };
    result.cells[1]!.runs[0]!.state = 'interrupted';
    const text = summaryTable(result, { width: 120, color: false });
    expect(text).toContain('> 900');
    expect(text).toContain('>: falls among failed requests.');
    expect(text).toContain('†: cut short.');
  });

  test('sets ranks apart', () => {
    const lines = summaryTable(resultFixture({ ranks: [8, 64], requests: 6 }), { width: 120, color: false }).split(
      '\n',
    );
    expect(lines).toContain('rank 8');
    expect(lines).toContain('rank 64');
  });

  test('is written also when nothing was measured', () => {
    const text = summaryTable({ ...resultFixture({ requests: 2 }), cells: [] }, { width: 80, color: false });
    expect(text).toContain('Nothing was measured.');
  });

  test('a name from a server cannot drive the terminal', () => {
    const text = summaryTable(resultFixture({ model: 'a\u001b[2Jb\u009b31m\r\n\u202ec', standIn: null, requests: 4 }), {
      width: 120,
      color: false,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(plainText('a\u001b[2J')).toBe('a\uFFFD[2J');
  });
});
