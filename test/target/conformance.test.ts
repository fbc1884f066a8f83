/** What every target keeps to, held against all: the bundled engine on this machine's device, an endpoint, and a command. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Cell, Plan } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { CommandServer, commandSource } from '../../src/target/command.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import { engineSource } from '../../src/target/engine.ts';
import { call } from '../../src/target/http.ts';
import type { Target, TargetSource } from '../../src/target/target.ts';
import { freePort, serverProgram } from '../support/server-command.ts';
import { startTimedServer } from '../support/timed-server.ts';

const KEY = 'sk-conformance-0123456789';

interface Subject {
  source: TargetSource;
  plan: Plan;
  /** Ends the server behind the target's back. */
  kill(target: Target): Promise<void> | void;
  /** Ends what the target does not end itself. */
  clear(): Promise<void> | void;
}

/** Three cells: the base alone, one adapter, three. */
function planFor(target: 'engine' | 'endpoint', model: string, adapters: string[]): Plan {
  const text = `
name: conformance
target: ${target === 'engine' ? 'engine' : '{url: "http://127.0.0.1:1/v1"}'}
models: [${model}]
adapters: {rank: [4], count: [0, 1, 3]}
prompt: {tokens: 8}
output: {tokens: 2}
load: {concurrency: [2]}
`;
  const scenario = resolveScenario(scenarioFromText(text, null), { withoutGpu: false, endpoint: false, set: [] });
  return planOf(
    scenario,
    target === 'engine'
      ? { kind: 'engine', software: false, deviceName: 'any' }
      : { kind: 'endpoint', models: [{ name: model, adapters }], allowFewer: false },
  );
}

const subjects: Record<string, () => Promise<Subject>> = {
  endpoint: async () => {
    const server = await startTimedServer({ model: 'base', adapters: ['a1', 'a2', 'a3'], apiKey: KEY });
    return {
      source: endpointSource({ url: server.url, api: 'completions', apiKeyEnv: 'K', headers: {}, env: { K: KEY } }),
      plan: planFor('endpoint', 'base', ['a1', 'a2', 'a3']),
      kill: () => server.close(),
      clear: () => server.close(),
    };
  },
  command: async () => {
    const program = serverProgram();
    const port = await freePort();
    const server = new CommandServer({
      command: program.commandFor({ model: 'base', adapters: ['a1', 'a2', 'a3'], port }),
      cwd: '/',
      env: { ...process.env, SERVER_KEY: KEY },
      ready: `http://127.0.0.1:${port}/v1/models`,
      readyTimeoutMs: 20_000,
      endpoint: {
        url: `http://127.0.0.1:${port}/v1`,
        api: 'completions',
        apiKeyEnv: 'K',
        headers: {},
        env: { K: KEY },
      },
    });
    const source = commandSource(server);
    return {
      source,
      plan: planFor('endpoint', 'base', ['a1', 'a2', 'a3']),
      kill: () => server.stop(),
      clear: async () => {
        await source.close?.();
        program.remove();
      },
    };
  },
  engine: async () => {
    const plan = planFor('engine', 'llama-3.2-1b@1/8', []);
    return {
      source: engineSource({ plan, settings: {} }),
      plan,
      kill: ({ info }) => void process.kill(Number(info.server['pid']), 'SIGKILL'),
      clear: () => {},
    };
  },
};

describe.each(Object.keys(subjects))('%s', (name) => {
  let subject: Subject;
  let target: Target | null = null;

  async function up(): Promise<Target> {
    subject = await subjects[name]!();
    target = await subject.source.bringUp(subject.plan.cells[0]!, () => {}, new AbortController().signal);
    return target;
  }
  afterEach(async () => {
    await target?.stop();
    await subject.clear();
  });

  const cellWith = (count: number): Cell => subject.plan.cells.find(({ at }) => at.adapters === count)!;

  async function statusOf({ connection }: Target, model: string): Promise<number> {
    const headers: Record<string, string> =
      connection.apiKey === null ? {} : { authorization: `Bearer ${connection.apiKey}` };
    const body = { model, prompt: 'a b c', max_tokens: 2 };
    const answer = await call(`${connection.baseUrl}/completions`, {
      method: 'POST',
      headers,
      body,
      timeoutMs: 60_000,
    });
    return answer.status;
  }

  it('brings up a server that answers for its model and for the adapters asked for', async () => {
    const up_ = await up();
    expect(subject.source.keyOf(cellWith(0))).toBe(subject.source.keyOf(cellWith(3)));
    const kind = name === 'command' ? 'endpoint' : name;
    expect(up_.info).toMatchObject({ id: kind, kind, model: up_.model });
    expect(up_.info.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
    expect(JSON.stringify(up_.info)).not.toContain(KEY);
    for (const count of [0, 3, 1, 3]) {
      const cell = cellWith(count);
      await up_.ensureAdapters(cell);
      for (const model of [up_.model, ...cell.adapters.map((adapter) => adapter.name)]) {
        expect(await statusOf(up_, model), model).toBe(200);
      }
    }
    expect(await statusOf(up_, 'nobody')).toBe(404);
    expect(await up_.suspect()).toBe(false);
    await up_.stop();
    await up_.stop();
    expect(await Promise.race([up_.died, Promise.resolve('alive')])).toBe('alive');
  });

  it('notices the end of the server, and says so in a sentence', async () => {
    const up_ = await up();
    await subject.kill(up_);
    expect(await up_.suspect()).toBe(true);
    expect(await up_.died).toMatch(/\w+ \w+/);
    await expect(up_.ensureAdapters(cellWith(0))).resolves.toBeUndefined();
  });
});
