/** `bench gate`, as a person and a workflow run it: servers whose timings are known, a verdict, its files, an exit code. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import type { VerdictFile, VerdictLine } from '../../src/gate/verdict-file.ts';
import { freePort, type ServerProgram, serverProgram } from '../support/server-command.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { type Ended, Workplace } from './bench.ts';

/**
 * Judged by latencies: a run takes as many requests as it takes to tell whether they were steady, and latencies so long that what
 * a busy machine adds to them decides nothing.
 */
const TIMED = `
name: timed
models: [base]
prompt: {tokens: 8}
output: {tokens: 2}
load: {concurrency: [32]}
measure: {requests: 162}
gate:
  looks: [6]
  thresholds:
    - {metric: ttft.p50, max_increase: 60%}
    - {metric: tpot.mean, max_increase: 60%}
`;

/** Judged by what does not depend on time: a few requests a run will do. */
const COUNTED = `
name: counted
models: [base]
adapters: {rank: 16, count: 0}
prompt: {tokens: 8}
output: {tokens: 9, control: cap}
load: {concurrency: [4]}
measure: {requests: 8, warmup: {per_adapter: 0}}
gate:
  looks: [6, 8]
  thresholds:
    - {metric: output_tokens.mean, max_decrease: 1%}
    - {metric: output_tokens.p50, max_decrease: 1%, severity: report}
`;
const LIMITS = COUNTED.replace(/- \{metric: .*\}/, '- error_rate <= 1%').replace(/- \{metric: .*\}\n/, '');

let place: Workplace;
let program: ServerProgram;
const servers: TimedServer[] = [];

beforeAll(() => {
  program = serverProgram();
});
afterAll(() => program.remove());
beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  place.clear();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ model: 'base', ttftMs: 2, gapMs: 1, ...options });
  servers.push(server);
  return server;
}

/** A target block for a server that bench starts itself. */
async function started(options: object = {}): Promise<string> {
  const port = await freePort();
  const command = program.commandFor({ model: 'base', ttftMs: 2, gapMs: 1, port, ...options });
  return `target: ${JSON.stringify({ command, ready: `http://127.0.0.1:${port}/health` })}\n`;
}

interface Where {
  out?: string;
  env?: Record<string, string>;
}

const gate = (scenario: string, args: readonly string[], { out = 'o', env = {} }: Where = {}): Promise<Ended> =>
  place.bench(['gate', place.file('s.yaml', scenario), '--no-self-check', '--out', out, ...args], env);

const against = async (
  scenario: string,
  candidate: Partial<TimedServerOptions>,
  reference: Partial<TimedServerOptions> = {},
): Promise<Ended> => {
  const [b, a] = [await serve(candidate), await serve(reference)];
  return gate(scenario, ['--endpoint', b.url, '--against', a.url]);
};

const read = (name: string): string => readFileSync(join(place.folder, 'o', name), 'utf8');
const verdict = (): VerdictFile => JSON.parse(read('verdict.json')) as VerdictFile;
const outcomes = (): Record<string, VerdictLine['outcome']> =>
  Object.fromEntries(verdict().verdicts.map(({ id, outcome }) => [id, outcome]));

describe('against a reference', () => {
  it('passes an unchanged server at the first look, both started by command, and leaves all its files', async () => {
    const base = place.file('base.yaml', await started({ adapters: ['x', 'y'] }));
    // What either calls its adapters is its own affair.
    const own = `${COUNTED.replace('count: 0', 'count: 2')}${await started({ adapters: ['a1', 'a2'] })}`;
    const { code, stdout, stderr } = await gate(own, ['--against', base]);
    expect(code, `${stdout}${stderr}`).toBe(0);

    expect(stdout).toMatch(/Compared with: the server that .* starts, .*\(A, the reference; the target above is B/);
    expect(stdout).toMatch(/Gate: 2 thresholds x cells and 1 that is only shown, .* looked at after 6, 8/);
    expect(stdout).toMatch(/passed: all 2 thresholds hold/);
    expect(verdict()).toMatchObject({ format: 'bench-verdict/1', mode: 'interleaved', outcome: 'passed', exitCode: 0 });
    expect(outcomes()).toEqual({ 't1@c1': 'pass', 't2@c1': 'report-only', 'faults@c1': 'pass' });
    // Decided at the first look: the other two pairs were not measured.
    expect(verdict().verdicts[0]).toMatchObject({ decidedAtLook: 6, pairs: 6 });
    expect(place.result('o').cells.map(({ target, runs }) => [target, runs.length])).toEqual([
      ['A', 6],
      ['B', 6],
    ]);
    expect(read('junit.xml')).toMatch(/<testsuites name="lorabench" tests="3" failures="0" errors="0" skipped="1">/);
    expect(read('summary.md')).toMatch(/^<!-- lorabench gate counted -->\n### ✅ counted: passed/);
    expect(read('report.html')).toMatch(/<section id="verdict".*Gate passed: all 2 thresholds hold/s);
    expect(verdict().capability?.thresholds[0]).toMatchObject({ id: 't1@c1', detects: expect.any(Number) });
  });

  it('fails a slower one where it is slower, at the place where that is written, in every output', async () => {
    const [b, a] = [await serve({ ttftMs: 150, gapMs: 15 }), await serve({ ttftMs: 50, gapMs: 15 })];
    const summary = place.file('step.md', '');
    const { code, stdout } = await gate(TIMED, ['--endpoint', b.url, '--against', a.url], {
      env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary },
    });
    expect(code, stdout).toBe(1);
    expect(stdout).toMatch(/failed: 1 of 3 thresholds/);
    expect(stdout).toMatch(/FAIL: ttft\.p50 max_increase 60% in c1: \d+(\.\d)? ms against \d+(\.\d)? ms: \+\d+%/);
    expect(stdout).toMatch(
      /::error file=.*s\.yaml,line=11,col=7,title=timed%3A ttft\.p50 max_increase 60%25::FAIL in c1/,
    );
    expect(outcomes()).toMatchObject({ 't1@c1': 'fail', 'faults@c1': 'pass' });
    expect(outcomes()['t2@c1']).not.toBe('fail');
    expect(verdict().verdicts[0]!.line).toMatchObject({ line: 11, column: 7 });
    expect(read('junit.xml')).toMatch(/failures="1".*<failure message="FAIL: /s);
    expect(readFileSync(summary, 'utf8')).toBe(`${read('summary.md')}\n`);
    expect(read('summary.md')).toMatch(/^<!-- lorabench gate timed -->\n### ❌ timed: failed: 1 of 3/);
    expect(read('report.html')).toMatch(/<section id="verdict".*Gate failed: 1 of 3 thresholds/s);
  });

  it('fails one that dies where the reference lives, and is 5 where it is the reference', async () => {
    const [alive, dying] = [await serve(), await started({ endAtRequest: 30 })];
    const candidate = await gate(`${COUNTED}${dying}`, ['--against', alive.url]);
    expect(candidate.code, candidate.stderr).toBe(1);
    expect(candidate.stdout).toMatch(/FAIL: no faults .* of the candidate its server died, and the reference went on/);

    const reference = place.file('base.yaml', await started({ endAtRequest: 30 }));
    const other = await gate(COUNTED, ['--endpoint', alive.url, '--against', reference], { out: 'p' });
    expect(other.code, other.stderr).toBe(5);
    expect(other.stdout).toMatch(/not judged: a server is down/);
    expect(other.stdout).toMatch(/the reference died during a run/);
  });

  it('fails one that answers nothing right; with a reference that does not either there is no data', async () => {
    const broken = { fault: () => ({ status: 500, body: 'no' }) };
    const candidate = await against(COUNTED, broken);
    expect(candidate.code, candidate.stderr).toBe(1);
    expect(candidate.stdout).toMatch(/none of 8 requests succeeded \(http_500 x 8\), and the reference went on/);
    const both = await gate(COUNTED, ['--endpoint', servers[0]!.url, '--against', servers[0]!.url], { out: 'p' });
    expect(both.code, both.stderr).toBe(3);
    expect(both.stdout).toMatch(/NO DATA/);
  });

  it('has no data where a metric has none', async () => {
    const tpot = TIMED.replace('ttft.p50', 'tpot.p50').replace('tokens: 2', 'tokens: 2, control: cap');
    const { code, stdout } = await against(tpot, { produce: () => 1 }, { produce: () => 1 });
    expect(code, stdout).toBe(3);
    expect(outcomes()).toMatchObject({ 't1@c1': 'no-data' });
  });

  it('is inconclusive where chance may explain it, which a scenario may let pass, loudly', async () => {
    // By turns a run of 8 tokens and one of 10; the reference always has 9.
    const wavering = () => {
      let requests = 0;
      return { produce: () => (Math.floor(requests++ / 8) % 2 === 0 ? 8 : 10) };
    };
    const undecided = await against(COUNTED, wavering());
    expect(undecided.code, undecided.stdout).toBe(3);
    expect(undecided.stdout).toMatch(/inconclusive: 1 of 2 thresholds could not be decided/);
    expect(undecided.stdout).toMatch(/INCONCLUSIVE: output_tokens\.mean max_decrease 1% in c1: .* but it may be worse/);

    const [b, a] = [await serve(wavering()), await serve()];
    const warned = COUNTED.replace('looks:', 'on_inconclusive: warn\n  looks:');
    const targets = ['--endpoint', b.url, '--against', a.url];
    const passed = await gate(warned, targets, { out: 'p', env: { GITHUB_ACTIONS: 'true' } });
    expect(passed.code, passed.stderr).toBe(0);
    expect(passed.stdout).toMatch(/passed with a warning: 1 of 2 thresholds could not be decided/);
    expect(passed.stdout).toMatch(/::warning file=.*title=counted%3A output_tokens\.mean.*INCONCLUSIVE/);
  });

  it('is 130 when stopped, and keeps what was measured', async () => {
    const [b, a] = [await serve({ ttftMs: 100 }), await serve({ ttftMs: 100 })];
    const args = ['--endpoint', b.url, '--against', a.url, '--no-self-check', '--out', 'o'];
    const running = place.start(['gate', place.file('s.yaml', COUNTED), ...args]);
    await place.measured(running, 'o', 10);
    running.child.kill('SIGINT');
    const { code, stdout } = await running.ended;
    expect(code, stdout).toBe(130);
    expect(verdict()).toMatchObject({ outcome: 'interrupted', exitCode: 130 });
    expect(place.result('o').cells.flatMap(({ runs }) => runs).length).toBeGreaterThan(1);
    expect(read('report.html')).toContain('Gate interrupted');
  });

  it('is no pass where its verdict could not be written', async () => {
    mkdirSync(join(place.folder, 'o', 'verdict.json'), { recursive: true });
    const unwritten = await against(COUNTED, {});
    expect(unwritten.code, unwritten.stderr).toBe(2);
    expect(unwritten.stderr).toMatch(/bench: .*verdict\.json/);
    const asked = servers[0]!.log.length;
    place.file('file', '');
    const nowhere = await gate(COUNTED, ['--endpoint', servers[0]!.url, '--against', servers[1]!.url], {
      out: 'file/o',
    });
    expect(nowhere.code, nowhere.stderr).toBe(2);
    expect(servers[0]!.log.length).toBe(asked);
  });
});

describe('by limits alone', () => {
  it('passes what keeps to them, and fails what does not', async () => {
    const [good, bad] = [
      await serve(),
      await serve({ fault: (n) => (n % 2 === 0 ? { status: 500, body: '' } : null) }),
    ];
    const passed = await gate(LIMITS, ['--endpoint', good.url]);
    expect(passed.code, passed.stderr).toBe(0);
    expect(passed.stdout).toMatch(/by limits alone/);
    expect(verdict()).toMatchObject({ mode: 'absolute', reference: null, outcome: 'passed' });
    const failed = await gate(LIMITS, ['--endpoint', bad.url], { out: 'p' });
    expect(failed.code, failed.stderr).toBe(1);
    expect(failed.stdout).toMatch(/FAIL: error_rate <= 1% in c1: 4 of 8 requests failed/);
  });

  it('is invalid where this machine could not keep to the load', async () => {
    const server = await serve();
    const open = LIMITS.replace('{concurrency: [4]}', '{rate: 200/s}').replace('requests: 8', 'requests: 110');
    const file = place.file('s.yaml', open.replace('error_rate <= 1%', 'ttft.p50 < 10s'));
    const running = place.start(['gate', file, '--endpoint', server.url, '--no-self-check', '--out', 'o']);
    await place.measured(running, 'o', 1);
    // Somebody else's process has the core most of the time.
    let stopped = false;
    const starving = setInterval(() => {
      stopped = !stopped;
      running.child.kill(stopped ? 'SIGSTOP' : 'SIGCONT');
    }, 50);
    while (server.log.length < 110) await new Promise((resolve) => setTimeout(resolve, 10));
    clearInterval(starving);
    running.child.kill('SIGCONT');
    const { code, stdout } = await running.ended;
    expect(code, stdout).toBe(4);
    expect(stdout).toMatch(/INVALID: ttft\.p50 < 10s in c1: .*requests were sent late: send lag p99 was/);
  });
});

describe('against kept sessions', () => {
  type Session = Record<string, unknown>;

  /** Gates by so many sessions, copies of one that was measured. */
  async function keep() {
    const { url } = await serve();
    const run = [place.file('s.yaml', COUNTED), '--endpoint', url, '--no-self-check', '--out', 'k'];
    for (const args of [run, ['baseline', 'add', 'k']]) {
      const { code, stderr } = await place.bench(args);
      expect(code, stderr).toBe(0);
    }
    const path = place.files().find((file) => file.includes(join('reports', 'baselines')))!;
    const file = JSON.parse(readFileSync(path, 'utf8')) as { sessions: Session[] };
    const [one] = file.sessions;
    return (out: string, count: number, change: (session: Session) => object = (session) => session) => {
      const sessions = Array.from({ length: count }, (_, i) => change({ ...one!, session: `s${i}` }));
      writeFileSync(path, JSON.stringify({ ...file, sessions }));
      return gate(COUNTED, ['--endpoint', url, '--baseline', path], { out });
    };
  }

  it('passes by eight, and judges by no fewer', async () => {
    const gateBy = await keep();
    const passed = await gateBy('o', 8);
    expect(passed.code, passed.stdout + passed.stderr).toBe(0);
    expect(verdict()).toMatchObject({ mode: 'baseline', reference: '8 kept sessions', outcome: 'passed' });
    const few = await gateBy('p', 7);
    expect(few.code, few.stderr).toBe(4);
    expect(few.stdout).toMatch(/INVALID: .*7 sessions are kept, 8 are needed \(bench baseline add\)/);
  });

  it('is no pass by those of another machine, nor by figures that are none', async () => {
    const gateBy = await keep();
    const elsewhere = await gateBy('o', 8, (session) => ({ ...session, fingerprint: 'another' }));
    expect(elsewhere.code, elsewhere.stderr).toBe(4);
    expect(elsewhere.stdout).toMatch(/8 of 8 kept sessions were measured on another machine/);
    const spoilt = (session: Session) =>
      JSON.parse(JSON.stringify(session).replaceAll(/"mean":[\d.]+/g, '"mean":null')) as object;
    const nothing = await gateBy('p', 8, spoilt);
    expect(nothing.code, nothing.stdout).toBe(3);
    expect(nothing.stdout).toMatch(
      /NO DATA: output_tokens\.mean .*: 0 of 8 kept sessions have a figure to compare with/,
    );
  });
});

it('bench calibrate says what pairs of one server cannot show, and a gate then refuses to ask for it', async () => {
  // By turns a run of 8 tokens and one of 10.
  let requests = 0;
  const { url } = await serve({ produce: () => (Math.floor(requests++ / 8) % 2 === 0 ? 8 : 10) });
  const file = place.file('s.yaml', COUNTED);
  const calibrated = await place.bench(['calibrate', file, '--endpoint', url, '--no-self-check', '--out', 'k']);
  expect(calibrated.code, calibrated.stderr).toBe(0);
  expect(calibrated.stdout).toMatch(
    /^output_tokens\.mean max_decrease 1% +c1 +2\d\.\d\d% .* too tight for this machine$/m,
  );
  expect(calibrated.stdout).toMatch(/Of 1000 gates on this unchanged server .* failed; 5% may\./);
  expect(calibrated.stdout).toMatch(/kept in reports\/baselines\/counted@\w+\.calibration\.json/);

  const before = requests;
  const refused = await gate(COUNTED, ['--endpoint', url, '--against', url]);
  expect(refused.code, refused.stderr).toBe(2);
  expect(refused.stderr).toMatch(
    /this machine cannot show what the gate asks for:\n +output_tokens\.mean max_decrease 1% in c1: pairs of one server differ by 2\d\.\d% here, so that 8 of them detect -\d+%, and -2\.0% would take \d+/,
  );
  expect(requests).toBe(before);
});

describe('refused before anything is sent', () => {
  test.each<[string, string, string[], RegExp]>([
    [
      'an unknown percentile',
      TIMED.replace('ttft.p50', 'ttft.p97'),
      [],
      /s\.yaml:11:\d+: gate\.thresholds\[0\]\.metric: there is no ttft\.p97/,
    ],
    [
      'too few requests',
      TIMED.replace('162', '40'),
      [],
      /s\.yaml:11:7: gate\.thresholds\[0\]: 40 requests a run are too few in c1.* takes 162/,
    ],
    ['a cell that does not exist', COUNTED.replace('1%}', '1%, at: {adapters: 9}}'), [], /no cell has adapters 9/],
    ['a plan without a cell', COUNTED.replace('count: 0', 'count: 8'), ['--allow-fewer'], /no cell|adapters/],
    [
      'a scenario without a gate',
      COUNTED.slice(0, COUNTED.indexOf('gate:')),
      [],
      /has no gate: there is nothing to judge by/,
    ],
    ['two references', COUNTED, ['--baseline', 'b.json'], /--against and --baseline both say what to judge by/],
  ])('%s', async (_, scenario, more, message) => {
    const [b, a] = [await serve(), await serve()];
    const { code, stderr } = await gate(scenario, ['--endpoint', b.url, '--against', a.url, ...more]);
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(message);
    expect([...a.log, ...b.log]).toEqual([]);
    expect(existsSync(join(place.folder, 'o'))).toBe(false);
  });

  it('no reference to compare with, a baseline that is not there, a reference that does not answer', async () => {
    const { url, log } = await serve();
    const alone = await gate(COUNTED, ['--endpoint', url]);
    expect(alone.code, alone.stderr).toBe(2);
    expect(alone.stderr).toMatch(/compares with a reference, and there is none; give one: --against URL\|FILE/);
    const missing = await gate(COUNTED, ['--endpoint', url, '--baseline', 'none.json']);
    expect(missing.code, missing.stderr).toBe(2);
    expect(missing.stderr).toMatch(/cannot read the baseline none\.json: there is no such file/);
    const down = await gate(COUNTED, ['--endpoint', url, '--against', `http://127.0.0.1:${await freePort()}/v1`]);
    expect(down.code, down.stderr).toBe(5);
    expect(log).toEqual([]);
  });
});
