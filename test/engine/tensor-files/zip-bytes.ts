/** Builds zips byte by byte, so that tests can tell lies that no library would. Source: PKWARE's APPNOTE.TXT, 4.3. */
import { crc32 } from 'node:zlib';

export interface ZipEntry {
  name: string;
  data?: Uint8Array | string;
  /** 0 is stored. */
  method?: number;
  flags?: number;
  crc?: number;
  /** Sizes in the central directory. */
  compressed?: number;
  uncompressed?: number;
  /** Where the central directory says its local header is. */
  offset?: number;
}

const bytesOf = (data: Uint8Array | string = ''): Buffer => Buffer.from(data as Uint8Array);

export function zipOf(entries: readonly ZipEntry[], declared: { count?: number } = {}): Uint8Array {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const data = bytesOf(entry.data);
    const name = Buffer.from(entry.name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    locals.push(local, name, data);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(entry.flags ?? 0x800, 8);
    central.writeUInt16LE(entry.method ?? 0, 10);
    central.writeUInt32LE(entry.crc ?? crc32(data), 16);
    central.writeUInt32LE(entry.compressed ?? data.length, 20);
    central.writeUInt32LE(entry.uncompressed ?? data.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(entry.offset ?? at, 42);
    directory.push(central, name);
    at += 30 + name.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(declared.count ?? entries.length, 8);
  end.writeUInt16LE(declared.count ?? entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...locals, central, end]);
}
