/**
 * A layer's stages in every kernel that may do them, and which does them in a step: variants.ts says by rows and what they are. The
 * choice is made at each stage of each layer, alike for all layers of a step, since it depends on the step alone.
 *
 * What the model's shapes do not allow is left out, or refused where it was asked for by name; `variants` says what is there.
 */
import { EngineError } from '../errors.ts';
import { type AttentionVariant, attentionLack, attentionStages } from './attention-stages.ts';
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

/** @throws EngineError usage for a variant by name that the model cannot have; bug, naming the kernel, when one does not compile */
export async function chosenStages(context: StageContext): Promise<ChosenStages> {
  const { options } = context;
  const wanted = (variant: Variant, lack: () => string | null): boolean => {
    if (!options.variants.has(variant)) return false;
    const why = lack();
    if (why !== null && options.named) throw new EngineError('usage', `--kernels: ${variant} needs ${why}`);
    return why === null;
  };
  const heads = () => attentionLack(context.geometry);
  const [splits, flashes] = [wanted('split-kv', heads), wanted('flash', heads)];
  const attends = splits || flashes;
  const [portable, gemv, splitK, tiles, attention] = await Promise.all([
    portableStages(context),
    wanted('gemv', () => (gemvTakesModel(context) ? null : 'widths in whole loads of 16 bytes'))
      ? gemvStages(context)
      : null,
    wanted('split-k', () => splitKLack(context)) ? splitKStages(context, context.buffers.partials) : null,
    wanted('tiles', () => tilesLack(context)) ? tilesStages(context) : null,
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
      (variant) =>
        variant in products ||
        (variant === 'split-kv' && splits) ||
        (variant === 'flash' && flashes) ||
        (variant === 'sample-wide' && !options.facts.software),
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
