/**
 * Which kernels do a stage of a step: by what the device can do, what has been checked on it, and how many rows there are.
 *
 * The portable kernels do everything everywhere. The others are faster where the hardware suits them, and are off until that
 * hardware has run them and its answers were checked against the portable ones (test/perf/gpu-measure.mjs does both): CHECKED
 * says where that was, and `--kernels fast` takes all the device can without having been asked.
 */
import type { DeviceFacts } from '../device/facts.ts';

export const VARIANTS = ['gemv', 'split-k', 'tiles', 'split-kv', 'flash', 'sample-wide'] as const;
export type Variant = (typeof VARIANTS)[number];

/** What --kernels takes: auto is CHECKED's, fast all that the device can, portable none; or a list. */
export type KernelChoice = 'auto' | 'fast' | 'portable' | readonly Variant[];

/** By the chip's family as its driver calls it (GPUAdapterInfo.architecture): what ran there and gave the right answers. */
const CHECKED: Readonly<Record<string, readonly Variant[]>> = {};

/** What keeps the device from running a variant; null where nothing does. */
export function lackOf(variant: Variant, { subgroups, subgroupSizeControl, matrix, f16 }: DeviceFacts): string | null {
  switch (variant) {
    case 'gemv':
      if (!subgroups) return 'subgroups';
      return subgroups.min === subgroups.max ? null : 'subgroups of one width';
    case 'split-k':
    case 'tiles':
      if (!f16) return 'f16 in shaders';
      if (!subgroupSizeControl) return 'subgroups whose width can be asked for';
      return matrix ? null : 'tensor cores for f16 products summed in f32';
    case 'split-kv':
    case 'flash':
    case 'sample-wide':
      return null;
  }
}

/**
 * The variants to compile and choose from.
 * @throws RangeError naming what the device lacks for a variant that was asked for by name
 */
export function variantsFor(choice: KernelChoice, facts: DeviceFacts, architecture: string): ReadonlySet<Variant> {
  if (choice === 'portable') return new Set();
  if (choice === 'auto') return new Set((CHECKED[architecture] ?? []).filter((one) => lackOf(one, facts) === null));
  if (choice === 'fast') return new Set(VARIANTS.filter((one) => lackOf(one, facts) === null));
  for (const one of choice) {
    const lack = lackOf(one, facts);
    if (lack !== null) throw new RangeError(`${one} needs ${lack}, which this device does not have`);
  }
  return new Set(choice);
}

/** Rows up to which a product is one of a matrix and few vectors, bound by reading the matrix without tensor cores. */
export const FEW_ROWS = 8;
/** Rows up to which a product is still bound by reading the matrix, and too few for whole tiles. */
const SOME_ROWS = 64;

/** The first of these that is there does a product of so many rows. */
const BY_ROWS: { upTo: number; inOrder: readonly Variant[] }[] = [
  { upTo: FEW_ROWS, inOrder: ['gemv', 'split-k'] },
  { upTo: SOME_ROWS, inOrder: ['split-k'] },
  { upTo: Number.POSITIVE_INFINITY, inOrder: ['tiles'] },
];

export function productVariant(rows: number, available: ReadonlySet<Variant>): Variant | 'portable' {
  const { inOrder } = BY_ROWS.find(({ upTo }) => rows <= upTo) as (typeof BY_ROWS)[number];
  return inOrder.find((one) => available.has(one)) ?? 'portable';
}

export type AttentionChoice = 'portable' | 'split-kv' | 'flash' | 'split-kv+flash';

/** @param step rows of it that are decodes, and all */
export function attentionVariant(
  { rows, decodes }: { rows: number; decodes: number },
  available: ReadonlySet<Variant>,
): AttentionChoice {
  const [split, flash] = [available.has('split-kv'), available.has('flash')];
  if (decodes === rows) return split ? 'split-kv' : 'portable';
  if (decodes === 0) return flash ? 'flash' : 'portable';
  return split && flash ? 'split-kv+flash' : 'portable';
}
