// Rebuilds reports/examples/: one report of each kind, measured here and now on the bundled engine, and the README's picture.
// `npm run examples`, or `npm run examples -- sweep gate` for some of them. About ten minutes on two cores without a GPU.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const into = join(root, 'reports', 'examples');

/** What each is made by; where the exit code is not 0, it is the point. */
const EXAMPLES = {
  sweep: ['scenarios/llama8b-rank16.yaml'],
  'cold-start': ['scenarios/cold-start.yaml'],
  // llvmpipe keeps no timestamps.
  profile: [
    'scenarios/llama8b-rank16.yaml',
    '--device',
    'swiftshader',
    '--set',
    'engine.profile=true',
    '--set',
    'adapters.count=[0,8]',
  ],
  comparison: ['reports/examples/before-after.yaml', '--compare', 'reports/examples/slower.yaml'],
  gate: ['gate', 'reports/examples/gate-slower.yaml', '--against', 'reports/examples/plain.yaml'],
};
const FAILS = { gate: 1 };

function bench(args, expected = 0, cwd = root) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'dist', 'src', 'cli.js'), ...args], {
      cwd,
      stdio: 'inherit',
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      code === expected ? resolve() : reject(new Error(`bench ${args.join(' ')}: exit ${code}`)),
    );
  });
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in EXAMPLES));
if (unknown !== undefined) throw new Error(`no example "${unknown}"; there are ${Object.keys(EXAMPLES).join(', ')}`);

const work = mkdtempSync(join(tmpdir(), 'lorabench-examples-'));
try {
  for (const [name, args] of Object.entries(EXAMPLES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const out = join(work, name);
    await bench([...args, '--out', out], FAILS[name]);
    copyFileSync(join(out, 'report.html'), join(into, `${name}.html`));
    if (name !== 'comparison') continue;
    // From there, so that the page names no folder of this machine.
    await bench(['compare', name, '--out', 'compared'], 0, work);
    copyFileSync(join(work, 'compared', 'compare.html'), join(into, 'compared.html'));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
