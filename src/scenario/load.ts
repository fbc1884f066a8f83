/**
 * YAML text -> Scenario.
 *
 *   readScenario(file)   parse       -> ScenarioSource: a tree that knows line and column of everything
 *   resolveScenario(..)  merge       without_gpu over the rest, then what --endpoint drops, then --set
 *                        validate    schema, what this version supports, rules between keys: every problem at once
 *                        default     every default written out (defaults.ts)
 *                        normalize   units parsed, axes as arrays (normalize.ts)
 *
 * The two calls are apart because whether `without_gpu` applies is known only once the device is.
 */
import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { BenchError } from '../errors.ts';
import { withDefaults } from './defaults.ts';
import { gateOf } from './gate-of.ts';
import { sha256Of } from './hash.ts';
import { childOf, type LocatedMap, locatedOf, placesIn, plainOf } from './located.ts';
import { overlaid, without } from './merge.ts';
import { normalized } from './normalize.ts';
import { type Problem, problemsOf, scenarioError } from './problems.ts';
import { ruleProblems } from './rules.ts';
import type { Scenario } from './scenario.ts';
import { scenarioSchema } from './schema.ts';
import { type Setting, withSettings } from './set.ts';
import { unsupportedIn } from './supported.ts';

/** A scenario as it was written, parsed but not yet judged. */
export interface ScenarioSource {
  /** The file's name as messages show it; null when the text came from elsewhere. */
  file: string | null;
  text: string;
  tree: LocatedMap;
}

export interface ResolveOptions {
  /** Merge `without_gpu` over the rest (where the scenario has one); never done for an endpoint. */
  withoutGpu: boolean;
  /** `--endpoint` was given: its server replaces the target, and models, weights and engine are dropped. */
  endpoint: boolean;
  /** The URL of `--endpoint`; it becomes the scenario's target. */
  url?: string;
  /** Values of `--set`, such as "load.concurrency=[1,8]", and those of other flags. */
  set: readonly Setting[];
}

/** Reads and parses a scenario file. Throws SCENARIO_INVALID when it cannot be read or is no YAML mapping. */
export function readScenario(file: string): ScenarioSource {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : String(cause);
    throw new BenchError('SCENARIO_INVALID', `cannot read the scenario ${file}: ${why}`, {
      cause,
      hint: 'give a scenario file, such as scenarios/smoke.yaml',
    });
  }
  return scenarioFromText(text, file);
}

/** As readScenario, for text that is at hand; `fileLabel` stands for the file's name in messages. */
export function scenarioFromText(text: string, fileLabel: string | null): ScenarioSource {
  const expected = 'expected a mapping with name, models, prompt, output and load';
  return { file: fileLabel, text, tree: treeOf(text, fileLabel ?? 'scenario', expected) };
}

/** A mapping in YAML. Throws SCENARIO_INVALID when the text is none, and says what was expected. */
export function treeOf(text: string, label: string, expected: string): LocatedMap {
  const lines = new LineCounter();
  const placeAt = placesIn(label, lines);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw scenarioError(
      label,
      faults.map((fault): Problem => ({ place: placeAt(fault.pos[0]), text: `not valid YAML: ${fault.message}` })),
    );
  }
  const tree = locatedOf(document, placeAt);
  if (tree.kind !== 'map') throw scenarioError(label, [{ place: tree.at, text: expected }]);
  return tree;
}

export const hasWithoutGpu = (source: ScenarioSource): boolean => source.tree.entries.has('without_gpu');

/** Which kind of server the scenario names, before it is validated; `set` as for resolveScenario. */
export function targetOf(source: ScenarioSource, set: readonly string[] = []): 'engine' | 'endpoint' {
  const target = childOf(withSettings(source.tree, set), 'target')?.value;
  return target?.kind === 'map' ? 'endpoint' : 'engine';
}

/** The scenario that will be run. Throws one error that names every problem: SCENARIO_INVALID, UNSUPPORTED or USAGE. */
export function resolveScenario(source: ScenarioSource, options: ResolveOptions): Scenario {
  const { plain, overlay } = variantsOf(source.tree, options);
  const chosen = options.withoutGpu && overlay ? overlay : plain;
  const settled = withSettings(chosen, settingsOf(options));
  const problems = problemsIn(settled, options);
  if (overlay) problems.push(...lastingProblems(chosen === overlay ? plain : overlay, options, problems));
  if (problems.length > 0) throw scenarioError(source.file ?? 'scenario', problems);

  const input = scenarioSchema.parse(plainOf(settled));
  const onEngine = !options.endpoint && (input.target ?? 'engine') === 'engine';
  const resolved = withDefaults(input, onEngine);
  return {
    ...normalized(resolved),
    gate: gateOf(resolved.gate, settled),
    file: source.file,
    text: source.text,
    hash: sha256Of(resolved),
    resolved: { ...resolved },
    withoutGpu: chosen === overlay,
  };
}

/** What --endpoint says comes first, so that --set can add to it. */
function settingsOf({ endpoint, url, set }: ResolveOptions): Setting[] {
  return endpoint && url !== undefined ? [{ flag: '--endpoint', path: ['target'], value: { url } }, ...set] : [...set];
}

/** The scenario as it stands, and with without_gpu over it where it has one that can apply. */
function variantsOf(tree: LocatedMap, options: ResolveOptions): { plain: LocatedMap; overlay: LocatedMap | null } {
  if (options.endpoint) return { plain: without(tree, ['target', 'models', 'weights', 'engine']), overlay: null };
  const over = childOf(tree, 'without_gpu')?.value;
  return {
    plain: tree,
    overlay: over?.kind === 'map' ? overlaid(without(tree, ['without_gpu']), over) : null,
  };
}

/**
 * Problems of the variant that will not run: a mistake in without_gpu should not wait for a machine without GPU to be
 * found, nor the reverse. What --set causes there or mends is left out, since it is meant for the variant that runs.
 */
function lastingProblems(tree: LocatedMap, options: ResolveOptions, told: readonly Problem[]): Problem[] {
  const toldPlaces = new Set(told.map((problem) => problem.place.label));
  const settled = new Set(problemsIn(withSettings(tree, settingsOf(options)), options).map((problem) => problem.text));
  return problemsIn(tree, options).filter(
    (problem) => settled.has(problem.text) && !toldPlaces.has(problem.place.label),
  );
}

function problemsIn(tree: LocatedMap, options: ResolveOptions): Problem[] {
  const plain = plainOf(tree) as Record<string, unknown>;
  const parsed = scenarioSchema.safeParse(plain);
  return [
    ...(parsed.success ? [] : problemsOf(parsed.error, tree, plain)),
    ...unsupportedIn(plain, tree),
    ...ruleProblems(plain, tree, options),
  ];
}
