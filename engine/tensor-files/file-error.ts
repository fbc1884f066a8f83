/**
 * The one error of reading a model's or an adapter's files: every problem found, each a sentence that says what is wrong,
 * where, and what would be accepted. Thrown before anything of the file is used.
 */
export class FileError extends Error {
  override readonly name = 'FileError';
  /** The file or folder the problems are in. */
  readonly path: string;
  readonly problems: readonly string[];

  constructor(path: string, problems: string | readonly string[], options: { cause?: unknown } = {}) {
    const list = typeof problems === 'string' ? [problems] : problems;
    super(`${path}: ${list.join('; ')}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.path = path;
    this.problems = list;
  }
}
