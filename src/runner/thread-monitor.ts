/**
 * How a measuring thread fares while it measures: how late its stamps are, and what held it up.
 *
 * In: a probe's port (stamp-probe.ts), start and stop. Out: for the time between them, the errors of the probe's stamps,
 * event-loop delay, garbage collector pauses, and the share of a core it used.
 *
 * The probe is the measure of what matters: bytes that came with the time at which they were sent, read by the same event
 * loop as every stream's. The rest says why, where they were read late.
 */
import { connect } from 'node:net';
import { monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import { now } from '../client/clock.ts';
import { STAMP_BYTES } from './stamp-probe.ts';

export interface ThreadHealth {
  /** Of each probe: from sent to stamped here, ns. */
  stampErrorsNs: number[];
  gc: { count: number; totalMs: number; maxMs: number };
  /** How much later than due the event loop came round, in ms. */
  eventLoopDelay: { p99Ms: number; maxMs: number };
  /** Share of the time in which the event loop was at work, 0..1. */
  busy: number;
}

const RESOLUTION_MS = 10;

export class ThreadMonitor {
  /** Resolves when the probe is connected. */
  readonly ready: Promise<void>;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #gc: PerformanceObserver;
  #pauses: number[] = [];
  #errors: number[] = [];
  #measuring = false;
  #utilization = performance.eventLoopUtilization();

  constructor(probePort: number) {
    let rest: Buffer = Buffer.alloc(0);
    const socket = connect({ host: '127.0.0.1', port: probePort, noDelay: true });
    socket.unref();
    this.ready = new Promise((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    socket.on('error', () => {}); // then there are no probes, and the run's client error is null
    socket.on('data', (bytes) => {
      const at = now();
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      for (; rest.length >= STAMP_BYTES; rest = rest.subarray(STAMP_BYTES)) {
        if (this.#measuring) this.#errors.push(at - rest.readDoubleLE(0));
      }
    });
    this.#gc = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#pauses.push(duration);
    });
  }

  start(): void {
    this.#errors = [];
    this.#pauses = [];
    this.#measuring = true;
    this.#delay.reset();
    this.#delay.enable();
    this.#gc.observe({ entryTypes: ['gc'] });
    this.#utilization = performance.eventLoopUtilization();
  }

  stop(): ThreadHealth {
    this.#measuring = false;
    this.#delay.disable();
    for (const { duration } of this.#gc.takeRecords()) this.#pauses.push(duration);
    this.#gc.disconnect();
    const pauses = this.#pauses;
    // The histogram holds whole intervals, the resolution included; it is empty where the load was shorter than one.
    const beyond = (ns: number) => (this.#delay.count === 0 ? 0 : Math.max(0, ns / 1e6 - RESOLUTION_MS));
    return {
      stampErrorsNs: this.#errors,
      gc: {
        count: pauses.length,
        totalMs: pauses.reduce((sum, ms) => sum + ms, 0),
        maxMs: pauses.reduce((most, ms) => Math.max(most, ms), 0),
      },
      eventLoopDelay: { p99Ms: beyond(this.#delay.percentile(99)), maxMs: beyond(this.#delay.max) },
      busy: performance.eventLoopUtilization(this.#utilization).utilization,
    };
  }
}
