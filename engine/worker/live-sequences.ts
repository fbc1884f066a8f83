/**
 * The sequences of the main thread's requests, by its numbers for them: hands them to the scheduler, and their news back.
 */
import { now } from '../clock.ts';
import type { SequenceRequest } from '../core.ts';
import type { Adapter, AdapterRegistry } from '../lora/registry.ts';
import type { Residency } from '../lora/residency.ts';
import type { Delivery, Scheduler } from '../scheduler/scheduler.ts';
import { Sequence } from '../scheduler/sequence.ts';
import type { FromWorker, TokenNews } from './messages.ts';

type Refusal = Omit<Extract<FromWorker, { kind: 'refused' }>, 'kind' | 'id'>;

export class LiveSequences {
  private readonly scheduler: Scheduler;
  private readonly registry: AdapterRegistry;
  private readonly residency: Pick<Residency, 'refusal'>;
  private readonly refuse: (id: number, refusal: Refusal) => void;
  private readonly byId = new Map<number, Sequence>();
  private closing = false;

  constructor(options: {
    scheduler: Scheduler;
    registry: AdapterRegistry;
    residency: Pick<Residency, 'refusal'>;
    refuse: (id: number, refusal: Refusal) => void;
  }) {
    this.scheduler = options.scheduler;
    this.registry = options.registry;
    this.residency = options.residency;
    this.refuse = options.refuse;
  }

  submit(id: number, request: SequenceRequest): void {
    if (this.closing) {
      this.refuse(id, { code: 'closing', message: 'the engine is shutting down' });
      return;
    }
    const adapter = request.adapter === null ? null : this.registry.get(request.adapter);
    if (adapter === undefined) {
      this.refuse(id, { code: 'adapter_gone', message: `adapter "${request.adapter}" is not loaded` });
      return;
    }
    const refusal = adapter && this.residency.refusal(adapter);
    if (refusal) {
      const message = `adapter "${request.adapter}" cannot be brought to the device: ${refusal}`;
      this.refuse(id, { code: 'adapter_gone', message });
      return;
    }
    const sequence = new Sequence(id, request, adapter, now(), adapter?.tier ?? null);
    if (adapter) this.registry.touch(adapter);
    this.byId.set(id, sequence);
    this.scheduler.add(sequence);
  }

  cancel(id: number): void {
    const sequence = this.byId.get(id);
    if (sequence) this.scheduler.cancel(sequence);
    this.byId.delete(id);
  }

  /** Ends every sequence of an adapter whose weights cannot be had. */
  fail(adapter: Adapter, why: string): void {
    for (const [id, sequence] of this.byId) {
      if (sequence.adapter !== adapter) continue;
      this.cancel(id);
      this.refuse(id, { code: 'adapter_gone', message: `adapter "${adapter.name}" cannot be read: ${why}` });
    }
  }

  /** A step's deliveries as the main thread is told them. */
  news(deliveries: readonly Delivery[]): TokenNews[] {
    return deliveries.map(({ sequence, ids, finish }) => {
      if (finish) this.byId.delete(sequence.id);
      return { id: sequence.id, ids, finish, timings: sequence.timings };
    });
  }

  /** Ends all and takes no more. */
  close(): void {
    this.closing = true;
    for (const id of [...this.byId.keys()]) this.cancel(id);
  }
}
