/**
 * Adapters loaded onto a server that runs already, and taken off it again. In: names, and where each lies on the server's
 * own file system. Out: requests to its routes for adapters: vLLM's, which NIM 2 and the bundled engine have too, or SGLang's.
 *
 * What the server had is its owner's: only what was loaded here is unloaded, whatever happened in between.
 *
 * Routes and answers as read in vLLM 0.10 and main (openai/models/serving.py, serve/lora/api_router.py) and SGLang 0.5
 * (entrypoints/http_server.py, managers/tokenizer_control_mixin.py).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { redactor } from '../client/redact.ts';
import { BenchError } from '../errors.ts';
import { toBeLoaded } from './endpoint-models.ts';
import {
  type AdapterLoad,
  apiKeyOf,
  type EndpointFacts,
  type EndpointOptions,
  headersOf,
  listedNames,
} from './endpoint-probe.ts';
import { type Answer, call, NoAnswer, serverWords } from './http.ts';

/** Reading and checking a whole adapter, behind whatever the server does at the moment. */
const LOAD_TIMEOUT_MS = 120_000;
/** For all unloads together: a server may wait for the requests that use an adapter. */
const UNLOAD_TIMEOUT_MS = 20_000;
/** How often, and how long after each other, an adapter is asked for whose load was cut. */
const CUT_TRIES = 10;
const CUT_GAP_MS = 300;
/** The server is gone, and what was loaded onto it. */
const GONE = 'gone';

const HINT =
  'vLLM takes adapters at run time only with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment, and --enable-lora; ' +
  'SGLang with --enable-lora; NIM 1.x only from its folder NIM_PEFT_SOURCE. Without: leave adapter paths out, and name ' +
  'adapters that the server has';

/**
 * Asks early whether the server will take what it lacks.
 * @throws BenchError when there is something to load and no route for it, or the server is gone
 */
export async function requireLoading(
  options: EndpointOptions,
  facts: EndpointFacts,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (toBeLoaded(facts, names, options.load ?? null).length > 0) await loadUrlOf(options, facts.baseUrl, signal);
}

export interface EndpointAdaptersOptions {
  endpoint: EndpointOptions;
  facts: EndpointFacts;
  load: AdapterLoad;
  report: (message: string) => void;
  unloadTimeoutMs?: number;
}

export class EndpointAdapters {
  readonly #options: EndpointAdaptersOptions;
  readonly #headers: Record<string, string>;
  readonly #words: (answer: Answer) => string;
  readonly #closing = new AbortController();
  /** What the server lists, as far as it was asked. */
  #listed: ReadonlySet<string>;
  /** What was loaded here. */
  readonly #ours = new Set<string>();
  /** Those of them whose load is not answered: cut, the server may do it nevertheless, and after it is asked to undo it. */
  readonly #unanswered = new Set<string>();
  /** Of the route that loads; the one that unloads is beside it. */
  #url: string | null = null;

  constructor(options: EndpointAdaptersOptions) {
    const { endpoint, facts } = options;
    this.#options = options;
    this.#headers = headersOf(endpoint);
    this.#words = wordsWith(endpoint);
    this.#listed = new Set([...facts.baseModels, ...facts.adapters.map(({ name }) => name)]);
  }

  /**
   * Loads those of them that are not on the server and have a path. Ends early when the signal aborts.
   * @throws BenchError that names the adapter, the status and the server's words
   */
  async load(names: readonly string[], signal?: AbortSignal): Promise<void> {
    const { endpoint, facts, load, report } = this.#options;
    const missing = names.filter(
      (name) => !this.#listed.has(name) && !this.#ours.has(name) && load.pathOf(name) !== null,
    );
    if (missing.length === 0) return;
    const stop = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    this.#url ??= await loadUrlOf(endpoint, facts.baseUrl, stop).catch((error: unknown) => {
      if (stop.aborted) return null;
      throw error;
    });
    if (this.#url === null) return;
    report(`loading ${missing.length} ${missing.length === 1 ? 'adapter' : 'adapters'} onto ${facts.baseUrl}`);
    for (const name of missing) {
      if (stop.aborted) return;
      await this.#load(name, load.pathOf(name)!, this.#url, stop);
    }
    await this.#relist(stop);
  }

  /** Takes off what was loaded here. Bounded in time; never rejects, but reports what stays. */
  async unload(): Promise<void> {
    this.#closing.abort();
    const limit = AbortSignal.timeout(this.#options.unloadTimeoutMs ?? UNLOAD_TIMEOUT_MS);
    const left: string[] = [];
    let why = '';
    for (const name of [...this.#ours].reverse()) {
      const failure = await this.#unload(name, limit);
      this.#ours.delete(name);
      if (failure === null) continue;
      if (failure === GONE) return;
      left.push(name);
      why = failure;
    }
    if (left.length > 0) await this.#tellLeft(left, why);
  }

  /** @returns null when it is off, GONE when nobody listens there any more, else why not */
  async #unload(name: string, limit: AbortSignal): Promise<string | null> {
    const url = this.#url!.replace(/\/load_lora_adapter$/, '/unload_lora_adapter');
    for (let tries = this.#unanswered.has(name) ? CUT_TRIES : 1; ; tries--) {
      try {
        const answer = await this.#post(url, { lora_name: name }, limit);
        if (isDone(answer)) return null;
        if (tries === 1) return `${answer.status}: ${this.#words(answer)}`;
        await sleep(CUT_GAP_MS, null, { signal: limit });
      } catch (error) {
        if (error instanceof NoAnswer && error.kind === 'refused') return GONE;
        return limit.aborted ? 'no answer in time' : (error as Error).message;
      }
    }
  }

  async #load(name: string, path: string, url: string, signal: AbortSignal): Promise<void> {
    const { baseUrl } = this.#options.facts;
    this.#ours.add(name);
    this.#unanswered.add(name);
    let answer: Answer;
    try {
      answer = await this.#post(url, { lora_name: name, lora_path: path }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof NoAnswer)) throw error;
      throw new BenchError(
        'TARGET_UNREACHABLE',
        `${baseUrl} did not answer when adapter "${name}" was loaded: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    this.#unanswered.delete(name);
    if (isDone(answer)) return;
    this.#ours.delete(name);
    await this.#list(signal);
    if (this.#listed.has(name)) return; // somebody else has loaded it meanwhile, and keeps it
    const { status } = answer;
    const message = `${baseUrl} did not load adapter "${name}" from ${path} (${status}): ${this.#words(answer)}`;
    const hint = isRefusedKey(status)
      ? keyHint(this.#options.endpoint)
      : "the path is one of the server's own file system, not of this machine's";
    throw new BenchError('PLAN_INVALID', message, { hint });
  }

  /** A server that holds fewer than were loaded drops others for them: its owner's, perhaps. */
  async #relist(signal: AbortSignal): Promise<void> {
    const { facts, report } = this.#options;
    const before = [...new Set([...this.#listed, ...this.#ours])].filter((name) => !facts.baseModels.includes(name));
    await this.#list(signal);
    const gone = before.filter((name) => !this.#listed.has(name));
    // One that lists no adapter at all tells nothing of them.
    if (gone.length > 0 && gone.length < before.length) {
      report(`${facts.baseUrl} does not list ${gone.join(', ')} any more, after others were loaded`);
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { baseUrl } = this.#options.facts;
    const names = await listedNames(baseUrl, { headers: this.#headers, signal }).catch(() => null);
    if (names !== null) this.#listed = new Set(names);
  }

  /** Those that the server does not list, it does not have: gone before they could be unloaded. */
  async #tellLeft(names: string[], why: string): Promise<void> {
    const { facts, report } = this.#options;
    const there = await listedNames(facts.baseUrl, { headers: this.#headers, timeoutMs: 2_000 }).catch(() => null);
    const left = there === null ? names : names.filter((name) => there.includes(name));
    if (left.length > 0) report(`adapters that were loaded here stay on ${facts.baseUrl}: ${left.join(', ')} (${why})`);
  }

  #post(url: string, body: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    return call(url, { method: 'POST', body, headers: this.#headers, timeoutMs: LOAD_TIMEOUT_MS, signal });
  }
}

/**
 * The route that this server has. A request that names no adapter can do nothing, and is answered 404 only where there is no
 * such route: the same status that vLLM gives for a path at which it finds nothing.
 */
async function loadUrlOf(options: EndpointOptions, baseUrl: string, signal?: AbortSignal): Promise<string> {
  const urls = [...new Set([baseUrl, baseUrl.replace(/\/v\d+$/, '')])].map((root) => `${root}/load_lora_adapter`);
  const answers: string[] = [];
  for (const url of urls) {
    const ask = {
      method: 'POST' as const,
      body: {},
      headers: headersOf(options),
      ...(signal === undefined ? {} : { signal }),
    };
    const answer = await call(url, ask).catch((error: unknown) => {
      if (signal?.aborted)
        throw new BenchError('INTERRUPTED', 'interrupted while the endpoint was asked to load adapters');
      if (!(error instanceof NoAnswer)) throw error;
      throw new BenchError('TARGET_UNREACHABLE', `cannot reach ${url}: ${error.message}`, { cause: error });
    });
    const { status } = answer;
    if (isRefusedKey(status)) {
      const message = `${baseUrl} lets nobody load adapters with this key (${status}): ${wordsWith(options)(answer)}`;
      throw new BenchError('PLAN_INVALID', message, { hint: keyHint(options) });
    }
    if (status !== 404 && status !== 405 && status !== 501) return url;
    answers.push(`POST ${new URL(url).pathname} ${status}`);
  }
  throw new BenchError('PLAN_INVALID', `${baseUrl} takes no adapters while it runs: it answers ${answers.join(', ')}`, {
    hint: HINT,
  });
}

const isRefusedKey = (status: number): boolean => status === 401 || status === 403;

const keyHint = ({ apiKeyEnv }: EndpointOptions): string =>
  apiKeyEnv === null
    ? 'put a key that may into an environment variable and name it: --api-key-env NAME, or target.api_key_env'
    : `is the key in ${apiKeyEnv} one that may? (SGLang: --admin-api-key)`;

const wordsWith = (options: EndpointOptions): ((answer: Answer) => string) => {
  const redact = redactor(apiKeyOf(options), options.headers);
  return (answer) => redact(serverWords(answer));
};

const isDone = ({ status }: Answer): boolean => status < 300;
