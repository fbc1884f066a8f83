/**
 * Chooses the device: hardware first, then software, each tried by a self-test in a child process, because drivers abort
 * rather than throw. A candidate that fails is reported and the next one is tried.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EngineError } from '../errors.ts';
import { CANDIDATES, type Candidate, type Environment, environmentOf, mergedEnvironment } from './candidates.ts';

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

const SELF_TEST_TIMEOUT_MS = 60_000;

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

function selfTest(candidate: Candidate, env: Environment): Promise<Answer> {
  // Beside this module in dist/; from sources (tests), the built one is used, since Node 20 runs no TypeScript.
  const here = import.meta.url.replace(/\/engine\/device\/choose\.ts$/, '/dist/engine/device/choose.js');
  const script = fileURLToPath(new URL('./self-test.js', here));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, candidate], {
      env: mergedEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: SELF_TEST_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.on('error', (cause) =>
      reject(new EngineError('no_device', `its self-test could not start: ${cause.message}`)),
    );
    child.on('close', (code, signal) => {
      const line = out.trim().split('\n').at(-1) ?? '';
      try {
        const answer = JSON.parse(line) as ({ ok: true } & Answer) | { ok: false; message: string; hint?: string };
        if (answer.ok) {
          const { name, vendor, driver, software, features } = answer;
          resolve({ name, vendor, driver, software, features });
        } else {
          reject(new EngineError('no_device', answer.message, answer.hint === undefined ? {} : { hint: answer.hint }));
        }
      } catch {
        const end = signal ? `was ended by ${signal}` : `exited with ${code}`;
        const last = err.trim().split('\n').at(-1);
        reject(new EngineError('no_device', `its self-test ${end}${last ? `: ${last}` : ''}`));
      }
    });
  });
}
