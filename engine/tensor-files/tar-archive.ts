/**
 * The entries of a tar, each as a range of the file: headers are read one by one, payloads are skipped, so that a large
 * archive costs nothing to open and its payload is never held twice.
 *
 * Header blocks and pax records are decoded by the package `tar`; what is refused, and that nothing is ever written to
 * disk, is decided here. Formats: POSIX ustar and pax (IEEE Std 1003.1, pax), GNU long names.
 */
import { type ByteSource, rangeOf } from './byte-source.ts';
import { FileError } from './file-error.ts';
import { quoted } from './problems.ts';

const BLOCK = 512;
const ENTRIES = 10_000;
/** Of a pax header or a long name: both hold a few short texts. */
const EXTENSION_BYTES = 65_536;

type Tar = typeof import('tar');
type Header = InstanceType<Tar['Header']>;
type Pax = InstanceType<Tar['Pax']>;

/**
 * Files by name, a leading "./" dropped; folders are left out.
 * @throws FileError for names that lead out of the archive, links, devices, duplicates, damaged headers, sizes past the end
 */
export async function openTar(source: ByteSource): Promise<Map<string, ByteSource>> {
  const tar = await import('tar');
  const files = new Map<string, ByteSource>();
  const folders = new Set<string>();
  const walk = new Walk(tar, source);
  for (let headers = 0; ; headers++) {
    if (headers >= ENTRIES) throw walk.error(`expected at most ${ENTRIES} entries in the tar, found more`);
    const entry = await walk.next();
    if (!entry) break;
    const { path, folder, content } = entry;
    if (files.has(path) || (!folder && folders.has(path))) throw walk.error(`two entries are named ${quoted(path)}`);
    if (folder) folders.add(path);
    else files.set(path, content);
  }
  if (files.size === 0) throw walk.error('expected files in the tar, found none');
  return files;
}

/** Goes through the headers; extensions apply to the entry that follows them. */
class Walk {
  private readonly tar: Tar;
  private readonly source: ByteSource;
  private at = 0;
  private common: Pax | undefined;

  constructor(tar: Tar, source: ByteSource) {
    this.tar = tar;
    this.source = source;
  }

  error(problem: string, cause?: unknown): FileError {
    return new FileError(this.source.path, problem, { cause });
  }

  /** The next file or folder; null at the end. */
  async next(): Promise<{ path: string; folder: boolean; content: ByteSource } | null> {
    let own: Pax | undefined;
    let longName: string | undefined;
    for (let extensions = 0; extensions < 8; extensions++) {
      const header = await this.header(own);
      if (!header) {
        if (own || longName !== undefined) throw this.error('expected an entry after the tar extension, found the end');
        return null;
      }
      const size = this.sizeOf(header);
      const start = this.at;
      this.at += Math.ceil(size / BLOCK) * BLOCK;
      switch (header.type) {
        case 'ExtendedHeader':
          own = this.tar.Pax.parse(await this.extension(start, size), own, false);
          break;
        case 'GlobalExtendedHeader':
          this.common = this.tar.Pax.parse(await this.extension(start, size), this.common, true);
          break;
        case 'NextFileHasLongPath':
          longName = (await this.extension(start, size)).replace(/\0.*$/s, '');
          break;
        default:
          return this.entry(header, longName ?? header.path ?? '', start, size);
      }
    }
    throw this.error('expected an entry after at most 8 tar extensions, found more');
  }

  /** The header at the current place, which moves past it; null at the block of zeros that ends an archive. */
  private async header(own: Pax | undefined): Promise<Header | null> {
    if (this.at + BLOCK > this.source.bytes) {
      if (this.at === 0) throw this.error(`expected a tar of at least ${BLOCK} bytes, found ${this.source.bytes}`);
      throw this.error(`expected a tar header or the archive's end at ${this.at}, found the file cut short`);
    }
    const block = Buffer.from((await this.source.read(this.at, BLOCK)).buffer);
    let header: Header;
    try {
      header = new this.tar.Header(block, 0, own, this.common);
    } catch (error) {
      throw this.error(`expected a tar header at ${this.at}, found one that is damaged`, error);
    }
    if (header.nullBlock) return null;
    if (!header.cksumValid) {
      throw this.error(`expected a tar header at ${this.at}, found ${this.at === 0 ? 'none' : 'a wrong checksum'}`);
    }
    this.at += BLOCK;
    return header;
  }

  private sizeOf(header: Header): number {
    const size = header.size ?? Number.NaN;
    const room = this.source.bytes - this.at;
    if (!Number.isSafeInteger(size) || size < 0 || size > room) {
      const name = quoted(header.path ?? '');
      throw this.error(`tar entry ${name}: expected at most the ${room} bytes that the file has left, found ${size}`);
    }
    return size;
  }

  private async extension(start: number, size: number): Promise<string> {
    if (size > EXTENSION_BYTES) {
      throw this.error(`expected a tar extension of at most ${EXTENSION_BYTES} bytes, found ${size}`);
    }
    return Buffer.from(await this.source.read(start, size)).toString();
  }

  private entry(header: Header, name: string, start: number, size: number) {
    const { type } = header;
    const folder = type === 'Directory';
    if (!folder && type !== 'File' && type !== 'OldFile') {
      throw this.error(`tar entry ${quoted(name)}: expected a file or a folder, found a ${type}`);
    }
    const path = name.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '');
    const steps = path.split('/');
    const leaves = name.startsWith('/') || /^[a-z]:/i.test(name) || steps.includes('..') || /[\\\0]/.test(name);
    if (leaves || (path === '' && !folder)) {
      throw this.error(`tar entry ${quoted(name)}: expected a relative path within the archive`);
    }
    const content = rangeOf(this.source, start, size, `${this.source.path}!${path}`);
    return { path: path === '.' ? '' : path, folder, content };
  }
}
