/**
 * Finds out what an OpenAI-compatible server serves before anything is sent to it, and says in one line what is wrong
 * otherwise. In: URL, key's place, wanted models. Out: base models, adapters, server name and version.
 */
import { redactor } from '../client/redact.ts';
import { BenchError } from '../errors.ts';
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

/** @throws BenchError with one sentence and what to do */
export async function probeEndpoint(options: EndpointOptions, signal?: AbortSignal): Promise<EndpointFacts> {
  const baseUrl = options.url.replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new BenchError(
      'USAGE',
      `"${options.url}" is not a URL of a server; expected one such as http://host:8000/v1`,
    );
  }
  const { username, search, hash } = new URL(baseUrl);
  if (username !== '' || search !== '' || hash !== '') {
    throw new BenchError('USAGE', 'the URL of the endpoint holds a user name or a query, and would be stored with it', {
      hint: 'leave them out; a secret belongs into an environment variable: --api-key-env NAME, or target.api_key_env',
    });
  }
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
