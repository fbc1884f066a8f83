/**
 * A server that runs already as a target: probed, watched when requests fail, never started or stopped.
 *
 * In: what endpoint-probe.ts needs, and the model. Its adapters are the server's own, or loaded onto it for the time of the
 * measurement; a cell whose adapters it does not have is refused before anything is sent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ownLimitOf } from '../client/failures.ts';
import type { Cell } from '../plan/plan.ts';
import type { TargetInfo } from '../result/schema.ts';
import { EndpointAdapters } from './endpoint-adapters.ts';
import { requireAdapters } from './endpoint-models.ts';
import {
  type AdapterLoad,
  adapterFieldOf,
  apiKeyOf,
  type EndpointFacts,
  type EndpointOptions,
  headersOf,
  probeEndpoint,
} from './endpoint-probe.ts';
import { call, NoAnswer } from './http.ts';
import type { Target, TargetSource } from './target.ts';

/** One refused connection may be a full backlog; so many in a row are a server that is gone. */
const DEATH_TRIES = 3;
const DEATH_GAP_MS = 250;
const ALIVE_TIMEOUT_MS = 2_000;
/** A server that has just answered is not asked again, lest every failed request costs it another. */
const ALIVE_FOR_MS = 1_000;

export function endpointSource(options: EndpointOptions): TargetSource {
  return {
    id: 'endpoint',
    kind: 'endpoint',
    keyOf: ({ at }: Cell) => at.model,
    async bringUp(cell, report, signal) {
      report(`probing ${options.url}`);
      const facts = await probeEndpoint(options, signal);
      return new EndpointTarget({ options, facts, model: cell.at.model, report });
    },
  };
}

interface EndpointTargetOptions {
  options: EndpointOptions;
  facts: EndpointFacts;
  model: string;
  report: (message: string) => void;
}

class EndpointTarget implements Target {
  readonly info: TargetInfo;
  readonly connection: Target['connection'];
  readonly model: string;
  readonly died: Promise<string>;
  readonly #facts: EndpointFacts;
  readonly #load: AdapterLoad | null;
  /** null where nothing is to be loaded. */
  readonly #adapters: EndpointAdapters | null;
  readonly #probeHeaders: Record<string, string>;
  #declareDead: (sentence: string) => void = () => {};
  #check: Promise<boolean> | null = null;
  #stopping: Promise<void> | undefined;
  #aliveAt = Number.NEGATIVE_INFINITY;

  constructor({ options, facts, model, report }: EndpointTargetOptions) {
    const { baseUrl, server } = facts;
    const { api, headers, load = null, metricsUrl = null } = options;
    this.#facts = facts;
    this.#load = load;
    this.#adapters = load === null ? null : new EndpointAdapters({ endpoint: options, facts, load, report });
    this.model = model;
    const adapterField = adapterFieldOf(facts);
    this.connection = { baseUrl, api, apiKey: apiKeyOf(options), headers, adapterField, metricsUrl };
    this.#probeHeaders = headersOf(options);
    this.info = { id: 'endpoint', kind: 'endpoint', url: baseUrl, model, server: { ...server, api } };
    this.died = new Promise((resolve) => {
      this.#declareDead = resolve;
    });
  }

  async ensureAdapters(cell: Cell, signal?: AbortSignal): Promise<void> {
    const names = cell.adapters.map(({ name }) => name);
    requireAdapters(this.#facts, this.model, names, this.#load);
    await this.#adapters?.load(names, signal);
  }

  suspect(): Promise<boolean> {
    if (performance.now() - this.#aliveAt < ALIVE_FOR_MS) return Promise.resolve(false);
    this.#check ??= this.#isGone().finally(() => {
      this.#check = null;
    });
    return this.#check;
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#adapters?.unload();
    await this.#stopping;
  }

  async #isGone(): Promise<boolean> {
    let last = '';
    for (let attempt = 0; attempt < DEATH_TRIES; attempt++) {
      if (attempt > 0) await sleep(DEATH_GAP_MS);
      try {
        await call(`${this.connection.baseUrl}/models`, { headers: this.#probeHeaders, timeoutMs: ALIVE_TIMEOUT_MS });
        this.#aliveAt = performance.now();
        return false; // any answer, also an error, comes from a server that lives
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (error.kind === 'timeout') return false; // slow is not gone: the requests' own limits judge that
        if (ownLimitOf(error.cause) !== null) return false; // nobody was asked
        last = error.message;
      }
    }
    this.#declareDead(`the endpoint ${this.info.url} stopped answering: ${last}`);
    return true;
  }
}
