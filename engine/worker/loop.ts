/**
 * The step loop: schedule -> submit -> deliver, with one step in flight. While the device runs step n, step n + 1 is planned
 * and submitted; then n's ids are read and delivered. Before a step is planned, adapters move: a slice of an upload while
 * steps run, all that can be when none does. Where submitting blocks until the work is done, n is delivered first:
 * nothing could overlap, and its ids would only wait for a step they have nothing to do with.
 */
import { now } from '../clock.ts';
import type { EngineStats, WorkCounters } from '../core.ts';
import type { Residency } from '../lora/residency.ts';
import type { Delivery, Scheduler, Step } from '../scheduler/scheduler.ts';
import type { Model, Submitted } from '../transformer/model.ts';
import type { StepWork } from '../transformer/step-work.ts';
import { StepProfile } from './step-profile.ts';

export type StepCounters = Pick<
  EngineStats,
  'steps' | 'promptTokens' | 'generatedTokens' | 'dispatches' | 'rows' | 'loraRows' | 'stepMsLast'
>;

/** What the loop adds up of WorkCounters beside those. */
export type StepSums = Pick<
  WorkCounters,
  'paddedRows' | 'stepAdapters' | 'weightBytes' | 'kvBytes' | 'adapterBytes' | 'uploadBytes'
>;

export class StepLoop {
  private readonly model: Pick<Model, 'submit'>;
  private readonly scheduler: Scheduler;
  private readonly deliver: (deliveries: Delivery[]) => void;
  private readonly submitBlocks: boolean;
  private readonly residency: Pick<Residency, 'turn' | 'catchUp'> | null;
  /** Where steps' time goes; empty unless the model profiles. */
  readonly profile = new StepProfile();
  private running = false;
  private woken = false;
  /** When the last step's ids were read back. */
  private completed = 0;
  private readonly counted = {
    steps: 0,
    promptTokens: 0,
    generatedTokens: 0,
    dispatches: 0,
    rows: 0,
    loraRows: 0,
    stepMsLast: 0,
  };
  private readonly summed = {
    paddedRows: 0,
    stepAdapters: 0,
    weightBytes: 0,
    kvBytes: 0,
    adapterBytes: 0,
    uploadBytes: 0,
  };

  constructor(
    model: Pick<Model, 'submit'>,
    scheduler: Scheduler,
    options: {
      submitBlocks: boolean;
      /** Called after every step, and after adapters moved without one. */
      deliver: (deliveries: Delivery[]) => void;
      residency?: Pick<Residency, 'turn' | 'catchUp'>;
    },
  ) {
    this.model = model;
    this.scheduler = scheduler;
    this.deliver = options.deliver;
    this.submitBlocks = options.submitBlocks;
    this.residency = options.residency ?? null;
  }

  get counters(): StepCounters {
    return this.counted;
  }

  get sums(): StepSums {
    return this.summed;
  }

  get idle(): boolean {
    return !this.running;
  }

  /**
   * Runs until there is nothing to do; when it runs already, it will turn once more before it stops. Rejects when the device
   * fails.
   */
  async wake(): Promise<void> {
    this.woken = true;
    if (this.running) return;
    this.running = true;
    try {
      while (this.woken) {
        this.woken = false;
        await this.run();
      }
    } finally {
      this.running = false;
    }
  }

  private async run(): Promise<void> {
    let inFlight: { step: Step; submitted: Submitted; at: number } | null = null;
    for (;;) {
      if (inFlight && this.submitBlocks) {
        await this.finish(inFlight);
        inFlight = null;
      }
      this.moveAdapters(inFlight !== null);
      const step = this.scheduler.schedule();
      const next = step && { step, at: now(), submitted: this.model.submit(step) };
      if (inFlight) await this.finish(inFlight);
      if (!next && !inFlight) {
        const moved = await this.residency?.catchUp();
        this.deliver([]);
        if (!moved) return;
      }
      inFlight = next;
    }
  }

  private moveAdapters(inFlight: boolean): void {
    if (!this.residency) return;
    const { scheduler } = this;
    scheduler.admit();
    this.residency.turn(scheduler, inFlight || scheduler.canRun);
  }

  private async finish({ step, submitted, at }: { step: Step; submitted: Submitted; at: number }): Promise<void> {
    const ids = await submitted.ids();
    // The device takes up a step when it was submitted and the one before it was done.
    const began = Math.max(at, this.completed);
    this.completed = now();
    for (const { sequence } of step.parts) sequence.prefillStart ||= began;
    const { counted } = this;
    counted.steps++;
    counted.dispatches += submitted.work.dispatches;
    counted.rows += submitted.shape.rows;
    counted.loraRows += submitted.shape.loraRows;
    counted.stepMsLast = (this.completed - began) / 1e6;
    this.sum(submitted.work);
    if (submitted.profile) await this.addToProfile(step, submitted, submitted.profile, this.completed - began);
    for (const { sequence, first, count } of step.parts) {
      counted.promptTokens += Math.max(0, Math.min(first + count, sequence.request.prompt.length) - first);
    }
    const deliveries = this.scheduler.complete(step, ids);
    for (const { ids: delivered } of deliveries) counted.generatedTokens += delivered.length;
    this.deliver(deliveries);
  }

  private async addToProfile(
    { parts }: Step,
    { shape, work }: Submitted,
    { cost, times }: NonNullable<Submitted['profile']>,
    wallNs: number,
  ): Promise<void> {
    const prefills = parts
      .filter(({ sequence, first }) => first < sequence.request.prompt.length)
      .reduce((rows, { count }) => rows + count, 0);
    this.profile.add({
      decodes: shape.rows - prefills,
      prefills,
      adapters: work.adapters,
      loraRows: shape.loraRows,
      cost,
      dispatches: await times(),
      wallNs,
    });
  }

  private sum(work: StepWork): void {
    const { summed } = this;
    summed.paddedRows += work.paddedRows;
    summed.stepAdapters += work.adapters;
    summed.weightBytes += work.weightBytes;
    summed.kvBytes += work.kvBytes;
    summed.adapterBytes += work.adapterBytes;
    summed.uploadBytes += work.uploadBytes;
  }
}
