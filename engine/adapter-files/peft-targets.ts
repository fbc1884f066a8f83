/**
 * Which projections of a base model a PEFT config means, and the rank and alpha of each: config and number of layers in,
 * one entry a projection out. Rules: check_target_module_exists in src/peft/tuners/tuners_utils.py and get_pattern_key in
 * src/peft/utils/other.py of huggingface/peft 0.21.2, applied to the names of a LlamaForCausalLM.
 */
import { HUGGING_FACE_NAMES, MODULES, type ModuleName } from '../models/projections.ts';
import type { PeftConfig } from './peft-config.ts';
import { shown } from './peft-config-fields.ts';
import { type NamePattern, namePattern, newBudget, type StepBudget, spend } from './peft-pattern.ts';
import { PatternError } from './peft-pattern-parser.ts';

export interface TargetedModule {
  layer: number;
  module: ModuleName;
  rank: number;
  /** null for VeRA. */
  alpha: number | null;
  scale: number;
}

export interface Targets {
  /** By layer, then in the order of MODULES. */
  modules: TargetedModule[];
  problems: string[];
  notes: string[];
}

/** What a name that is compared as such takes of the budget, as much as its time against that of a pattern's steps. */
const PLAIN_STEPS = 16;

/** Linear or embedding modules outside the layers, which no adapter may change here. */
const OUTSIDE = ['model.embed_tokens', 'lm_head'];

export const moduleName = (layer: number, module: ModuleName): string =>
  `model.layers.${layer}.${HUGGING_FACE_NAMES[module]}`;

/** @param layers of the base; when `exact` is false the base is not known and it is a lower bound */
export function targetsOf(config: PeftConfig, layers: number, exact: boolean): Targets {
  const targets: Targets = { modules: [], problems: [], notes: [] };
  try {
    fill(config, layers, exact, targets);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    targets.problems.push(error.message);
  }
  return targets;
}

function fill(config: PeftConfig, layers: number, exact: boolean, targets: Targets): void {
  const budget = newBudget();
  const wanted = selector('target_modules', config.targets, budget);
  const excluded = selector('exclude_modules', config.excluded, budget);
  const inLayer = config.layersPattern.map((text) =>
    named('layers_pattern', text, `(?:.*\\.)?(?:${text})\\.\\d+\\..*`, budget),
  );
  const ranks = patterns('rank_pattern', config.rankPattern, budget);
  const alphas = patterns('alpha_pattern', config.alphaPattern, budget);

  for (let layer = 0; layer < layers; layer++) {
    for (const module of MODULES) {
      const name = moduleName(layer, module);
      const how = wanted.matches(name);
      if (!how || excluded.matches(name)) continue;
      if (how === 'end' && config.layers) {
        if (!config.layers.includes(layer)) continue;
        if (inLayer.length > 0 && !inLayer.some((pattern) => pattern.matches(name))) continue;
      }
      const rank = ranks(name) ?? config.rank;
      const alpha = config.alpha === null ? null : (alphas(name) ?? config.alpha);
      targets.modules.push({ layer, module, rank, alpha, scale: scaleOf(alpha, rank, config.rankStabilized) });
    }
  }
  for (const name of OUTSIDE) {
    if (!wanted.isAllLinear && wanted.matches(name) && !excluded.matches(name)) {
      targets.problems.push(
        `target_modules means ${name}: adapters on the embeddings and the output head are not served`,
      );
    }
  }
  judgeEntries(config, layers, exact, wanted.unused(), targets);
}

/** What each entry of the config means in the base, when that is nothing. */
function judgeEntries(config: PeftConfig, layers: number, exact: boolean, unused: string[], targets: Targets): void {
  const beyond = exact ? (config.layers ?? []).filter((layer) => layer >= layers) : [];
  if (beyond.length > 0) {
    targets.problems.push(
      `layers_to_transform: expected layers 0 to ${layers - 1} of the base, found ${beyond.join(', ')}`,
    );
  }
  const isBeyond = (entry: string) => Number(/(?:^|\.)(\d+)\./.exec(entry)?.[1] ?? -1) >= layers;
  const named = unused.filter(isBeyond);
  if (exact && named.length > 0) {
    targets.problems.push(`target_modules: expected layers 0 to ${layers - 1} of the base, found ${listed(named)}`);
  }
  const idle = exact ? unused.filter((entry) => !isBeyond(entry)) : [];
  if (idle.length > 0)
    targets.notes.push(`target_modules names ${listed(idle)}, which the base does not have: without effect`);
  if (targets.modules.length === 0 && targets.problems.length === 0) {
    targets.problems.push(
      `target_modules ${shown(config.targets)} means no projection of the base; expected names such as ` +
        Object.values(HUGGING_FACE_NAMES)
          .map((name) => name.split('.')[1])
          .join(', '),
    );
  }
}

const listed = (entries: string[]): string => {
  const some = entries.slice(0, 8).map((entry) => `"${entry.slice(0, 80)}"`);
  return some.join(', ') + (entries.length > 8 ? ` and ${entries.length - 8} more` : '');
};

/** alpha / r, or alpha / sqrt(r) (Kalajdzievski, arXiv 2312.03732); 1 where there is no alpha. */
function scaleOf(alpha: number | null, rank: number, stabilized: boolean): number {
  if (alpha === null) return 1;
  return alpha / (stabilized ? Math.sqrt(rank) : rank);
}

interface Selector {
  /** `end`: by the end of the name, the one way that layers_to_transform limits. */
  matches(name: string): false | 'whole' | 'end';
  /** Entries that have matched nothing so far. */
  unused(): string[];
  isAllLinear: boolean;
}

function selector(field: string, entries: string[] | string, budget: StepBudget): Selector {
  if (typeof entries === 'string') {
    // "all-linear" is every linear layer but the output head, which here is every projection.
    const isAllLinear = field === 'target_modules' && entries.toLowerCase() === 'all-linear';
    const pattern = isAllLinear || entries === '' ? null : named(field, entries, entries, budget);
    const matches = (name: string) => isAllLinear || pattern?.matches(name) === true;
    return {
      matches: (name) => (matches(name) ? (isAllLinear ? 'end' : 'whole') : false),
      unused: () => [],
      isAllLinear,
    };
  }
  const known = new Set(entries);
  const used = new Set<string>();
  const matches = (name: string): false | 'whole' | 'end' => {
    const parts = name.split('.');
    let found: false | 'whole' | 'end' = false;
    for (let from = parts.length - 1; from >= 0; from--) {
      const end = parts.slice(from).join('.');
      if (!known.has(end)) continue;
      used.add(end);
      found = from === 0 ? 'whole' : 'end';
    }
    return found;
  };
  return { matches, unused: () => entries.filter((entry) => !used.has(entry)), isAllLinear: false };
}

/** The value of the first pattern that matches a name's whole or its end after a dot; undefined when none does. */
function patterns(
  field: string,
  entries: readonly [string, number][],
  budget: StepBudget,
): (name: string) => number | undefined {
  const tests = entries.map(([text, value]) => {
    const plain = plainPattern(text, budget);
    if (plain) return { ...explained(field, text, plain), value };
    named(field, text, text, budget); // by itself first: what is unbalanced in it must not be balanced by the group below
    const pattern = named(field, text, `(?:.*\\.)?(?:${text})`, budget);
    return { ...pattern, value };
  });
  return (name) => tests.find((test) => test.matches(name))?.value;
}

/**
 * The same for a pattern that is a name, as most are (one a module, so hundreds of them, each asked for every module): word
 * characters, dots that stand for any character, escaped dots, and ^ and $ around it. null for any other.
 */
function plainPattern(text: string, budget: StepBudget): NamePattern | null {
  const [, start, body] = /^(\^?)((?:[\w.]|\\\.)+)\$?$/.exec(text) ?? [];
  if (body === undefined) return null;
  const characters = body.match(/\\\.|./g)!.map((c) => (c === '.' ? null : c.at(-1)!));
  return {
    matches(name) {
      spend(budget, PLAIN_STEPS);
      const from = name.length - characters.length;
      if (from < 0 || (from > 0 && (start !== '' || name[from - 1] !== '.'))) return false;
      return characters.every((character, i) => character === null || character === name[from + i]);
    },
  };
}

function named(field: string, text: string, pattern: string, budget: StepBudget): NamePattern {
  return explained(
    field,
    text,
    telling(field, text, () => namePattern(pattern, budget)),
  );
}

/** The pattern, with errors that say where it is from. */
const explained = (field: string, text: string, pattern: NamePattern): NamePattern => ({
  matches: (name) => telling(field, text, () => pattern.matches(name)),
});

function telling<T>(field: string, text: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new PatternError(`${field}: the pattern ${shown(text)} ${error.message}`, { cause: error });
  }
}
