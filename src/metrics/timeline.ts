/**
 * What happened in each second of a run. In: its requests, start and end. Out: tokens, requests completed and failed, mean
 * requests in flight, one entry a second from the start; the last second may be a part of one.
 *
 * A chunk whose tokens are unknown adds none; output_tokens_per_second then says why.
 */
import type { RequestRecord, RunResult } from '../result/schema.ts';
import { meanOver, type Step } from '../stats/step-function.ts';

const STEP_MS = 1000;

export function timelineOf(
  records: readonly RequestRecord[],
  inFlight: readonly Step[],
  runStart: number,
  runEnd: number,
): RunResult['timeline'] {
  const stepNs = STEP_MS * 1e6;
  const length = Math.max(1, Math.ceil((runEnd - runStart) / stepNs));
  const zeros = () => new Array<number>(length).fill(0);
  const timeline = {
    stepMs: STEP_MS,
    from: runStart,
    outputTokens: zeros(),
    completed: zeros(),
    failed: zeros(),
    inFlight: zeros(),
  };
  const add = (series: number[], at: number, amount: number) => {
    // What ends with the run belongs to its last second.
    const place = Math.min(length - 1, Math.max(0, Math.floor((at - runStart) / stepNs)));
    series[place] = (series[place] as number) + amount;
  };
  for (const { chunks, sent, end, outcome } of records) {
    for (const [since, tokens] of chunks) add(timeline.outputTokens, sent + since, tokens ?? 0);
    if (outcome === 'ok') add(timeline.completed, end, 1);
    if (outcome === 'failed') add(timeline.failed, end, 1);
  }
  for (let i = 0; i < length; i++) {
    const from = runStart + i * stepNs;
    const to = Math.min(runEnd, from + stepNs);
    timeline.inFlight[i] = to > from ? meanOver(inFlight, from, to) : 0;
  }
  return timeline;
}
