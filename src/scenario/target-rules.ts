/**
 * Rules between the keys of a target, which the schema cannot say: URLs are URLs and hold no secret, nor does anything else
 * that is printed in reports.
 */
import type { Report } from './adapter-rules.ts';
import { isObject } from './plain-data.ts';
import { shown } from './problems.ts';

/** Headers by which servers take secrets; those stay in the environment, since the scenario is printed in the report. */
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie|.*api[-_]?key.*|.*token.*|.*secret.*)$/i;
/** Not "--tokenizer" or "MAX_TOKENS". */
const SECRET_NAME = /(^|[-_])(api[-_]?key|secret|password|(hf|auth|access|hub)[-_]token)([-_=]|$)/i;

const TARGET_URLS = {
  url: 'http://host:8000/v1',
  ready: 'http://127.0.0.1:8000/health',
  metrics_url: 'http://host:9400/metrics',
};

const HIDE = 'looks like a secret, and scenarios are printed in reports';

export function targetRules(target: unknown, report: Report): void {
  if (!isObject(target)) return;
  for (const [key, example] of Object.entries(TARGET_URLS)) urlRule(target, key, example, report);
  const { headers, env, command } = target;
  for (const name of namesIn(headers, SECRET_HEADER)) {
    report(['target', 'headers', name], `${HIDE}; use api_key_env`);
  }
  for (const name of namesIn(env, SECRET_NAME)) {
    report(['target', 'env', name], `${HIDE}; the command has bench's own environment too: set it there`);
  }
  if (!Array.isArray(command)) return;
  for (const [i, word] of command.entries()) {
    if (typeof word !== 'string' || !word.startsWith('-') || !SECRET_NAME.test(word)) continue;
    report(['target', 'command', i], `${HIDE}; give it to the server in the environment of bench`);
  }
}

const namesIn = (group: unknown, pattern: RegExp): string[] =>
  isObject(group) ? Object.keys(group).filter((name) => pattern.test(name)) : [];

function urlRule(target: Record<string, unknown>, key: string, example: string, report: Report): void {
  const url = target[key];
  if (typeof url !== 'string') return;
  // First, and by sight: what no parser takes for a URL may still hold a password, and is not repeated either.
  if (/[?#@]/.test(url)) {
    const text = 'must not hold a user name or password, nor a query, as it is printed in reports; use api_key_env';
    report(['target', key], text);
  } else if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    report(['target', key], `expected a URL such as ${example}, found ${shown(url)}`);
  }
}
