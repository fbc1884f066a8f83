/** What is said of a device's ceilings is measured on it: every figure is there, positive, and of the right order to the others. */
import { expect, it } from 'vitest';
import { measureCeilings } from '../../../engine/device/ceilings.ts';
import { testDevice } from '../../support/device.ts';

it('measures all of them on this device', { timeout: 60_000 }, async () => {
  const open = await testDevice();
  const { matrix, mapUs, bytes, dispatchUs, encodeUs, submitUs, ...rates } = await measureCeilings(open);
  for (const [name, { best, median }] of Object.entries(rates)) {
    expect(median, name).toBeGreaterThan(1e6);
    expect(best, name).toBeGreaterThanOrEqual(median);
  }
  expect(bytes).toBeGreaterThanOrEqual(2 ** 26);
  expect(matrix === null).toBe(open.facts.matrix === null);
  if (matrix) expect(matrix).toMatchObject(open.facts.matrix ?? {});
  for (const cost of [dispatchUs, encodeUs, submitUs, mapUs.p50]) expect(cost).toBeGreaterThan(0);
  expect(mapUs.p99).toBeGreaterThanOrEqual(mapUs.p50);
  // A dispatch that waits for another takes longer than to write down that it is wanted.
  expect(dispatchUs).toBeGreaterThan(encodeUs);
});
