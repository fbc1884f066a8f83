/**
 * Rules between the keys of a scenario, which a schema of single values cannot say: what must be there together, what
 * excludes what, which names exist. They look at data that may have failed the schema, so they take nothing for granted
 * and stay silent about values that are wrong in themselves.
 */
import { looksLikeFolder } from '../../engine/models/find-model.ts';
import { geometryOf, isGeometry, PRESETS } from '../../engine/models/geometry.ts';
import { adapterRules, type Report } from './adapter-rules.ts';
import { didYouMean } from './did-you-mean.ts';
import { gateRules } from './gate-rules.ts';
import { canonicalJson } from './hash.ts';
import { loadRules } from './load-rules.ts';
import type { Located } from './located.ts';
import { axisValues, isObject, type Plain } from './plain-data.ts';
import { type Path, type Problem, problemAt, shown } from './problems.ts';
import { targetRules } from './target-rules.ts';

const AXES = [
  ['models'],
  ['weights'],
  ...['rank', 'count', 'popularity', 'base_share', 'kind', 'mode', 'residency'].map((key) => ['adapters', key]),
  ['workload'],
  ['prompt', 'tokens'],
  ['output', 'tokens'],
  ['output', 'control'],
  ['load', 'concurrency'],
  ['load', 'rate'],
];

/** `endpoint`: the command line names an endpoint, so that the scenario's target, models, weights and engine are gone. */
export function ruleProblems(plain: Plain, tree: Located, options: { endpoint: boolean }): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, text, unsupported = false) =>
    problems.push({ ...problemAt(tree, path, text), unsupported });
  const onEngine = !options.endpoint && (plain['target'] === undefined || plain['target'] === 'engine');

  if (onEngine) engineModels(plain, report);
  else if (!options.endpoint) endpointKeys(plain, report);
  targetRules(plain['target'], report);
  lengthsGiven(plain, report);
  lengthRules(plain, report);
  adapterRules(plain, onEngine, report);
  loadRules(plain, report);
  extraBodyRules(plain['request'], report);
  gateRules(plain, report);
  for (const axis of AXES) noneTwice(axisValues(plain, axis), report);
  return problems;
}

function engineModels(plain: Plain, report: Report): void {
  const models = axisValues(plain, ['models']);
  if (plain['models'] === undefined) {
    report(
      [],
      `models: is missing; expected a preset (${Object.keys(PRESETS).join(', ')}), a stand-in such as llama-3-8b@1/8, ` +
        'or a folder such as ./my-model',
    );
  }
  for (const { path, value } of models) {
    if (typeof value !== 'string') continue;
    const geometry = geometryOf(value);
    if (isGeometry(geometry)) continue;
    // Whether a folder is there, and holds a model, is looked at when it is opened (model-folder.ts).
    if (looksLikeFolder(value)) continue;
    const near = didYouMean(value, geometry.accepted);
    const accepted = `${geometry.accepted.join(', ')}, or a folder, written with a slash, such as ./my-model`;
    report(path, `${geometry.message}${near === null ? '' : `; did you mean "${near}"?`} Accepted: ${accepted}`);
  }
}

function endpointKeys(plain: Plain, report: Report): void {
  for (const key of ['engine', 'weights']) {
    if (plain[key] !== undefined) report([key], 'only goes with target: engine; a running server has made that choice');
  }
}

function lengthsGiven(plain: Plain, report: Report): void {
  if (plain['workload'] !== undefined) {
    for (const key of ['prompt', 'output']) {
      if (plain[key] !== undefined)
        report([key], 'workload stands instead of prompt and output: give one or the other');
    }
    return;
  }
  const { prompt, output } = plain;
  if (prompt === undefined) report([], 'prompt: is missing; expected {tokens: 200}');
  // A file of prompts may say what is asked for; whether it does is seen when it is read.
  if (isObject(prompt) && (prompt['dataset'] !== undefined || prompt['trace'] !== undefined)) return;
  if (output === undefined) report([], 'output: is missing; expected {tokens: 200}');
  if (isObject(output) && output['tokens'] === undefined)
    report(['output'], 'tokens is missing; expected {tokens: 200}');
}

function lengthRules(plain: Plain, report: Report): void {
  const pairs = axisValues(plain, ['workload']).flatMap(({ path, value }) =>
    isObject(value) ? ['prompt', 'output'].map((key) => ({ path: [...path, key], value: value[key] })) : [],
  );
  for (const { path, value } of [
    ...axisValues(plain, ['prompt', 'tokens']),
    ...axisValues(plain, ['output', 'tokens']),
    ...pairs,
  ]) {
    if (!isObject(value)) continue;
    const range = isObject(value['uniform']) ? value['uniform'] : value;
    const { min, max, mean } = range;
    if (typeof min === 'number' && typeof max === 'number' && min > max) report(path, `min ${min} is above max ${max}`);
    if (
      typeof mean === 'number' &&
      ((typeof min === 'number' && mean < min) || (typeof max === 'number' && mean > max))
    ) {
      report(path, `mean ${mean} lies outside min to max`);
    }
  }
}

/** Fields of a request that are the load itself; what a scenario says of it elsewhere is what is sent and reported. */
const LOAD_FIELDS: Readonly<Record<string, string>> = {
  model: 'models and adapters say it',
  prompt: 'prompt says it',
  messages: 'prompt says it',
  max_tokens: 'output.tokens says it',
  max_completion_tokens: 'output.tokens says it',
  min_tokens: 'output.control says it',
  ignore_eos: 'output.control says it',
  stream: 'every request is streamed, or it could not be timed',
  stream_options: 'usage is always asked for',
  n: 'a request has one answer, or its tokens could not be timed',
};

function extraBodyRules(request: unknown, report: Report): void {
  const extraBody = isObject(request) ? request['extra_body'] : undefined;
  if (!isObject(extraBody)) return;
  for (const key of Object.keys(extraBody)) {
    const why = Object.hasOwn(LOAD_FIELDS, key) ? LOAD_FIELDS[key] : undefined;
    if (why !== undefined) report(['request', 'extra_body', key], `cannot be set here: ${why}; leave it out`);
  }
}

/** The same value twice on an axis would be the same cell twice. */
function noneTwice(values: { path: Path; value: unknown }[], report: Report): void {
  const seen = new Set<string>();
  for (const { path, value } of values) {
    const text = canonicalJson(value);
    if (seen.has(text)) report(path, `${shown(value)} is listed twice`);
    seen.add(text);
  }
}
