/**
 * Finds out what an OpenAI-compatible server serves before anything is sent to it, and says in one line what is wrong
 * otherwise. In: URL, key's place, wanted models. Out: base models, adapters, server name and version.
 */
import { redactor } from '../client/redact.ts';
import { BenchError } from '../errors.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { type Answer, call, NoAnswer, serverWords } from './http.ts';

export interface EndpointOptions {
  /** As the user gave it; requests go to `${url}/chat/completions` and so on. */
  url: string;
  api: 'chat' | 'completions';
  /** Name of the environment variable that holds the key. */
  apiKeyEnv: string | null;
  headers: Record<string, string>;
  /** Where the key is looked up. */
  env?: Readonly<Record<string, string | undefined>>;
}

export interface EndpointFacts {
  baseUrl: string;
  /** Models without a parent. */
  baseModels: string[];
  /** Models with one, in the server's order. */
  adapters: { name: string; parent: string }[];
  /** What the server says of itself: owner, version, maximum length. */
  server: Record<string, unknown>;
}

/** @throws BenchError when the environment variable that should hold the key does not */
export function apiKeyOf({ apiKeyEnv, env = process.env }: EndpointOptions): string | null {
  if (apiKeyEnv === null) return null;
  const key = env[apiKeyEnv]?.trim();
  if (key === undefined || key === '') {
    throw new BenchError('USAGE', `the environment variable ${apiKeyEnv} should hold the API key, but is not set`, {
      hint: `export ${apiKeyEnv}=.. or leave api_key_env out`,
    });
  }
  return key;
}

/** Headers of the unmeasured requests; the measured ones get the same from client/. */
export function headersOf(options: EndpointOptions): Record<string, string> {
  const key = apiKeyOf(options);
  return key === null ? options.headers : { authorization: `Bearer ${key}`, ...options.headers };
}

/**
 * A URL that may be shown and stored: no user, no query. To be called before anything else tells it. A "?", "#" or "@"
 * anywhere is refused, since a password with a "/" in it is no user name to a parser, and what is refused for one of them
 * is not repeated.
 * @param where what gave it: "--endpoint", "target.url"
 * @throws BenchError USAGE
 */
export function checkUrl(url: string, where: string): void {
  if (/[?#@]/.test(url)) {
    throw new BenchError(
      'USAGE',
      `${where}: the URL holds a user name or a query ("@", "?", "#"), which may be a secret`,
      {
        hint: 'leave it out; a secret belongs into an environment variable: --api-key-env NAME, or target.api_key_env',
      },
    );
  }
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new BenchError(
      'USAGE',
      `${where}: "${url}" is not a URL of a server; expected one such as http://host:8000/v1`,
    );
  }
}

/** @throws BenchError with one sentence and what to do */
export async function probeEndpoint(options: EndpointOptions, signal?: AbortSignal): Promise<EndpointFacts> {
  checkUrl(options.url, 'the endpoint');
  const baseUrl = options.url.replace(/\/+$/, '');
  const probe = { headers: headersOf(options), ...(signal === undefined ? {} : { signal }) };
  const answer = await call(`${baseUrl}/models`, probe).catch((error: unknown) => {
    if (signal?.aborted) throw new BenchError('INTERRUPTED', 'interrupted while the endpoint was probed');
    throw unreachable(baseUrl, error);
  });
  if (answer.status !== 200) throw refusal(answer, baseUrl, options);
  const models = modelsOf(answer);
  if (models === null) {
    const start = redactor(apiKeyOf(options), options.headers)(answer.text).slice(0, 60);
    throw new BenchError(
      'TARGET_UNREACHABLE',
      `${baseUrl}/models answered 200, but not with a list of models: ${start}`,
      {
        hint: pathHint(baseUrl) ?? 'is this an OpenAI-compatible server?',
      },
    );
  }
  return {
    baseUrl,
    baseModels: models.filter(({ parent }) => parent === null).map(({ name }) => name),
    adapters: models.flatMap(({ name, parent }) => (parent === null ? [] : [{ name, parent }])),
    server: { ...ownerOf(models), ...(await versionOf(baseUrl, probe)) },
  };
}

/** The model to measure: the one asked for, or the only base model. @throws BenchError that lists those it has */
export function chooseModel(facts: EndpointFacts, asked: string | null): string {
  const all = [...facts.baseModels, ...facts.adapters.map(({ name }) => name)];
  if (asked !== null) {
    if (all.includes(asked)) return asked;
    throw new BenchError('PLAN_INVALID', `${facts.baseUrl} does not serve "${asked}"; it has ${listed(all)}`);
  }
  if (facts.baseModels.length === 1) return facts.baseModels[0]!;
  const names = listed(facts.baseModels);
  const message =
    facts.baseModels.length === 0 ? `${facts.baseUrl} serves no base model` : `${facts.baseUrl} serves ${names}`;
  throw new BenchError('PLAN_INVALID', message, { hint: 'choose with --model NAME' });
}

/** Adapters of this base model. Where there is one base model, all are its own, however the server names the parent. */
export function adaptersOf(facts: EndpointFacts, model: string): string[] {
  const own = facts.adapters.filter(({ parent }) => facts.baseModels.length === 1 || parent === model);
  return own.map(({ name }) => name);
}

/**
 * Adapters that the scenario or a flag names must be there, and be this model's. A server that lists no adapters at all
 * may still serve them by name; what the first requests meet then tells.
 * @throws BenchError that names those it lacks and lists those it has
 */
export function requireAdapters(facts: EndpointFacts, model: string, names: readonly string[]): void {
  if (facts.adapters.length === 0) return;
  const own = adaptersOf(facts, model);
  const parentOf = new Map(facts.adapters.map(({ name, parent }) => [name, parent]));
  const missing = names.filter((name) => !parentOf.has(name) && !facts.baseModels.includes(name));
  if (missing.length > 0) {
    const near = missing.map((name) => didYouMean(name, own)).find((name) => name !== null);
    throw new BenchError(
      'PLAN_INVALID',
      `${facts.baseUrl} has no adapter ${missing.join(', ')}; it has ${listed([...parentOf.keys()])}`,
      near === undefined || near === null ? {} : { hint: `did you mean ${near}?` },
    );
  }
  // A parent that is no model of the server's (a path, say) cannot be held against anyone.
  const foreign = names.find((name) => !own.includes(name) && facts.baseModels.includes(parentOf.get(name) ?? ''));
  if (foreign !== undefined) {
    throw new BenchError(
      'PLAN_INVALID',
      `adapter ${foreign} belongs to ${parentOf.get(foreign)}, not to ${model}, whose adapters are ${listed(own)}`,
      { hint: 'measure one model at a time, or leave the names out: each model then gets its own adapters' },
    );
  }
}

interface ListedModel {
  name: string;
  parent: string | null;
  owner: unknown;
  maxModelLen: unknown;
}

/** GET /v1/models: {data: [{id, parent?, owned_by?, max_model_len?}]}; parent is how vLLM and NIM mark an adapter. */
function modelsOf({ json }: Answer): ListedModel[] | null {
  const data = (json as { data?: unknown } | null | undefined)?.data;
  if (!Array.isArray(data)) return null;
  return data.flatMap((entry: unknown) => {
    const { id, parent, owned_by, max_model_len } = (entry ?? {}) as Record<string, unknown>;
    if (typeof id !== 'string') return [];
    return [
      { name: id, parent: typeof parent === 'string' ? parent : null, owner: owned_by, maxModelLen: max_model_len },
    ];
  });
}

function ownerOf(models: ListedModel[]): Record<string, unknown> {
  const base = models.find(({ parent }) => parent === null);
  return {
    ...(typeof base?.owner === 'string' ? { name: base.owner } : {}),
    ...(typeof base?.maxModelLen === 'number' ? { maxModelLen: base.maxModelLen } : {}),
  };
}

/** vLLM and our engine answer {version} at the root; others have nothing there, which is no fault. */
async function versionOf(
  baseUrl: string,
  options: { headers: Record<string, string> },
): Promise<Record<string, unknown>> {
  const answer = await call(`${baseUrl.replace(/\/v\d+$/, '')}/version`, { ...options, timeoutMs: 2_000 }).catch(
    () => null,
  );
  const version = (answer?.json as { version?: unknown } | null | undefined)?.version;
  return answer?.status === 200 && typeof version === 'string' ? { version } : {};
}

function unreachable(baseUrl: string, error: unknown): BenchError {
  if (!(error instanceof NoAnswer)) throw error;
  const hints: Partial<Record<NoAnswer['kind'], string>> = {
    refused: 'is the server running, and on that port?',
    dns: 'is the host name spelled right?',
    tls: 'is it https, and does its certificate fit its name?',
  };
  const hint = hints[error.kind];
  const code = error.kind === 'bad_url' ? 'USAGE' : 'TARGET_UNREACHABLE';
  return new BenchError(code, `cannot reach ${baseUrl}: ${error.message}`, { cause: error, ...(hint ? { hint } : {}) });
}

function refusal(answer: Answer, baseUrl: string, options: EndpointOptions): BenchError {
  const { apiKeyEnv } = options;
  const where = `${baseUrl}/models`;
  if (answer.status === 401 || answer.status === 403) {
    return apiKeyEnv === null
      ? new BenchError('TARGET_UNREACHABLE', `${where} wants an API key (${answer.status}), and none is configured`, {
          hint: 'put the key into an environment variable and name it: --api-key-env NAME, or target.api_key_env',
        })
      : new BenchError('TARGET_UNREACHABLE', `${where} does not accept the API key in ${apiKeyEnv} (${answer.status})`);
  }
  if (answer.status === 404) {
    const hint = pathHint(baseUrl);
    return new BenchError('TARGET_UNREACHABLE', `${where} does not exist (404)`, hint === undefined ? {} : { hint });
  }
  const words = redactor(apiKeyOf(options), options.headers)(serverWords(answer));
  return new BenchError('TARGET_UNREACHABLE', `${where} answered ${answer.status}: ${words}`);
}

const pathHint = (baseUrl: string): string | undefined =>
  /\/v\d+$/.test(baseUrl) ? undefined : `OpenAI-compatible servers are usually at ${baseUrl}/v1`;

const SHOWN = 20;
function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names.slice(0, SHOWN).join(', ')}${more}`;
}
