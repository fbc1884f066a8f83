/**
 * SwiftShader, a Vulkan driver in software, from the npm package @sparticuz/chromium: so that the engine works on a machine
 * with no GPU and no Mesa. Unpacked once into the temporary folder.
 *
 * Out: the folder that holds libvulkan.so.1 and vk_swiftshader_icd.json, or an EngineError saying what is missing.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { EngineError } from '../errors.ts';

const NEEDED = ['libvulkan.so.1', 'libvk_swiftshader.so', 'vk_swiftshader_icd.json'];

export async function swiftshaderFolder(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new EngineError(
      'no_device',
      `SwiftShader is packaged for Linux on x86-64, not for ${process.platform} on ${process.arch}`,
    );
  }
  const { archive, version } = locate();
  const folder = join(tmpdir(), `lorabench-swiftshader-${version}-${userInfo().uid}`);
  if (isOurs(folder)) return folder;
  const fresh = mkdtempSync(join(tmpdir(), 'lorabench-swiftshader-'));
  try {
    const tar = join(fresh, 'swiftshader.tar');
    writeFileSync(tar, await promisify(brotliDecompress)(readFileSync(archive)));
    await promisify(execFile)('tar', ['-xf', tar, '-C', fresh, '--no-same-owner']);
    rmSync(tar);
    putInPlace(fresh, folder);
  } catch (cause) {
    rmSync(fresh, { recursive: true, force: true });
    if (!isOurs(folder))
      throw new EngineError('no_device', `SwiftShader cannot be unpacked into ${tmpdir()}: ${String(cause)}`);
  }
  return folder;
}

/** A good folder that another process has put there meanwhile is kept: it may be in use already. */
function putInPlace(fresh: string, folder: string): void {
  try {
    renameSync(fresh, folder);
  } catch {
    const stale = isOurs(folder) ? fresh : folder;
    rmSync(stale, { recursive: true, force: true });
    if (stale === folder) renameSync(fresh, folder);
  }
}

/** Only a folder of this user's is trusted: libraries are loaded from it, and the temporary folder is everybody's. */
function isOurs(folder: string): boolean {
  return (
    existsSync(folder) &&
    statSync(folder).uid === userInfo().uid &&
    NEEDED.every((name) => existsSync(join(folder, name)))
  );
}

function locate(): { archive: string; version: string } {
  try {
    const require = createRequire(import.meta.url);
    const main = require.resolve('@sparticuz/chromium');
    let root = dirname(main);
    while (!existsSync(join(root, 'package.json')) || !existsSync(join(root, 'bin'))) {
      if (dirname(root) === root) throw new Error('its folder "bin" was not found');
      root = dirname(root);
    }
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { archive: join(root, 'bin', 'swiftshader.tar.br'), version };
  } catch (cause) {
    throw new EngineError(
      'no_device',
      'the optional package "@sparticuz/chromium", which brings SwiftShader, is not installed',
      {
        hint: `run npm ci without --omit=optional (${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)})`,
      },
    );
  }
}
