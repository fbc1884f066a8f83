/**
 * Where an engine's steps spent their time during a run, read from the engine that was told to profile (engine/EXTENSIONS.md,
 * "Profile"). In: its URL. Out: sums by kind of step. A profile that cannot be read costs the run nothing but the profile.
 */
import type { StepKindProfile } from '../result/schema.ts';
import { call, NoAnswer } from './http.ts';

export interface Profiler {
  /** What comes before is forgotten: warm-ups, other runs. */
  begin(): Promise<void>;
  /** null when it cannot be read. */
  read(): Promise<StepKindProfile[] | null>;
}

export function engineProfiler(baseUrl: string): Profiler {
  const url = `${baseUrl}/engine/profile`;
  const read = async (): Promise<StepKindProfile[] | null> => {
    try {
      const { status, json } = await call(url);
      return status === 200 ? kindsOf(json) : null;
    } catch (error) {
      if (error instanceof NoAnswer) return null;
      throw error;
    }
  };
  return {
    read,
    async begin() {
      try {
        await call(`${url}/reset`, { method: 'POST' });
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error; // the run itself will tell of a server that is gone
      }
    },
  };
}

interface Wire extends Omit<StepKindProfile, 'wallMs' | 'kernelMs' | 'loraRows'> {
  wall_ms: number;
  kernel_ms: number;
  lora_rows: number;
}

const kindsOf = (json: unknown): StepKindProfile[] =>
  ((json as { kinds?: Wire[] }).kinds ?? []).map(({ wall_ms, kernel_ms, lora_rows, ...rest }) => ({
    ...rest,
    wallMs: wall_ms,
    kernelMs: kernel_ms,
    loraRows: lora_rows,
  }));
