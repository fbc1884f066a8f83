/** One request to a core, as its listener sees it. */
import type { EngineCore, SequenceHandle, SequenceRequest, SequenceTimings } from '../../../engine/core.ts';

export type Ending = 'length' | 'stop' | { code: string; message: string };

export interface Followed {
  handle: SequenceHandle;
  ids: number[];
  calls: { ids: number[]; timings: SequenceTimings; steps: number }[];
  ended: Promise<Ending>;
  /** Resolves when so many ids have come. */
  reached(count: number): Promise<void>;
}

/** Greedy, to its full length of 8 tokens, on the base model, where the request says nothing else. */
export function follow(core: EngineCore, request: Partial<SequenceRequest> & { prompt: Uint32Array }): Followed {
  const ids: number[] = [];
  const calls: Followed['calls'] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let end: (ending: Ending) => void = () => {};
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  const handle = core.submit(
    {
      adapter: null,
      maxTokens: 8,
      minTokens: 0,
      ignoreEos: true,
      temperature: 0,
      topP: 1,
      topK: 0,
      seed: 0,
      ...request,
    },
    {
      onTokens: (more, finish, timings) => {
        ids.push(...more);
        calls.push({ ids: more, timings, steps: core.stats().steps });
        for (const { count, resolve } of waiting) if (ids.length >= count) resolve();
        if (finish) end(finish);
      },
      onError: (error) => end(error),
    },
  );
  const reached = (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve }));
  return { handle, ids, calls, ended, reached };
}

/** So many ids below `vocab`, the same for the same key. */
export const somePrompt = (vocab: number, key: number, length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => (Math.imul(key * 500 + i + 1, 0x9e3779b1) >>> 8) % vocab);
