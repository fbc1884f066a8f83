import { expect, it } from 'vitest';
import { gravest } from '../../src/commands/gravest.ts';
import { BenchError, type ErrorCode } from '../../src/errors.ts';

it.each<[ErrorCode[], ErrorCode, number]>([
  [['PLAN_INVALID', 'TARGET_DIED'], 'TARGET_DIED', 5],
  [['NO_DATA', 'UNSUPPORTED'], 'UNSUPPORTED', 2],
  [['TARGET_DIED', 'OUTPUT_DISK_FULL'], 'TARGET_DIED', 5],
  [['OUTPUT_DISK_FULL', 'INTERRUPTED', 'TARGET_DIED'], 'INTERRUPTED', 130],
  [['NO_DATA'], 'NO_DATA', 3],
])('of %j it is %s', (codes, code, exitCode) => {
  expect(gravest(codes.map((each) => new BenchError(each, each)))).toMatchObject({ code, exitCode });
});

it('is nothing where nothing failed', () => {
  expect(gravest([])).toBeUndefined();
});
