/** What is wrong with a model's or an adapter's file, as the error that ends a start: the user's to mend, not a bug of ours. */
import { EngineError } from '../errors.ts';
import { FileError } from '../tensor-files/file-error.ts';

/** @throws EngineError usage in place of a FileError, with its words; whatever else is thrown as it is */
export async function asUsage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FileError) throw new EngineError('usage', error.message, { cause: error });
    throw error;
  }
}
