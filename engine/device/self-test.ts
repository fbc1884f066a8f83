/**
 * Run as a child process with a candidate's environment: opens the device as the engine does when it serves, runs the
 * engine's kernels and checks their numbers (known-answers.ts).
 * Prints one JSON line: {ok: true, name, ..} or {ok: false, message, hint}. A driver that aborts ends only this process.
 */
import { EngineError } from '../errors.ts';
import { KernelCompiler } from '../kernels/kernel.ts';
import { CANDIDATES, type Candidate } from './candidates.ts';
import { openDevice } from './dawn.ts';
import { checkKernels } from './known-answers.ts';

async function run(candidate: Candidate): Promise<Record<string, unknown>> {
  // Not validating: that turns off what makes the kernels fast, and with it what a driver may get wrong.
  const open = await openDevice(candidate, { validate: false });
  await checkKernels(new KernelCompiler(open.device), open.software);
  const { name, vendor, driver, software, features } = open;
  return { ok: true, name, vendor, driver, software, features };
}

const candidate = CANDIDATES.find((c) => c === process.argv[2]);
if (!candidate) {
  console.error(`usage: self-test ${CANDIDATES.join('|')}`);
  process.exit(2);
}
try {
  console.log(JSON.stringify(await run(candidate)));
  process.exit(0);
} catch (error) {
  const hint = error instanceof EngineError ? error.hint : undefined;
  console.log(JSON.stringify({ ok: false, message: error instanceof Error ? error.message : String(error), hint }));
  process.exit(1);
}
