/** What stands behind "can this be trusted": every doubt once, with all the cells it is true of, and counted as listed. */
import { expect, test } from 'vitest';
import { trustOf } from '../../src/report/trust.ts';
import { resultFixture } from './fixture.ts';

test('a warning that several cells share is one line with their ids, one of a single cell says what that cell is', () => {
  const result = resultFixture({});
  result.warnings = [];
  result.cells.forEach(({ runs }, i) => {
    for (const run of runs) run.validity.warnings = i < 3 ? ['shared by three'] : i === 3 ? ['its own'] : [];
  });
  const { headline, reasons } = trustOf(result);
  const [first, second, third, fourth] = result.cells;
  expect(reasons).toContain(`${first?.id}, ${second?.id}, ${third?.id}: shared by three`);
  expect(reasons.filter((reason) => reason.includes('shared by three'))).toHaveLength(1);
  expect(reasons.find((reason) => reason.endsWith(': its own'))).toMatch(
    new RegExp(`^${fourth?.id} \\(.+\\): its own$`),
  );
  expect(headline).toContain(`${reasons.length} warnings`);
});

test('a client that added to times comes before warnings, and names its cells', () => {
  const result = resultFixture({});
  const [first] = result.cells;
  for (const { validity } of first!.runs) {
    validity.clientError = { ttft: { p50: 3, p99: 4 }, tpot: null, limited: ['ttft.p50', 'ttft.p99'] };
  }
  const { level, headline } = trustOf(result);
  expect(level).toBe('bad');
  expect(headline).toMatch(/^Client limited: in 1 cell \(c1\)/);
});
