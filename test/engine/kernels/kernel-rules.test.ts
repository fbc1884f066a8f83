/** What every kernel keeps to: at most 8 storage buffers, bindings as its TypeScript says, a header; mistakes named at creation. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../../engine/errors.ts';
import { attention, ropeKv } from '../../../engine/kernels/attention.ts';
import { attentionFlash } from '../../../engine/kernels/attention-flash.ts';
import { attentionMerge, attentionSplit } from '../../../engine/kernels/attention-split.ts';
import { ceilingCopy, ceilingFma, ceilingMatrix, ceilingRead } from '../../../engine/kernels/ceilings.ts';
import { embed } from '../../../engine/kernels/embed.ts';
import { foldColumns, foldMerge } from '../../../engine/kernels/fold.ts';
import { gemv } from '../../../engine/kernels/gemv.ts';
import { type Access, defineKernel, type Kernel, KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { matmul } from '../../../engine/kernels/matmul.ts';
import { randomWeights } from '../../../engine/kernels/random-weights.ts';
import { reduceNorm, reduceRope, reduceSwiglu } from '../../../engine/kernels/reduce.ts';
import { rmsnorm, rmsnormConstants } from '../../../engine/kernels/rmsnorm.ts';
import { rmsnormWide } from '../../../engine/kernels/rmsnorm-wide.ts';
import { sample, sampleWide } from '../../../engine/kernels/sample.ts';
import { shrink } from '../../../engine/kernels/shrink.ts';
import { shrinkFew } from '../../../engine/kernels/shrink-few.ts';
import { shrinkTiles } from '../../../engine/kernels/shrink-tiles.ts';
import { splitK } from '../../../engine/kernels/split-k.ts';
import { tiles } from '../../../engine/kernels/tiles.ts';
import { testDevice } from '../../support/device.ts';

const FOLDER = fileURLToPath(new URL('../../../engine/kernels/', import.meta.url));
const SHAPE = { heads: 4, kvHeads: 1, headDim: 64, blockSize: 16 };
const SQUARE = { rows: 16, columns: 64, subgroupRows: 16, subgroupColumns: 16 };
const TILE = { ...SQUARE, depth: 32, buffers: 1, direct: false } as const;
const CORES = { matrix: { m: 16, n: 16, k: 16 }, lanes: 32, maxWorkgroupBytes: 16_384, maxInvocations: 256 };
const F16 = { format: 'f16', pack: 8 } as const;
const KERNELS: Kernel[] = [
  attention,
  attentionFlash(SHAPE, { rows: 16, heads: 4 }),
  attentionMerge,
  attentionSplit(SHAPE, { lanes: 8, subgroup: false }),
  ropeKv,
  ceilingCopy,
  ceilingFma,
  ceilingMatrix({ m: 16, n: 16, k: 16 }),
  ceilingRead,
  embed,
  foldColumns,
  foldMerge,
  gemv,
  matmul({ format: 'f16', pack: 1 }),
  ...randomWeights,
  reduceNorm,
  reduceRope,
  reduceSwiglu,
  rmsnorm,
  rmsnormWide,
  sample,
  sampleWide,
  shrink,
  shrinkFew,
  shrinkTiles(TILE, CORES),
  splitK(TILE, F16, CORES),
  tiles(TILE, F16, CORES),
];
const files = readdirSync(FOLDER).filter((file) => file.endsWith('.wgsl'));
const source = (name: string): string => readFileSync(join(FOLDER, `${name}.wgsl`), 'utf8');

/** Bindings of group 0 as the shader declares them, by number. */
function bindingsIn(wgsl: string): Access[] {
  const declared: Access[] = [];
  for (const line of wgsl.split('\n').filter((one) => one.includes('@binding('))) {
    const match = /^@group\(0\) @binding\((\d+)\) var<(storage, read|storage, read_write|uniform)> \w+: \S+/.exec(line);
    if (!match) throw new Error(`a binding this test cannot read: ${line}`);
    declared[Number(match[1])] = (
      { 'storage, read': 'read', 'storage, read_write': 'write', uniform: 'uniform' } as const
    )[match[2] as 'uniform'];
  }
  return declared;
}

it('are all looked at here', () => {
  expect(new Set(KERNELS.map(({ name }) => `${name}.wgsl`))).toEqual(new Set(files));
});

describe.each(KERNELS)('$name, $entry', ({ name, entry, bindings }) => {
  it('binds what its shader declares, at most 8 storage buffers', () => {
    expect(bindingsIn(source(name))).toEqual(bindings);
    expect(bindings.filter((access) => access !== 'uniform').length).toBeLessThanOrEqual(8);
  });

  it('has its entry point', () =>
    expect(source(name)).toMatch(
      new RegExp(`@compute @workgroup_size\\(\\w+\\)( @subgroup_size\\(\\w+\\))?\\nfn ${entry}\\(`),
    ));
});

describe.each(files)('%s', (file) => {
  const text = readFileSync(join(FOLDER, file), 'utf8');

  it('begins with what it does, its shapes and its grid', () => {
    const header = text.slice(0, text.search(/^(?!\/\/)/m));
    expect(header.trimEnd().split('\n').length).toBeGreaterThanOrEqual(3);
    expect(header).toMatch(/Grid: /);
  });

  it('holds no more than 400 lines', () => expect(text.split('\n').length).toBeLessThanOrEqual(400));
});

describe('a mistake is thrown at creation, with the name of the kernel:', () => {
  let folder: string;
  let compiler: KernelCompiler;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lorabench-kernels-'));
    compiler = new KernelCompiler((await testDevice()).device);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function failure(kernel: Kernel, constants: Record<string, number>): Promise<EngineError> {
    const thrown = await compiler.compile(kernel, constants).then(
      () => new Error('it compiled'),
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(EngineError);
    expect((thrown as EngineError).code).toBe('bug');
    return thrown as EngineError;
  }
  /** A kernel of this text, named by its way from the folder of kernels. */
  function written(name: string, text: string, bindings: Access[] = ['write']): Kernel {
    writeFileSync(join(folder, `${name}.wgsl`), text);
    return defineKernel(relative(FOLDER, join(folder, name)), bindings);
  }
  const shader = (body: string) =>
    `override WIDTH: u32 = 64u;\n@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(WIDTH) fn main() { ${body} }`;

  it('an override that the shader does not have', async () => {
    const { message } = await failure(rmsnorm, { ...rmsnormConstants(64, 1e-5, false), WARPS: 2 });
    expect(message).toMatch(/^kernel rmsnorm \(main\).*WARPS/s);
  });

  it('an override left out', async () => {
    const { EPS: _, ...rest } = rmsnormConstants(64, 1e-5, false);
    expect((await failure(rmsnorm, rest)).message).toMatch(/^kernel rmsnorm \(main\)/);
  });

  it('a workgroup wider than the device allows', async () => {
    const { message } = await failure(written('wide', shader('y[0] = 1.0;')), { WIDTH: 1 << 16 });
    expect(message).toMatch(/^kernel \S*wide \(main\) with \{"WIDTH":65536\}/);
  });

  it('a type error', async () => {
    const { message } = await failure(written('wrong-type', shader('y[0] = 1u;')), {});
    expect(message).toMatch(/^kernel \S*wrong-type does not compile: .*u32/s);
  });

  it('a barrier some lanes miss', async () => {
    const { message } = await failure(written('missed', shader('if (y[0] > 0.0) { workgroupBarrier(); }')), {});
    expect(message).toMatch(/^kernel \S*missed does not compile: .*uniform/s);
  });

  it('a binding declared read that the shader writes', async () => {
    const { message } = await failure(written('read-only', shader('y[0] = 1.0;'), ['read']), {});
    expect(message).toMatch(/^kernel \S*read-only \(main\)/);
  });

  it('and the compiler still works after them', async () => {
    const { kernel } = await compiler.compile(written('right', shader('y[0] = 1.0;')), { WIDTH: 32 });
    expect(kernel.bindings).toEqual(['write']);
  });
});
