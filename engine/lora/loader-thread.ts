/**
 * The loader thread: reads adapter files and packs them as the device's pools want them, so that neither requests nor steps
 * wait for a disk or for arithmetic. Started by loader.ts, which decides what is read when; here every task runs as it comes,
 * and they take turns module by module.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { AdapterFile } from '../adapter-files/adapter.ts';
import { readAdapter } from '../adapter-files/read-adapter.ts';
import { now } from '../clock.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { fingerprintOf } from './loader-fingerprint.ts';
import type { CheckedFile, FromLoader, LoaderStart, ToLoader } from './loader-messages.ts';
import { packAdapter } from './pack.ts';
import type { PackedAdapter } from './packed-adapter.ts';

if (!parentPort) throw new Error('loader-thread.ts runs as a worker thread');
const port = parentPort;
const { geometry } = workerData as LoaderStart;

async function withFile<T>(path: string, use: (file: AdapterFile) => Promise<T> | T): Promise<T> {
  const file = await readAdapter(path, geometry);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function check(path: string): Promise<CheckedFile> {
  // Looked at first: what changes while it is read makes the read of the weights fail, not pass.
  const fingerprint = await fingerprintOf(path);
  return withFile(path, ({ kind, format, rank, modules }) => {
    const hasColumns = modules.some(({ hasMagnitude, hasBias }) => hasMagnitude || hasBias);
    return { kind, format, rank, hasColumns, fingerprint };
  });
}

async function read(path: string, fingerprint: string): Promise<PackedAdapter> {
  const changed = () =>
    new FileError(path, 'it has changed since it was loaded; load it again to serve what it is now');
  if ((await fingerprintOf(path)) !== fingerprint) throw changed();
  const image = await withFile(path, (file) => packAdapter(file, geometry));
  if ((await fingerprintOf(path)) !== fingerprint) throw changed();
  return image;
}

const say = (message: FromLoader, buffers: ArrayBuffer[] = []): void => port.postMessage(message, buffers);

async function answer(message: ToLoader): Promise<void> {
  const { task, path } = message;
  if (message.kind === 'check') return say({ kind: 'checked', task, file: await check(path) });
  const from = now();
  const image = await read(path, message.fingerprint);
  say({ kind: 'image', task, image, nanoseconds: now() - from }, buffersOf(image));
}

/** Every buffer once: a packer may cut several arrays out of one. */
function buffersOf(image: PackedAdapter): ArrayBuffer[] {
  const arrays = image.layers.flatMap(({ a, b, columns, magnitude }) => [a, b, columns, magnitude]);
  return [...new Set(arrays.flatMap((array) => (array === null ? [] : [array.buffer])))];
}

port.on('message', (message: ToLoader) => {
  answer(message).catch((error: unknown) => {
    const { code, text } = explained(error);
    say({ kind: 'failed', task: message.task, code, message: text });
  });
});

function explained(error: unknown): { code: 'bad_path' | 'bad_file'; text: string } {
  if (error instanceof FileError) return { code: 'bad_file', text: error.message };
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return { code: 'bad_path', text: `"${path}" does not exist; expected an adapter's file or folder` };
  if (code !== undefined && path !== undefined)
    return { code: 'bad_path', text: `"${path}" cannot be read: ${message}` };
  return { code: 'bad_file', text: `reading it failed: ${error instanceof Error ? message : String(error)}` };
}
