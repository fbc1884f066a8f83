/**
 * LoRA and DoRA modules of a PEFT adapter: targeted projections and their tensors in, checked AdapterModules out.
 *
 * y += scale · (B (A x) + bias), A [r, in], B [out, r] (src/peft/tuners/lora/layer.py of huggingface/peft 0.21.2);
 * DoRA's magnitude is [out] (dora.py), or [out, 1] as NVlabs/DoRA has it.
 */
import type { Geometry } from '../models/geometry.ts';
import { type ModuleName, moduleWidths } from '../models/projections.ts';
import { quoted } from '../tensor-files/problems.ts';
import type { AdapterModule } from './adapter.ts';
import type { PeftConfig } from './peft-config.ts';
import type { Part } from './peft-keys.ts';
import { shapeProblem } from './peft-problems.ts';
import type { TargetedModule } from './peft-targets.ts';
import { moduleName } from './peft-targets.ts';
import type { Parts } from './peft-tensors.ts';
import { readFinite } from './peft-values.ts';

/** Widths by module, known from the base or, without one, from the first layer that has it. */
type Widths = Partial<Record<ModuleName, { in: number; out: number }>>;

/** Checks every pair; what is wrong goes to `problems`. `pairs` has the targeted modules that the file has tensors of. */
export function loraModules(
  folder: string,
  config: PeftConfig,
  pairs: readonly { target: TargetedModule; parts: Parts }[],
  geometry: Geometry | null,
  problems: string[],
): AdapterModule[] {
  const widths: Widths = geometry ? moduleWidths(geometry) : {};
  const modules: AdapterModule[] = [];
  for (const { target, parts } of pairs) {
    const wrong = partProblems(config, target, parts);
    if (wrong.length === 0) wrong.push(...shapeProblems(target, parts, widths, geometry !== null));
    problems.push(...wrong);
    if (wrong.length === 0) modules.push(moduleOf(folder, target, parts));
  }
  return modules;
}

/** Parts that are missing or too many. */
function partProblems(config: PeftConfig, target: TargetedModule, parts: Parts): string[] {
  const problems: string[] = [];
  const dora = config.kind === 'dora';
  const needed: [Part, string, boolean][] = [
    ['a', 'lora_A.weight', true],
    ['b', 'lora_B.weight', true],
    ['bias', 'lora_B.bias', config.hasBias],
    ['magnitude', 'lora_magnitude_vector', dora],
  ];
  const name = moduleName(target.layer, target.module);
  for (const [part, ending, expected] of needed) {
    const tensor = parts[part];
    if (tensor && !expected) {
      const field = part === 'bias' ? 'lora_bias' : 'use_dora';
      problems.push(`tensor ${quoted(tensor.name)} is there, but ${field} in adapter_config.json is not true`);
    }
    if (!tensor && expected) problems.push(`${name}: ${ending} is missing, beside ${heldBy(parts)}`);
  }
  for (const part of ['lambda_b', 'lambda_d'] as const) {
    if (parts[part]) problems.push(`tensor ${quoted(parts[part].name)} is VeRA's, but peft_type is not VERA`);
  }
  return problems;
}

export const heldBy = ({ layer: _layer, module: _module, ...tensors }: Parts): string =>
  Object.values(tensors)
    .map((tensor) => quoted(tensor.name))
    .join(', ');

function shapeProblems(target: TargetedModule, parts: Parts, widths: Widths, known: boolean): string[] {
  const { a, b, bias, magnitude } = parts;
  const width = widths[target.module];
  const why = `rank ${target.rank} by adapter_config.json${width ? `, ${known ? "the base's widths" : 'widths as in other layers'}` : ''}`;
  const problems = [
    shapeProblem(a!, [target.rank, width?.in ?? 'in'], why),
    shapeProblem(b!, [width?.out ?? 'out', target.rank], why),
  ];
  const out = width?.out ?? b!.shape[0] ?? 0;
  if (bias) problems.push(shapeProblem(bias, [out], 'one a row of B'));
  if (magnitude) {
    const column = magnitude.shape.length === 2 && magnitude.shape[1] === 1;
    problems.push(shapeProblem(magnitude, column ? [out, 1] : [out], "one a row of the base's weight"));
  }
  const found = problems.filter((problem) => problem !== null);
  if (found.length === 0) widths[target.module] ??= { in: a!.shape[1]!, out };
  return found;
}

function moduleOf(folder: string, target: TargetedModule, { a, b, bias, magnitude }: Parts): AdapterModule {
  return {
    ...target,
    in: a!.shape[1]!,
    out: b!.shape[0]!,
    hasMagnitude: magnitude !== undefined,
    hasBias: bias !== undefined,
    async read() {
      return {
        a: await readFinite(folder, a!),
        b: await readFinite(folder, b!),
        magnitude: magnitude ? await readFinite(folder, magnitude) : null,
        bias: bias ? await readFinite(folder, bias) : null,
      };
    },
  };
}
