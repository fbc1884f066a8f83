/**
 * VeRA modules of a PEFT adapter: targeted projections and their tensors in; out, AdapterModules that read as plain LoRA.
 *
 * y += λb ⊙ (B[:out] (λd ⊙ (A[:, :in] x))), A [r, largest in] and B [largest out, r] shared by all modules, scale 1
 * (Kopiczko et al., arXiv 2310.11454; src/peft/tuners/vera/layer.py of huggingface/peft 0.21.2). λd goes into A's rows and
 * λb into B's: each module then has a pair of its own, as the device wants it.
 */
import type { Geometry } from '../models/geometry.ts';
import { type ModuleName, moduleWidths } from '../models/projections.ts';
import { quoted } from '../tensor-files/problems.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';
import type { AdapterModule } from './adapter.ts';
import { heldBy } from './peft-lora.ts';
import { shapeProblem } from './peft-problems.ts';
import { moduleName, type TargetedModule } from './peft-targets.ts';
import type { Parts, SortedTensors } from './peft-tensors.ts';
import { firstColumns, readFinite, scaleRows, shared } from './peft-values.ts';

type Pair = { target: TargetedModule; parts: Parts };
type Widths = Partial<Record<ModuleName, { in: number; out: number }>>;

/** `forget` frees the projections that were kept for the next module. What is wrong goes to `problems`. */
export function veraModules(
  folder: string,
  projections: SortedTensors['shared'],
  pairs: readonly Pair[],
  geometry: Geometry | null,
  problems: string[],
): { modules: AdapterModule[]; forget(): void } {
  const none = { modules: [], forget: () => {} };
  const { a, b } = projections;
  if (!a)
    problems.push('tensor "base_model.vera_A" is missing: expected VeRA\'s projections in the file (save_projection)');
  if (!b)
    problems.push('tensor "base_model.vera_B" is missing: expected VeRA\'s projections in the file (save_projection)');
  for (const { target, parts } of pairs) problems.push(...partProblems(target, parts));
  if (!a || !b || problems.length > 0) return none;

  const widths: Widths = geometry ? moduleWidths(geometry) : widthsFrom(a, pairs, problems);
  problems.push(...shapeProblems(a, b, pairs, widths));
  if (problems.length > 0) return none;

  const down = shared(() => readFinite(folder, a));
  const up = shared(() => readFinite(folder, b));
  const modules = pairs.map(({ target, parts }) => {
    const { in: width, out } = widths[target.module]!;
    return moduleOf(folder, target, parts, { in: width, out, most: a.shape[1]!, down, up });
  });
  return {
    modules,
    forget() {
      down.forget();
      up.forget();
    },
  };
}

function partProblems(target: TargetedModule, parts: Parts): string[] {
  const name = moduleName(target.layer, target.module);
  const problems: string[] = [];
  for (const part of ['lambda_d', 'lambda_b'] as const) {
    if (!parts[part]) problems.push(`${name}: vera_${part} is missing, beside ${heldBy(parts)}`);
  }
  for (const part of ['a', 'b', 'bias', 'magnitude'] as const) {
    if (parts[part]) problems.push(`tensor ${quoted(parts[part].name)} is LoRA's, but peft_type is VERA`);
  }
  return problems;
}

/**
 * Widths without a base: λb tells those out, and out of one projection is in to another (o and down end in the hidden
 * width, q begins o, gate and up begin down); what none tells is the width of A, which is the largest in.
 */
function widthsFrom(a: StoredTensor, pairs: readonly Pair[], problems: string[]): Widths {
  const out: Partial<Record<ModuleName, number>> = {};
  for (const { target, parts } of pairs) out[target.module] ??= parts.lambda_b!.elements;
  const largest = a.shape[1] ?? 0;
  const hidden = out.o ?? out.down ?? largest;
  const width = { q: hidden, k: hidden, v: hidden, o: out.q ?? largest, gate: hidden, up: hidden };
  const into: Record<ModuleName, number> = { ...width, down: out.gate ?? out.up ?? largest };
  if (out.o !== undefined && out.q === undefined && out.down !== undefined) {
    problems.push("the width of o_proj's input is not in the file: give the base model");
  }
  const widths: Widths = {};
  for (const [module, size] of Object.entries(out) as [ModuleName, number][])
    widths[module] = { in: into[module], out: size };
  return widths;
}

function shapeProblems(a: StoredTensor, b: StoredTensor, pairs: readonly Pair[], widths: Widths): string[] {
  const rank = pairs[0]!.target.rank;
  const used = pairs.map(({ target }) => widths[target.module]!);
  const why = `rank ${rank} by adapter_config.json, the largest width of the modules`;
  const problems = [
    shapeProblem(a, [rank, Math.max(...used.map((width) => width.in))], why),
    shapeProblem(b, [Math.max(...used.map((width) => width.out)), rank], why),
  ];
  for (const { target, parts } of pairs) {
    problems.push(shapeProblem(parts.lambda_d!, [rank], `rank ${rank} by adapter_config.json`));
    problems.push(shapeProblem(parts.lambda_b!, [widths[target.module]!.out], 'one a row of B'));
  }
  return problems.filter((problem) => problem !== null);
}

interface Sources {
  in: number;
  out: number;
  /** Columns of the shared A. */
  most: number;
  down: { get(): Promise<Float32Array> };
  up: { get(): Promise<Float32Array> };
}

function moduleOf(folder: string, target: TargetedModule, parts: Parts, from: Sources): AdapterModule {
  const { rank } = target;
  return {
    ...target,
    in: from.in,
    out: from.out,
    hasMagnitude: false,
    hasBias: false,
    async read() {
      const d = await readFinite(folder, parts.lambda_d!);
      const b = await readFinite(folder, parts.lambda_b!);
      return {
        a: scaleRows(firstColumns(await from.down.get(), rank, from.most, from.in), d),
        b: scaleRows((await from.up.get()).slice(0, from.out * rank), b),
        magnitude: null,
        bias: null,
      };
    },
  };
}
