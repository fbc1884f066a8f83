/** What a command may touch besides its arguments; cli.ts gives the process's own, tests give others. */
export interface CommandIo {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C: stop now, keep what was measured. */
  signal: AbortSignal;
}
