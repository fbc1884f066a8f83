/**
 * The judge as a gate asks it: at each look while it measures, and once at the end. In: the gate's plan, pairs as they are measured.
 * Out: whether to go on, and the last judgement. Keeps what was decided, which stands.
 */
import type { BenchError } from '../errors.ts';
import { type Capability, capabilityOf } from '../gate/capability.ts';
import { judge } from '../gate/judge.ts';
import type { ArmFacts, JudgeInput, Judgement, PairedRuns, Verdict } from '../gate/judgement.ts';
import { spreadOf } from '../gate/spread.ts';
import { machineOf } from '../result/fingerprint.ts';
import type { PairsOutcome, SideState } from '../runner/run-pairs.ts';
import type { GatePlan } from './gate-plan.ts';
import type { Prepared } from './prepared.ts';
import { gpuOf } from './sides.ts';

export class GateJudge {
  readonly #planned: GatePlan;
  readonly #base: Omit<JudgeInput, 'pairs' | 'down' | 'look' | 'final' | 'earlier'>;
  #earlier: Verdict[] = [];

  constructor(planned: GatePlan) {
    const { mode, thresholds, baseline, candidate, reference, looks, gate } = planned;
    this.#planned = planned;
    this.#base = {
      mode,
      thresholds,
      // Both get the same load, which was seen to before (checkSameLoad); what they call models and adapters is their own.
      arms: {
        A: reference === null ? null : { ...factsOf(reference), planHash: candidate.plan.hash },
        B: factsOf(candidate),
      },
      ...(mode === 'baseline' ? { baseline } : {}),
      looks,
      alpha: gate.alpha,
      onInconclusive: gate.onInconclusive,
    };
  }

  look(pairs: readonly PairedRuns[], look: number): { decided: boolean } {
    const final = look === this.#planned.looks.length - 1;
    const judgement = this.#judge(pairs, look, final, { A: null, B: null });
    this.#earlier = judgement.verdicts;
    return { decided: judgement.decided };
  }

  conclude({ pairs, sides }: PairsOutcome): Judgement {
    const { looks } = this.#planned;
    const count = Math.max(0, ...pairs.map(({ pair }) => pair + 1));
    // The look whose pairs are there, or the one that was on its way when it ended.
    const reached = looks.filter((pairsAt) => pairsAt <= count).length - 1;
    const down = { A: downOf(sides.A), B: downOf(sides.B) };
    return this.#judge(pairs, Math.max(0, reached), true, down);
  }

  /** By the pairs themselves, where there are enough to tell. */
  capability(pairs: readonly PairedRuns[]): Capability | null {
    const { mode, thresholds, looks, gate } = this.#planned;
    if (mode !== 'interleaved') return null;
    const spread = spreadOf(thresholds, pairs);
    return spread.size === 0 ? null : capabilityOf(thresholds, spread, { looks, alpha: gate.alpha }, 'these runs');
  }

  #judge(pairs: readonly PairedRuns[], look: number, final: boolean, down: JudgeInput['down']): Judgement {
    return judge({ ...this.#base, pairs, look, final, down, earlier: this.#earlier });
  }
}

/** A server that could not be had any more, and was not simply stopped by the user. */
const downOf = ({ lost, failures }: SideState): string | null => lost ?? failures.find(isGone)?.message ?? null;

const isGone = ({ code }: BenchError): boolean => code === 'TARGET_UNREACHABLE' || code === 'DEVICE_UNAVAILABLE';

export function factsOf(prepared: Prepared): ArmFacts {
  const { plan, scenario } = prepared;
  return { planHash: plan.hash, fingerprint: `${machineOf(gpuOf(prepared)).id} ${scenario.target.kind}` };
}
