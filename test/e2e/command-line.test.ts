/** What the command line accepts and refuses, told in sentences with the right exit code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, ENDPOINT_SCENARIO, ROOT, Workplace } from './bench.ts';

let place: Workplace;
beforeAll(() => {
  place = new Workplace();
  place.file('s.yaml', ENDPOINT_SCENARIO);
});
afterAll(() => place.clear());

describe('bench', () => {
  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await place.bench(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('helps, with examples, for itself and for each command', async () => {
    const { code, stdout } = await place.bench(['--help']);
    expect(code).toBe(0);
    const commands = [
      'run',
      'gate',
      'compare',
      'calibrate',
      'baseline',
      'validate',
      'report',
      'serve',
      'adapters',
      'doctor',
    ];
    for (const word of [...commands, '--endpoint', 'Exit codes']) expect(stdout).toContain(word);
    const run = await place.bench(['run', '--help']);
    expect(run.code).toBe(0);
    for (const flag of [
      '--endpoint',
      '--model',
      '--adapters',
      '--allow-fewer',
      '--api',
      '--set',
      '--out',
      '--device',
      '--quiet',
    ]) {
      expect(run.stdout).toContain(flag);
    }
    const serve = await place.bench(['serve', '--help']);
    expect(serve.code).toBe(0);
    expect(serve.stdout).toContain('--max-gpu-loras');
  });

  it.each([
    [[], /nothing to do/],
    [['gate', 's.yaml'], /s\.yaml has no gate/],
    [
      ['gate', 's.yaml', '--against-model', 'x'],
      /--against-model says something of a target that --against does not name/,
    ],
    [['gat', 's.yaml'], /did you mean gate\?/],
    [['compare', 'a', 'b'], /there is nothing at a/],
    [['compare'], /Not enough|expected/],
    [['baseline', 'list'], /no baselines are kept in reports\/baselines/],
    [['baseline', 'remove'], /remove|expected add or list/],
    [['valdate', 's.yaml'], /did you mean validate\?/],
    [['run'], /Not enough|scenario/],
    [['s.yaml', '--compare-model', 'x'], /--compare-model says something of a target that --compare does not name/],
    [['s.yaml', '--resume', 'x'], /Could not read x/],
    [['s.yaml', '--resume', 'x', '--out', 'y'], /--out and --resume both name a folder/],
    [['s.yaml', '--workers', '0'], /--workers 0: expected auto, or a number/],
    [['s.yaml', '--endpont', 'http://h/v1'], /did you mean --endpoint\?/],
    [['s.yaml', 'another.yaml'], /unknown: another\.yaml/],
    [['s.yaml', '--out', 'a', '--out', 'b'], /--out is given twice/],
    [['s.yaml', '--endpoint'], /Not enough arguments following: endpoint/],
    [['s.yaml', '--endpoint', 'http://127.0.0.1:1/v1', '--api', 'cat'], /chat/],
    [['s.yaml', '--endpoint', 'http://127.0.0.1:1/v1', '--device', 'gpu'], /--device is for the engine/],
    [['validate', 's.yaml', '--model', 'x'], /--model is for endpoints/],
    [['validate', 'nowhere.yaml'], /nowhere\.yaml/],
    [['validate', 's.yaml', '--set', 'load.concurency=3'], /did you mean "concurrency"/],
    [['validate', 's.yaml', '--set', 'gate={thresholds: [tfft.p99 < 4ms]}'], /did you mean "?ttft/],
    [['serve', '--modl', 'x'], /modl/],
  ])('refuses %j', async (args, sentence) => {
    const { code, stderr, stdout } = await place.bench(args);
    expect(`${stderr}${stdout}`).toMatch(sentence);
    expect(code).toBe(2);
    expect(stderr).not.toContain('this is a bug');
  });

  it('names file, line and column of an unknown key', async () => {
    const bad = place.file('bad.yaml', ENDPOINT_SCENARIO.replace('output:', 'ouput:'));
    const { code, stderr } = await place.bench(['validate', bad]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/bad\.yaml:7:1.*did you mean "output"/s);
  });

  it('explains a scenario without starting anything', async () => {
    const { code, stdout, stderr } = await place.bench(['validate', 's.yaml']);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/2 cells/);
    expect(stdout).toMatch(/12 measured requests/);
  });

  it.each(['llama8b-rank16', 'llama8b-ranks', 'llama8b-mixed-ranks', 'nim-lora', 'smoke'])(
    'explains %s',
    async (name) => {
      const { code, stdout, stderr } = await place.bench(['validate', join(ROOT, 'scenarios', `${name}.yaml`)]);
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/With a GPU:[\s\S]*Without one:[\s\S]*Stand-in:/);
    },
  );

  it('does not mind a reader that goes away', async () => {
    const line = `"$0" "$1" validate s.yaml | true; exit \${PIPESTATUS[0]}`;
    const { code, stderr } = await place.start([], {}, ['bash', '-c', line, process.execPath, BIN]).ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
