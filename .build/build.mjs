// Builds dist/: TypeScript to JavaScript, the .wgsl kernels and the report's page beside it, and the executable bit on the bin
// (tsc sets none, and npx fails without it). Run by `npm run build`, and so by `npm ci` through `prepare`.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

let tsc;
try {
  tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
} catch {
  if (existsSync(join(dist, 'src', 'cli.js'))) process.exit(0); // development packages left out, and built already
  console.error('build: the package "typescript" is not installed; run `npm ci` without --omit=dev first');
  process.exit(1);
}

rmSync(dist, { recursive: true, force: true });
for (const folder of ['engine/kernels', 'engine/kernels/parts', 'src/report/page', 'src/report/page/style']) {
  mkdirSync(join(dist, folder), { recursive: true });
  for (const file of readdirSync(join(root, folder))) {
    if (/\.(?:wgsl|js|css)$/.test(file)) cpSync(join(root, folder, file), join(dist, folder, file));
  }
}
try {
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
} catch {
  process.exit(1); // tsc has printed why
}
chmodSync(join(dist, 'src', 'cli.js'), 0o755);
