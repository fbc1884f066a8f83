/**
 * A layer's stages in every kernel that may do them, and which does them in a step: variants.ts says by rows and what they are. The
 * choice is made at each stage of each layer, alike for all layers of a step, since it depends on the step alone.
 *
 * What was asked for and the model's widths do not allow is left out; `variants` says what is there.
 */
import { type AttentionVariant, attentionStages } from './attention-stages.ts';
import { GROUPS, type Group } from './dimensions.ts';
import { gemvStages, gemvTakesModel } from './gemv-stages.ts';
import { portableStages } from './portable-stages.ts';
import { splitKLack, splitKStages } from './split-k-stages.ts';
import type { Stage, StageBinder, StageContext, StageName } from './stage.ts';
import { tilesLack, tilesStages } from './tiles-stages.ts';
import { attentionVariant, productVariant, type Variant } from './variants.ts';

export interface ChosenStages {
  stages: Record<StageName, StageBinder>;
  /** Families of kernels that steps may be run by; portable ones are always there. */
  variants: readonly string[];
}

type Products = Partial<Record<Variant | 'portable', Record<Group, StageBinder>>>;
type Attentions = Partial<Record<AttentionVariant | 'portable', StageBinder>>;

/** @throws EngineError naming the kernel, when one does not compile */
export async function chosenStages(context: StageContext): Promise<ChosenStages> {
  const { options } = context;
  const wanted = (variant: Variant, lack: string | null) => options.variants.has(variant) && lack === null;
  const attends = options.variants.has('split-kv') || options.variants.has('flash');
  const [portable, gemv, splitK, tiles, attention] = await Promise.all([
    portableStages(context),
    wanted('gemv', gemvTakesModel(context) ? null : 'its widths') ? gemvStages(context) : null,
    wanted('split-k', splitKLack(context)) ? splitKStages(context, context.buffers.partials) : null,
    wanted('tiles', tilesLack(context)) ? tilesStages(context) : null,
    attends ? attentionStages(context) : null,
  ]);
  const products: Products = {
    portable,
    ...(gemv && { gemv }),
    ...(splitK && { 'split-k': splitK }),
    ...(tiles && { tiles }),
  };
  const there = new Set(
    [...options.variants].filter(
      (variant) => variant in products || (attends && isAttention(variant)) || variant === 'sample-wide',
    ),
  );
  const attentions: Attentions = { portable: portable.attention, ...attention };
  const product = (group: Group): StageBinder => choosing(products, group, there);
  return {
    stages: {
      ...(Object.fromEntries(GROUPS.map((group) => [group, product(group)])) as Record<Group, StageBinder>),
      attention: (layer) => {
        const bound = new Map(Object.entries(attentions).map(([name, binder]) => [name, binder(layer)]));
        return { encode: (run, step) => of(bound, attentionVariant(step, there)).encode(run, step) };
      },
    },
    variants: ['portable', ...there],
  };
}

const isAttention = (variant: Variant): boolean => variant === 'split-kv' || variant === 'flash';

function choosing(products: Products, group: Group, there: ReadonlySet<Variant>): StageBinder {
  return (layer) => {
    const bound = new Map(Object.entries(products).map(([name, binders]) => [name, binders[group](layer)]));
    return { encode: (run, step) => of(bound, productVariant(step.rows, there)).encode(run, step) };
  };
}

/** A stage that was chosen and is not there would leave its buffers as they were: wrong tokens, and no error. */
function of(stages: ReadonlyMap<string, Stage>, name: string): Stage {
  const found = stages.get(name);
  if (!found) throw new Error(`no stage was made of ${name}`);
  return found;
}
