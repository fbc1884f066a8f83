/**
 * A server that bench starts by the scenario's own command, as a target: `target: {command: [..], ready: URL}`. Once its
 * `ready` URL answers 200 it is an endpoint like any other (endpoint.ts); in addition it is stopped at the end, and
 * started again where it died.
 *
 * One process serves every cell, whichever model or adapters a cell asks for. It is started before there is a plan, since
 * what it serves is asked of itself; the source takes it over as it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import { type CommandOptions, CommandProcess } from './command-process.ts';
import { endpointSource } from './endpoint.ts';
import { type EndpointOptions, headersOf } from './endpoint-probe.ts';
import { type Answer, call, NoAnswer } from './http.ts';
import type { Target, TargetSource } from './target.ts';

const READY_GAP_MS = 100;
const READY_TRY_MS = 2_000;
/** How long after a server stopped answering the end of its process may be on its way to us. */
const DEATH_MS = 1_000;

export interface CommandServerOptions extends CommandOptions {
  /** URL that answers 200 once it is ready. */
  ready: string;
  readyTimeoutMs: number;
  endpoint: EndpointOptions;
}

/** The process behind a target: started when needed, and again when it is gone. */
export class CommandServer {
  readonly options: CommandServerOptions;
  #process: CommandProcess | null = null;

  constructor(options: CommandServerOptions) {
    this.options = options;
  }

  /**
   * Makes sure that it runs and answers.
   * @throws BenchError: no such program, something else at its address, an end or no answer in time, with its last words
   */
  async up(report: (message: string) => void, signal: AbortSignal): Promise<CommandProcess> {
    const running = this.#process;
    if (running !== null && !running.isOver && isReady(await this.#ask(signal))) return running;
    await this.stop();
    await this.#refuseOther(signal);
    const started = await CommandProcess.start(this.options);
    this.#process = started;
    report(`starting ${started.name}`);
    try {
      await this.#ready(started, signal);
    } catch (error) {
      await this.stop();
      throw error;
    }
    return started;
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    await running?.stop();
  }

  /** What answers there before the command has started is another server, and would be measured in its place. */
  async #refuseOther(signal: AbortSignal): Promise<void> {
    if ((await this.#ask(signal)) instanceof NoAnswer) return;
    const { ready, command } = this.options;
    throw new BenchError('PORT_IN_USE', `something answers at ${ready} before \`${command.join(' ')}\` was started`, {
      hint: 'end that server, or give this one another port; two servers that are compared need a port each',
    });
  }

  async #ready(started: CommandProcess, signal: AbortSignal): Promise<void> {
    const { ready, readyTimeoutMs } = this.options;
    const { name } = started;
    const deadline = performance.now() + readyTimeoutMs;
    let last: Answer | NoAnswer | null = null;
    while (!isReady(last)) {
      if (signal.aborted) throw new BenchError('INTERRUPTED', `interrupted while ${name} was starting`);
      if (started.isOver) {
        const how = `${name} ${await started.ended} before it was ready${started.lastWords}`;
        throw new BenchError('TARGET_UNREACHABLE', how, { hint: 'the command must stay in the foreground' });
      }
      if (performance.now() >= deadline) {
        const got = last instanceof NoAnswer ? last.message : `it answered ${last?.status}`;
        const long = `${name} was not ready after ${readyTimeoutMs / 1000} s: ${ready}: ${got}${started.lastWords}`;
        throw new BenchError('TARGET_UNREACHABLE', long, { hint: 'target.ready_timeout gives it longer' });
      }
      if (last !== null) await sleep(READY_GAP_MS);
      last = await this.#ask(signal);
    }
  }

  /** Its key goes nowhere but to itself. */
  async #ask(signal: AbortSignal): Promise<Answer | NoAnswer> {
    const { ready, endpoint } = this.options;
    const own = new URL(ready).origin === new URL(endpoint.url).origin;
    try {
      return await call(ready, { headers: own ? headersOf(endpoint) : {}, timeoutMs: READY_TRY_MS, signal });
    } catch (error) {
      if (error instanceof NoAnswer) return error;
      throw error;
    }
  }
}

const isReady = (answer: Answer | NoAnswer | null): boolean =>
  answer !== null && !(answer instanceof NoAnswer) && answer.status === 200;

export function commandSource(server: CommandServer): TargetSource {
  const { endpoint, command } = server.options;
  const source = endpointSource(endpoint);
  return {
    ...source,
    kind: 'command',
    async bringUp(cell: Cell, report, signal) {
      const running = await server.up(report, signal);
      const target = await source.bringUp(cell, report, signal);
      return commandTarget(target, running, command);
    },
    close: () => server.stop(),
  };
}

/** The endpoint, with the process behind it: its end is the better reason for a silence. */
function commandTarget(target: Target, running: CommandProcess, command: readonly string[]): Target {
  const { info, connection, model } = target;
  let stopped = false;
  const ended = running.ended.then((how) => `${running.name} ${how}${running.lastWords}`);
  const died = new Promise<string>((resolve) => {
    const tell = (sentence: string) => void (stopped || resolve(sentence));
    void ended.then(tell);
    void target.died.then(async (silence) => {
      tell(await Promise.race([ended, sleep(DEATH_MS, `${silence}${running.lastWords}`, { ref: false })]));
    });
  });
  return {
    info: { ...info, server: { ...info.server, command: [...command] } },
    connection,
    model,
    died,
    ensureAdapters: (cell, signal) => target.ensureAdapters(cell, signal),
    suspect: async () => running.isOver || (await target.suspect()) || running.isOver,
    // The process stays for the next cells; the source ends it.
    stop: () => {
      stopped = true;
      return target.stop();
    },
  };
}
