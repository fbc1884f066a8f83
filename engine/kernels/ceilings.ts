/** What a device can do at most: see ceiling-*.wgsl and device/ceilings.ts. */
import type { DeviceFacts } from '../device/facts.ts';
import { defineKernel, type Kernel } from './kernel.ts';

/** data -> sink */
export const ceilingRead = defineKernel('ceiling-read', ['read', 'write']);
/** data -> into */
export const ceilingCopy = defineKernel('ceiling-copy', ['read', 'write']);
/** x -> y */
export const ceilingFma = defineKernel('ceiling-fma', ['read', 'write']);
/** left, right -> y */
export const ceilingMatrix = ({ m, n, k }: NonNullable<DeviceFacts['matrix']>): Kernel =>
  defineKernel('ceiling-matrix', ['read', 'read', 'write'], {
    enable: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
    fixed: { SM: m, SN: n, SK: k },
  });

/** Floating-point operations of an invocation and round; a multiply-add counts as two. */
export const FMA_OPERATIONS = 64;
/** Products of a subgroup and round. */
export const MATRIX_PRODUCTS = 8;
