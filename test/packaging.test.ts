/** The package as others get it: rebuilt from a clean copy, and unpacked from its tarball. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const place = mkdtempSync(join(tmpdir(), 'packaging-'));
const clone = join(place, 'clone');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

/** What a clone would hold: tracked files, and new ones that are not ignored. */
function sources(): string[] {
  if (!existsSync(join(root, '.git'))) {
    const built = ['src', 'engine', 'scenarios', '.build', 'LICENSE', 'NOTICE', 'README.md', '.npmrc', '.gitignore'];
    return [...built, 'package.json', 'tsconfig.json', 'tsconfig.build.json'].filter((path) =>
      existsSync(join(root, path)),
    );
  }
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0');
  return files.filter((path) => path !== '' && existsSync(join(root, path)));
}

const run = (folder: string, command: string, args: string[]) =>
  spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

beforeAll(() => {
  for (const path of sources()) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    cpSync(join(root, path), join(clone, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('a clone', () => {
  it('builds again after dist is deleted, and its bin can be executed each time', () => {
    for (let build = 0; build < 2; build++) {
      rmSync(join(clone, 'dist'), { recursive: true, force: true });
      const built = run(clone, 'npm', ['run', 'build', '--silent']);
      expect(built.status, built.stdout + built.stderr).toBe(0);
      const bin = join(clone, 'dist', 'src', 'cli.js');
      accessSync(bin, constants.X_OK);
      // npx finds the bin of the package it stands in, and nothing is fetched for it.
      const started = run(clone, 'npx', ['--no-install', 'bench', '--version']);
      expect(started.stdout.trim(), started.stderr).toBe(version);
      expect(run(clone, bin, ['--version']).stdout.trim()).toBe(version);
    }
  });
});

describe('the tarball', () => {
  const unpacked = join(place, 'elsewhere', 'node_modules', 'lorabench');

  beforeAll(() => {
    if (!existsSync(join(clone, 'dist'))) expect(run(clone, 'npm', ['run', 'build', '--silent']).status).toBe(0);
    const packed = run(clone, 'npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', place]);
    expect(packed.status, packed.stderr).toBe(0);
    mkdirSync(unpacked, { recursive: true });
    execFileSync('tar', [
      'xzf',
      join(place, packed.stdout.trim().split('\n').at(-1)!),
      '-C',
      unpacked,
      '--strip-components=1',
    ]);
    // Its dependencies, as an installation would put them: above it.
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  });

  it('holds kernels, the report’s page, schema, scenarios and licence, and no sources or tests', () => {
    for (const file of [
      'LICENSE',
      'NOTICE',
      'scenarios/scenario.schema.json',
      'scenarios/smoke.yaml',
      'dist/engine/main.js',
    ]) {
      expect(existsSync(join(unpacked, file)), file).toBe(true);
    }
    const kernels = readdirSync(join(clone, 'engine', 'kernels')).filter((name) => name.endsWith('.wgsl'));
    expect(kernels.length).toBeGreaterThan(0);
    for (const kernel of kernels) {
      expect(existsSync(join(unpacked, 'dist', 'engine', 'kernels', kernel)), kernel).toBe(true);
    }
    const page = join('src', 'report', 'page');
    const shipped = readdirSync(join(clone, page), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(?:js|css)$/.test(name),
    );
    expect(shipped.length).toBeGreaterThan(10);
    for (const file of shipped) expect(existsSync(join(unpacked, 'dist', page, file)), file).toBe(true);
    for (const folder of ['src', 'engine', 'test', 'node_modules'])
      expect(existsSync(join(unpacked, folder)), folder).toBe(false);
  });

  it('works elsewhere', () => {
    const bin = join(unpacked, 'dist', 'src', 'cli.js');
    const elsewhere = join(place, 'elsewhere');
    expect(run(elsewhere, bin, ['--version'])).toMatchObject({ status: 0, stdout: `${version}\n` });
    const validated = run(elsewhere, bin, ['validate', join(unpacked, 'scenarios', 'smoke.yaml')]);
    expect(validated.status, validated.stderr).toBe(0);
    expect(validated.stdout).toContain('Without one:');
    const serve = run(elsewhere, bin, ['serve', '--help']);
    expect(serve.status, serve.stderr).toBe(0);
    expect(serve.stdout).toContain('--max-gpu-loras');
  });
});
