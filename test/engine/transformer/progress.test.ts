/** When people are told how far a read has come, on a clock of the test's own. */
import { expect, test } from 'vitest';
import { Progress } from '../../../engine/transformer/progress.ts';

const MIB = 2 ** 20;

function run(parts: { mib: number; seconds: number }[], totalMib: number): string[] {
  const lines: string[] = [];
  let seconds = 0;
  const progress = new Progress(
    'reading x',
    totalMib * MIB,
    'bytes',
    (line) => lines.push(line),
    () => seconds * 1e9,
  );
  for (const part of parts) {
    seconds += part.seconds;
    progress.add(part.mib * MIB);
  }
  progress.end();
  return lines;
}

test('a line when 5 percent more is done, and not one for less', () => {
  const parts = Array.from({ length: 100 }, () => ({ mib: 1, seconds: 2 }));
  const lines = run(parts, 100);
  expect(lines[0]).toBe('reading x: 5.0 of 100.0 MiB, 5%');
  expect(lines[1]).toBe('reading x: 10.0 of 100.0 MiB, 10%');
  expect(lines.at(-1)).toBe('reading x: 100.0 MiB in 200.0 s');
  expect(lines).toHaveLength(21);
});

test('not more than one line a second', () => {
  const parts = Array.from({ length: 100 }, () => ({ mib: 1, seconds: 0.03 }));
  expect(run(parts, 100)).toEqual([
    'reading x: 34.0 of 100.0 MiB, 34%',
    'reading x: 68.0 of 100.0 MiB, 68%',
    'reading x: 100.0 MiB in 3.0 s',
  ]);
});

test('what is done at once has one line', () => {
  expect(run([{ mib: 0.5, seconds: 0.1 }], 0.5)).toEqual(['reading x: 0.5 MiB in 0.1 s']);
});

test('layers are counted one by one', () => {
  const lines: string[] = [];
  let seconds = 0;
  const progress = new Progress(
    'folding x',
    4,
    'layers',
    (line) => lines.push(line),
    () => seconds * 1e9,
  );
  for (let layer = 0; layer < 4; layer++) {
    seconds += 0.6;
    progress.add(1);
  }
  progress.end();
  expect(lines).toEqual([
    'folding x: 2 of 4 layers, 50%',
    'folding x: 4 of 4 layers, 100%',
    'folding x: 4 layers in 2.4 s',
  ]);
});
