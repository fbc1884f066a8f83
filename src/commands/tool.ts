/** Which build of this tool runs: the version of its package, and the commit where it runs from a clone. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from '../result/schema.ts';

export function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

export function tool(): Result['tool'] {
  return { name: 'lorabench', version: version(), commit: commit() };
}

/** null for an installed package, and where there is no git. */
function commit(): string | null {
  const root = packageRoot();
  if (!existsSync(join(root, '.git'))) return null;
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

/** The folder of package.json: two above this module in src/, three in dist/src/. */
function packageRoot(): string {
  for (let folder = new URL('..', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    if (existsSync(new URL('package.json', folder))) return fileURLToPath(folder);
  }
  throw new Error('package.json is not above src/commands');
}
