/** Servers that a command starts, as real processes: started, watched, told of, ended with all that they started. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { CommandServer, commandSource } from '../../src/target/command.ts';
import { call } from '../../src/target/http.ts';
import { planFor } from '../runner/plan-for.ts';
import { type CommandServerOptions, freePort, type ServerProgram, serverProgram } from '../support/server-command.ts';
import { startTimedServer } from '../support/timed-server.ts';

let program: ServerProgram;
let port: number;
let said: string[];
const servers: CommandServer[] = [];
const { signal } = new AbortController();

beforeAll(() => {
  program = serverProgram();
});
afterAll(() => program.remove());
beforeEach(async () => {
  port = await freePort();
  said = [];
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

interface Changes {
  command?: string[];
  ready?: string;
  readyTimeoutMs?: number;
  env?: Record<string, string>;
}

function serverOf(options: Partial<CommandServerOptions> = {}, changes: Changes = {}): CommandServer {
  const url = `http://127.0.0.1:${port}/v1`;
  const server = new CommandServer({
    command: program.commandFor({ model: 'base', adapters: ['a1', 'a2', 'a3'], port, ...options }),
    cwd: '/',
    env: { ...process.env, SERVED_AS: 'somebody' },
    ready: `http://127.0.0.1:${port}/health`,
    readyTimeoutMs: 20_000,
    endpoint: { url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} },
    ...changes,
  });
  servers.push(server);
  return server;
}

const up = (server: CommandServer, stop = signal) => server.up((line) => said.push(line), stop);

async function failure(action: Promise<unknown>): Promise<BenchError> {
  const error = await action.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BenchError);
  return error as BenchError;
}

const answers = async (): Promise<boolean> =>
  call(`http://127.0.0.1:${port}/health`, { timeoutMs: 500 }).then(
    () => true,
    () => false,
  );

describe('a command', () => {
  it('is started and waited for, in its folder and with its environment, and ended with its answers', async () => {
    const server = serverOf({ startMs: 400 });
    const running = await up(server);
    expect(said.join()).toMatch(/^starting `.*node.* /);
    expect(running.lastWords).toContain('loading in / as somebody');
    expect(await answers()).toBe(true);
    expect(await up(server)).toBe(running);
    await server.stop();
    expect(await answers()).toBe(false);
  });

  it('that does not exist is a fault of the scenario', async () => {
    const error = await failure(up(serverOf({}, { command: ['no-such-program-anywhere', 'serve'] })));
    expect(error).toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
    expect(error.message).toMatch(
      /target\.command: cannot start no-such-program-anywhere in \/: there is no such program/,
    );
  });

  it('that ends before it is ready is told of with its last words', async () => {
    const error = await failure(up(serverOf({ startMs: 60_000, endMs: 50 })));
    expect(error).toMatchObject({ code: 'TARGET_UNREACHABLE', exitCode: 5 });
    expect(error.message).toMatch(/exited with code 3 before it was ready; its last words: .*Traceback: out of cake/);
  });

  it('that takes too long is ended, and told of with what its URL said', async () => {
    const ready = `http://127.0.0.1:${port}/nowhere`;
    const error = await failure(up(serverOf({}, { ready, readyTimeoutMs: 1_500 })));
    expect(error.message).toMatch(
      /was not ready after 1\.5 s: .*\/nowhere: it answered 404; its last words: .*listening/,
    );
    expect(error.hint).toMatch(/ready_timeout/);
    expect(await answers()).toBe(false);
  });

  it('is not started where another server answers already: that one would be measured', async () => {
    const other = await startTimedServer({ port });
    const error = await failure(up(serverOf()));
    expect(error.code).toBe('PORT_IN_USE');
    expect(error.message).toMatch(/something answers at .*\/health before .* was started/);
    await other.close();
  });

  it('is given up at once when interrupted', async () => {
    const stop = new AbortController();
    const starting = failure(up(serverOf({ startMs: 60_000 }), stop.signal));
    setTimeout(() => stop.abort(), 200);
    expect((await starting).code).toBe('INTERRUPTED');
  });

  it('ends with what it started, behind a shell that does not pass signals on', async () => {
    const [node, ...words] = program.commandFor({ model: 'base', port });
    const quoted = words.map((word) => `'${word}'`).join(' ');
    const server = serverOf({}, { command: ['sh', '-c', `${node} ${quoted} & wait`] });
    await up(server);
    expect(await answers()).toBe(true);
    await server.stop();
    expect(await answers()).toBe(false);
  });
});

describe('as a target', () => {
  const plan = planFor('http://127.0.0.1:1/v1');
  const [cell] = plan.cells;
  const source = (server: CommandServer) => commandSource(server);

  it('is one process for all cells, told by its command', async () => {
    const server = serverOf();
    const commanded = source(server);
    const first = await commanded.bringUp(cell!, (line) => said.push(line), signal);
    await first.stop();
    const second = await commanded.bringUp(cell!, (line) => said.push(line), signal);
    expect(said.filter((line) => line.startsWith('starting'))).toHaveLength(1);
    expect(second.info).toMatchObject({ kind: 'endpoint', model: 'base', server: { command: server.options.command } });
    expect(await Promise.race([first.died, Promise.resolve('alive')])).toBe('alive');
    await commanded.close?.();
    expect(await answers()).toBe(false);
    expect(await Promise.race([first.died, new Promise((resolve) => setTimeout(resolve, 300, 'alive'))])).toBe('alive');
  });

  it('says why it died, and is started again', async () => {
    const commanded = source(serverOf({ endAtRequest: 1 }));
    const target = await commanded.bringUp(cell!, (line) => said.push(line), signal);
    const { baseUrl } = target.connection;
    const body = { model: 'base', prompt: 'a', max_tokens: 1 };
    await call(`${baseUrl}/completions`, { method: 'POST', body }).catch(() => null);
    expect(await target.died).toMatch(/exited with code 3; its last words: .*Traceback: out of cake/);
    expect(await target.suspect()).toBe(true);
    await target.stop();
    const again = await commanded.bringUp(cell!, (line) => said.push(line), signal);
    expect(said.filter((line) => line.startsWith('starting'))).toHaveLength(2);
    expect(await again.suspect()).toBe(false);
  });
});
