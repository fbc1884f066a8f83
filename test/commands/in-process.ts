/** A command line run in this process, and what it said: for commands that start nothing. */
import { runCommandLine } from '../../src/commands/command-line.ts';
import { BenchError } from '../../src/errors.ts';

export async function bench(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof said) =>
    ({ columns: 120, write: (text: string) => (said[name] += text) }) as unknown as NodeJS.WriteStream;
  const signal = new AbortController().signal;
  const io = { stdout: stream('stdout'), stderr: stream('stderr'), env: {}, signal };
  return { code: await runCommandLine(argv, io), ...said };
}

/** What it refuses with. @throws whatever else was thrown, and when nothing was */
export async function refusal(...argv: string[]): Promise<BenchError> {
  const error = await bench(...argv).then(
    ({ stdout }) => new Error(`accepted: ${stdout}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BenchError)) throw error;
  return error;
}
