/**
 * Chooses the device: hardware first, then software, each tried by a self-test in a child process, because drivers abort
 * rather than throw. A candidate that fails is reported and the next one is tried.
 */
import { EngineError } from '../errors.ts';
import { CANDIDATES, type Candidate, type Environment, environmentOf } from './candidates.ts';
import { inChild } from './in-child.ts';

export interface ChosenDevice {
  candidate: Candidate;
  /** To be set before the process that opens the device starts. */
  env: Environment;
  name: string;
  vendor: string;
  driver: string;
  software: boolean;
  features: string[];
}

const SELF_TEST = { script: 'self-test.js', what: 'its self-test', timeoutMs: 60_000 };

/**
 * @param requested a candidate, or auto: the first that works
 * @param report told one line about each candidate that did not work
 * @throws EngineError no_device when none works, with what each lacked
 */
export async function chooseDevice(
  requested: 'auto' | Candidate,
  report: (line: string) => void,
): Promise<ChosenDevice> {
  const failures: string[] = [];
  for (const candidate of requested === 'auto' ? CANDIDATES : [requested]) {
    try {
      const env = await environmentOf(candidate);
      return { candidate, env, ...(await selfTest(candidate, env)) };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      failures.push(`${candidate}: ${error.message}${error.hint ? ` (${error.hint})` : ''}`);
      report(`device ${candidate} is not usable: ${error.message}`);
    }
  }
  throw new EngineError('no_device', `no usable device. ${failures.join('; ')}`, {
    hint: 'endpoints can be measured without a device: bench SCENARIO --endpoint URL',
  });
}

type Answer = Omit<ChosenDevice, 'candidate' | 'env'>;

async function selfTest(candidate: Candidate, env: Environment): Promise<Answer> {
  const { name, vendor, driver, software, features } = await inChild<Answer>(SELF_TEST, candidate, env);
  return { name, vendor, driver, software, features };
}
