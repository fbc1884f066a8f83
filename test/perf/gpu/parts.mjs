// The parts of gpu-measure.mjs, one a process: each prints what it finds for people, and its answer as the last line.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onDevice } from './on-device.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '../../..');

export async function runPart(part, { device, quick }) {
  const answer = (result, file) => console.log(`\n${JSON.stringify({ part, file, result })}`);
  if (part === 'peers') return answer(peers(quick));
  if (part === 'serve') return answer(serve(device, quick));
  await onDevice(device, async (chosen) => {
    const { openDevice } = await import('../../../dist/engine/device/dawn.js');
    const open = await openDevice(chosen.candidate, { validate: false });
    const result = await ON_DEVICE[part](open, quick, () => openDevice(chosen.candidate, { validate: false }));
    answer(result, part === 'ceilings' ? await fileName(open) : undefined);
  });
}

async function fileName(open) {
  const { deviceFileName } = await import('../../../dist/src/result/device-file.js');
  return deviceFileName(open, os.cpus()[0]?.model.trim() ?? 'unknown');
}

/** Speeds are shares of what the device reached in this very part. */
async function readCeiling(open) {
  const { measureCeilings } = await import('../../../dist/engine/device/ceilings.js');
  return measureCeilings(open);
}

const ON_DEVICE = {
  async ceilings(open) {
    const { measureCeilings } = await import('../../../dist/engine/device/ceilings.js');
    const { machineOf } = await import('../../../dist/src/result/fingerprint.js');
    const { candidate, name, vendor, driver, software, features, architecture, facts, device } = open;
    const { cpu, cores, os: system, node } = machineOf(null);
    const limits = Object.fromEntries(
      [
        'maxBufferSize',
        'maxStorageBufferBindingSize',
        'maxComputeWorkgroupStorageSize',
        'maxComputeInvocationsPerWorkgroup',
        'maxStorageBuffersPerShaderStage',
      ].map((limit) => [limit, device.limits[limit]]),
    );
    const ceilings = await measureCeilings(open);
    console.log(JSON.stringify(ceilings, null, 1));
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    return {
      ...{ format: 'bench-device/1', measuredAt: new Date().toISOString(), version },
      machine: { cpu, cores, os: system, node },
      ...{ candidate, name, vendor, driver, software, features, architecture, facts, limits, ceilings },
    };
  },

  async check(open, quick) {
    const { checkVariants } = await import('./check.mjs');
    return { checks: await checkVariants(open, quick) };
  },

  async kernels(open, quick) {
    const ceilings = await readCeiling(open);
    const rows = [];
    for (const name of ['gemv', 'tensor', 'attention']) {
      const { measure } = await import(`./${name}.mjs`);
      try {
        rows.push(...(await measure(open.device, open.facts, { quick })));
      } catch (error) {
        rows.push({ kernel: name, error: String(error) });
      }
    }
    const shares = rows.map((row) => withShares(row, ceilings));
    for (const row of shares) console.log(JSON.stringify(row));
    return { ceilings, rows: shares };
  },

  async steps(open, quick, openAgain) {
    const { measureSteps, stepLines } = await import('./steps.mjs');
    const ceilings = await readCeiling(open);
    const small = open.facts.software || quick;
    const eight = small ? 'llama-3-8b@1/8' : 'llama-3-8b';
    const seventy = small ? 'llama-3-70b@1/8' : 'llama-3-70b';
    const rank = small ? 2 : 16;
    const common = { rank, context: small ? 64 : 512, repeats: small ? 2 : 15 };
    const runs = [
      ...['portable', 'fast'].map((kernels) => ({
        model: eight,
        kernels,
        rows: [1, 4, 8, 32],
        prefill: [small ? 128 : 2048],
      })),
      { model: eight, kernels: 'fast', rows: [1, 32], prefill: [small ? 128 : 2048], profile: open.facts.timestamps },
      { model: eight, weights: 'int8', kernels: 'fast', rows: [1, 32], prefill: [] },
      { model: eight, weights: 'int4', kernels: 'fast', rows: [1, 32], prefill: [] },
      // Last: it takes all the memory of an 80 GB card.
      { model: seventy, weights: 'int4', kernels: 'fast', rows: [1, 32], prefill: [] },
    ];
    const measured = [];
    for (const run of runs) {
      try {
        // Each on a device of its own: destroying that gives all of a model's memory back.
        const own = await openAgain();
        const { results, variants, memory, startMs } = await measureSteps(own, { ...common, ...run });
        own.device.destroy();
        console.log(
          `${run.model} ${run.weights ?? 'f16'} ${run.kernels}: ${variants.join(', ')}; ready after ${startMs.toFixed(0)} ms`,
        );
        console.log(stepLines(results, ceilings.read.best).join('\n'));
        const shares = results.map((result) => ({
          ...result,
          readShare: result.bytes / ceilings.read.best / (result.ms / 1e3),
        }));
        measured.push({ ...run, variants, memory, startMs, results: shares });
      } catch (error) {
        console.log(`${run.model} ${run.weights ?? 'f16'}: ${error}`);
        measured.push({ ...run, error: String(error) });
      }
    }
    return { ceilings, rank, context: common.context, runs: measured };
  },
};

/** Bandwidth-bound or not, what was reached of both ceilings. */
function withShares(row, { read, matrix, fma }) {
  if (!(row.seconds > 0)) return row;
  const shares = {};
  if (row.bytes > 0) shares.readShare = row.bytes / row.seconds / read.best;
  if (row.flops > 0) shares.rateShare = row.flops / row.seconds / (matrix ?? fma).best;
  return { ...row, ...shares };
}

/** The whole way, as a user would have it: bench, its engine, 32 distinct adapters. */
function serve(device, quick) {
  const folder = mkdtempSync(join(tmpdir(), 'lorabench-serve-'));
  const out = join(folder, 'result');
  const scenario = join(HERE, quick ? 'serve-quick.yaml' : 'serve.yaml');
  const flags = [join(ROOT, 'dist/src/cli.js'), 'run', scenario, '--out', out, '--quiet', '--device', device];
  const sets = ['engine.kernels=fast'].flatMap((set) => ['--set', set]);
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, ...sets], {
    encoding: 'utf8',
    timeout: 420_000,
  });
  console.log(stdout, stderr.slice(-4000));
  if (status !== 0) throw new Error(`bench run exited with ${status}: ${stderr.slice(-300)}`);
  const { cells } = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
  rmSync(folder, { recursive: true, force: true });
  const value = (metric) =>
    'value' in metric ? metric.value : { p50: metric.p50, p99: metric.p99, mean: metric.mean };
  return {
    cells: cells.map(({ at, runs }) => ({
      at,
      runs: runs.map(({ counts, metrics }) => ({
        counts,
        ...Object.fromEntries(
          ['output_tokens_per_second', 'ttft', 'tpot', 'active_adapters'].map((name) => [name, value(metrics[name])]),
        ),
      })),
    })),
  };
}

function peers(quick) {
  const results = {};
  for (const name of ['torch-matmul', 'peft-mixed']) {
    const script = join(HERE, '../peers', `${name}.py`);
    const { status, stdout, stderr } = spawnSync('python3', [script, ...(quick ? ['--quick'] : [])], {
      encoding: 'utf8',
      timeout: 300_000,
    });
    const line = (stdout ?? '').trim().split('\n').at(-1) ?? '';
    console.log(stdout, (stderr ?? '').slice(-1500));
    try {
      results[name] = JSON.parse(line);
    } catch {
      results[name] = { error: `exited with ${status}: ${(stderr ?? '').trim().split('\n').at(-1)}` };
    }
  }
  return results;
}
