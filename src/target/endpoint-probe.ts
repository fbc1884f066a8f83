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
  /** Adapters that are loaded onto the server where it lacks them; null or absent: only those it has are measured. */
  load?: AdapterLoad | null;
  /** Its page of metrics, if it is not where servers have it. */
  metricsUrl?: string | null;
}

export interface AdapterLoad {
  /** Where an adapter lies on the server's own file system; null when nothing says so. */
  pathOf(name: string): string | null;
}

/** Paths that are told one by one, and below a folder of folders, as `bench adapters make` writes them. */
export function adapterLoad(folder: string | null, paths: Readonly<Record<string, string>>): AdapterLoad | null {
  if (folder === null && Object.keys(paths).length === 0) return null;
  const told = new Map(Object.entries(paths));
  const below = (name: string) => (folder === null ? null : `${folder.replace(/\/+$/, '')}/${name}`);
  return { pathOf: (name) => told.get(name) ?? below(name) };
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

/** What the server lists now: base models and adapters. @throws NoAnswer when it does not answer; null when it lists none */
export async function listedNames(
  baseUrl: string,
  options: { headers: Record<string, string>; signal?: AbortSignal; timeoutMs?: number },
): Promise<string[] | null> {
  const answer = await call(`${baseUrl}/models`, options);
  return answer.status === 200 ? (modelsOf(answer)?.map(({ name }) => name) ?? null) : null;
}

/** SGLang does not look for an adapter in `model`: it would answer with the base model, and say nothing. */
export const adapterFieldOf = ({ server }: EndpointFacts): 'model' | 'lora_path' =>
  server['name'] === 'sglang' ? 'lora_path' : 'model';

interface ListedModel {
  name: string;
  parent: string | null;
  root: unknown;
  owner: unknown;
  maxModelLen: unknown;
}

/** GET /v1/models: {data: [{id, parent?, root?, owned_by?, max_model_len?}]} */
function modelsOf({ json }: Answer): ListedModel[] | null {
  const data = (json as { data?: unknown } | null | undefined)?.data;
  if (!Array.isArray(data)) return null;
  const models = data.flatMap((entry: unknown): ListedModel[] => {
    const { id, parent, root, owned_by: owner, max_model_len: maxModelLen } = (entry ?? {}) as Record<string, unknown>;
    if (typeof id !== 'string') return [];
    return [{ name: id, parent: typeof parent === 'string' ? parent : null, root, owner, maxModelLen }];
  });
  return models.map((model) => ({ ...model, parent: model.parent ?? rootParent(model, models) }));
}

/**
 * vLLM before mid-2024, and what was built on it then, gave an adapter no parent but the base model as its root, and no
 * length of its own (vllm-project/vllm issue 6274). A second name of a base model has such a root too, and a length.
 */
function rootParent({ name, root, maxModelLen }: ListedModel, models: readonly ListedModel[]): string | null {
  if (root === name || typeof maxModelLen === 'number') return null;
  const base = models.find((model) => model.name === root);
  return typeof base?.maxModelLen === 'number' ? base.name : null;
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
  const { version, inject_delay: injectDelay } = (answer?.json ?? {}) as { version?: unknown; inject_delay?: unknown };
  if (answer?.status !== 200 || typeof version !== 'string') return {};
  return { version, ...(typeof injectDelay === 'object' && injectDelay !== null ? { injectDelay } : {}) };
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
