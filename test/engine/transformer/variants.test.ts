/** Which kernels are taken: none that was not checked on the chip unless asked for, none the device cannot run, by rows. */
import { expect, it } from 'vitest';
import type { DeviceFacts } from '../../../engine/device/facts.ts';
import { attentionLack } from '../../../engine/transformer/attention-stages.ts';
import {
  attentionVariant,
  lackOf,
  productVariant,
  VARIANTS,
  variantsFor,
} from '../../../engine/transformer/variants.ts';

const hopper: DeviceFacts = {
  software: false,
  subgroups: { min: 32, max: 32 },
  subgroupSizeControl: true,
  f16: true,
  timestamps: true,
  matrix: { m: 16, n: 16, k: 16 },
  maxWorkgroupBytes: 49_152,
  maxInvocations: 1024,
};
const plain: DeviceFacts = { ...hopper, subgroups: null, f16: false, matrix: null };

it('is nothing but the portable kernels on a chip that nothing was checked on', () => {
  expect([...variantsFor('auto', hopper, 'never-seen')]).toEqual([]);
  expect([...variantsFor('portable', hopper, 'hopper')]).toEqual([]);
});

it('is all that the device can where that is asked for', () => {
  expect([...variantsFor('fast', hopper, 'hopper')]).toEqual([...VARIANTS]);
  expect([...variantsFor('fast', plain, '')]).toEqual(['split-kv', 'flash', 'sample-wide']);
});

it('refuses by name what the device lacks', () => {
  expect([...variantsFor(['tiles', 'flash'], hopper, '')]).toEqual(['tiles', 'flash']);
  expect(() => variantsFor(['gemv'], plain, '')).toThrow('gemv needs subgroups, which this device does not have');
  expect(() => variantsFor(['tiles'], plain, '')).toThrow(/tiles needs f16/);
  expect(lackOf('split-k', { ...hopper, matrix: null })).toMatch(/tensor cores/);
});

it('follows the rows of a step', () => {
  const all = new Set(VARIANTS);
  const chosen = (rows: number) => productVariant(rows, all);
  expect([1, 8, 9, 64, 65, 2048].map(chosen)).toEqual(['gemv', 'gemv', 'split-k', 'split-k', 'tiles', 'tiles']);
  expect(productVariant(4, new Set(['split-k'] as const))).toBe('split-k');
  expect(productVariant(4, new Set(['tiles'] as const))).toBe('portable');
});

it('follows what rows are in attention', () => {
  const both = new Set(['split-kv', 'flash'] as const);
  expect(attentionVariant({ rows: 4, decodes: 4 }, both)).toBe('split-kv');
  expect(attentionVariant({ rows: 40, decodes: 0 }, both)).toBe('flash');
  expect(attentionVariant({ rows: 40, decodes: 4 }, both)).toBe('split-kv+flash');
  expect(attentionVariant({ rows: 40, decodes: 4 }, new Set(['flash'] as const))).toBe('portable');
  expect(attentionVariant({ rows: 4, decodes: 4 }, new Set(['flash'] as const))).toBe('portable');
});

it('leaves out what a model cannot have, by its shapes', () => {
  expect([32, 64, 128].map((headDim) => attentionLack({ headDim }))).toEqual([null, null, null]);
  for (const headDim of [80, 96, 100]) expect(attentionLack({ headDim })).toMatch(/not \d+$/);
  const width = (min: number, max: number) => lackOf('gemv', { ...hopper, subgroups: { min, max } });
  expect([width(32, 32), width(8, 32)]).toEqual([null, 'subgroups of one width']);
});
