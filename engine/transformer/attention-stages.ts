/**
 * The attention stage in kernels for GPUs, whose rows share what they read: `split-kv` for decodes, whose keys and values are
 * each loaded once for all heads that use them, by as many workgroups as keep the device busy; `flash` for prompts, tiles of
 * whose rows share keys and values; and both, each for its rows of the step.
 *
 * They ask no feature of the device; with subgroups, decodes add their scores there. A row's sums depend on what else is in
 * the step (how far its keys are split), so batch-invariant models keep the portable stage.
 */
import { attentionFlash, attentionFlashConstants, attentionFlashGrid, flashTile } from '../kernels/attention-flash.ts';
import {
  attentionMerge,
  attentionMergeConstants,
  attentionMergeGrid,
  attentionSplit,
  attentionSplitConstants,
  attentionSplitGrid,
  splitsOf,
  splitTeam,
} from '../kernels/attention-split.ts';
import { call } from '../kernels/kernel.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import { attentionShapeOf } from './product-stages.ts';
import type { LayerBuffers, Run, StageBinder, StageContext } from './stage.ts';

export const ATTENTION_VARIANTS = ['split-kv', 'flash', 'split-kv+flash'] as const;
export type AttentionVariant = (typeof ATTENTION_VARIANTS)[number];

/** Why these stages cannot take the model; null where nothing keeps them from it. Lanes share a head by halves. */
export const attentionLack = ({ headDim }: Pick<Geometry, 'headDim'>): string | null =>
  [32, 64, 128].includes(headDim) ? null : `heads of 32, 64 or 128 elements, not ${headDim}`;

/** Whether a variant does all rows of such a step. */
export const attentionTakes = (variant: AttentionVariant, step: Pick<StepShape, 'queryTiles'>): boolean =>
  variant !== 'split-kv' || step.queryTiles === 0;

/** @throws EngineError naming the kernel, when one does not compile */
export async function attentionStages(context: StageContext): Promise<Record<AttentionVariant, StageBinder>> {
  const [decodes, prompts, all] = await Promise.all([
    splitRows(context),
    flashRows(context, 'prompts'),
    flashRows(context, 'all'),
  ]);
  const stage =
    (...parts: Rows[]): StageBinder =>
    (layer) => {
      const encodes = parts.map((part) => part(layer));
      return {
        encode: (run, step) => {
          for (const encode of encodes) encode(run, step);
        },
      };
    };
  return { 'split-kv': stage(decodes), flash: stage(all), 'split-kv+flash': stage(decodes, prompts) };
}

/** Attention of some of a step's rows, bound to a layer. */
type Rows = (layer: LayerBuffers) => (run: Run, step: StepShape) => void;

async function splitRows({ compiler, geometry, buffers: b, options }: StageContext): Promise<Rows> {
  const shape = attentionShapeOf(geometry);
  const [split, merge] = await Promise.all([
    compiler.compile(attentionSplit(shape, splitTeam(shape.headDim, options.facts)), attentionSplitConstants(shape)),
    compiler.compile(attentionMerge, attentionMergeConstants(shape)),
  ]);
  return ({ k, v }) => {
    const pieces = call(split, b.step, b.q, k, v, b.attentionPieces, b.attended);
    const whole = call(merge, b.step, b.attentionPieces, b.attended);
    return (run, step) => {
      if (step.decodes === 0) return;
      run(pieces, attentionSplitGrid(shape, step));
      if (splitsOf(shape, step) > 1) run(whole, attentionMergeGrid(shape, step));
    };
  };
}

async function flashRows(
  { compiler, geometry, buffers: b, options }: StageContext,
  rows: 'prompts' | 'all',
): Promise<Rows> {
  const shape = attentionShapeOf(geometry);
  const tile = flashTile(shape, options.facts);
  const flash = await compiler.compile(attentionFlash(shape, tile), attentionFlashConstants(shape, rows));
  return ({ k, v }) => {
    const attended = call(flash, b.step, b.q, k, v, b.attended);
    return (run, step) => {
      const grid = attentionFlashGrid(shape, tile, step, rows);
      if (grid[0] > 0) run(attended, grid);
    };
  };
}
