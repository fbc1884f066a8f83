/**
 * Which machine measured, and in which session. In: the device, where the target told of one. Out: Machine; session ids.
 *
 * The id is a hash of what makes a machine fast or slow, not of its name: containers and CI runners have new names each
 * time, and a name says who measured, which is nobody's business. Machines that are alike share an id.
 */
import { createHash, randomBytes } from 'node:crypto';
import os from 'node:os';
import type { Machine } from './schema.ts';

const GIB = 2 ** 30;

/** @param gpu the device the engine ran on; null for an endpoint, whose device is not known */
export function machineOf(gpu: Machine['gpu']): Machine {
  const cpu = os.cpus()[0]?.model.trim() || 'unknown';
  const cores = os.availableParallelism();
  const system = `${os.type()} ${os.release()} ${os.arch()}`;
  const memory = `${Math.round(os.totalmem() / GIB)} GiB`;
  const facts = [cpu, cores, memory, os.platform(), os.arch(), gpu?.name ?? ''];
  const id = createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
  return { id, cpu, cores, os: system, node: process.version, gpu };
}

/** A new id for one invocation: sorts by time, and is unique even when two start in the same second. */
export function newSession(at: Date = new Date()): string {
  const time = at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');
  return `${time}-${randomBytes(4).toString('hex')}`;
}
