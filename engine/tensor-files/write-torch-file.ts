/**
 * Writes what torch.save writes: a zip of stored entries with data.pkl and a storage for each tensor, streamed with one
 * tensor in memory at a time. torch.load(weights_only=True) reads it. Format: see torch-file.ts.
 */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { bytesOf, bytesToWrite, checkTensorsToWrite, type TensorToWrite } from './tensor-to-write.ts';
import { pickleOfTensors } from './write-pickle.ts';
import { writeAll, writeWhole } from './write-whole.ts';

/** The zip's one folder, and a time stamp that makes equal tensors give equal files. */
const FOLDER = 'archive';
const STORED = { compress: false, mtime: new Date(Date.UTC(1980, 0, 2)), mode: 0o100644 };

/** Writes the file whole or not at all. @throws RangeError when two tensors share a name or values do not fill a shape */
export async function writeTorchFile(path: string, tensors: readonly TensorToWrite[]): Promise<void> {
  checkTensorsToWrite(tensors);
  await writeWhole(path, async (file) => {
    await writeTorchZip(file, 0, tensors);
  });
}

/** Writes the zip at a place of an open file, as an archive around it needs. @returns its size in bytes */
export async function writeTorchZip(file: FileHandle, at: number, tensors: readonly TensorToWrite[]): Promise<number> {
  const { ZipFile } = await import('yazl');
  const zip = new ZipFile();
  const output = zip.outputStream as Readable;
  // A storage that cannot be had ends the writing through the stream that is being read below.
  const fail = (error: Error) => output.destroy(error);
  zip.on('error', fail);
  zip.addBuffer(pickleOfTensors(tensors), `${FOLDER}/data.pkl`, STORED);
  zip.addBuffer(Buffer.from('little'), `${FOLDER}/byteorder`, STORED);
  for (const [i, tensor] of tensors.entries()) {
    const options = { ...STORED, size: bytesOf(tensor) };
    zip.addReadStreamLazy(`${FOLDER}/data/${i}`, options, (give) => {
      bytesToWrite(tensor).then(
        (bytes) => give(null, Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false })),
        fail,
      );
    });
  }
  zip.addBuffer(Buffer.from('3\n'), `${FOLDER}/version`, STORED);
  zip.end();
  let written = 0;
  for await (const chunk of output as AsyncIterable<Uint8Array>) {
    await writeAll(file, chunk, at + written);
    written += chunk.length;
  }
  return written;
}
