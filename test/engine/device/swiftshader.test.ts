/** SwiftShader unpacked into a fresh temporary folder: once, twice at the same time, and again when it is broken. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { environmentOf, mergedEnvironment } from '../../../engine/device/candidates.ts';
import { swiftshaderFolder } from '../../../engine/device/swiftshader.ts';

const FILES = ['libvulkan.so.1', 'libvk_swiftshader.so', 'vk_swiftshader_icd.json'];

// It is packaged for this platform only; elsewhere it says so (last test).
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('on Linux x86-64', () => {
  let temporary: string;
  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'lorabench-test-'));
    vi.stubEnv('TMPDIR', temporary);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(temporary, { recursive: true, force: true });
  });

  it('is unpacked once, and used again', async () => {
    const folder = await swiftshaderFolder();
    for (const file of FILES) expect(statSync(join(folder, file)).size).toBeGreaterThan(0);
    const { ino } = statSync(folder);
    expect(await swiftshaderFolder()).toBe(folder);
    expect(statSync(folder).ino).toBe(ino);
    expect(readdirSync(temporary).length).toBe(1);
  });

  it('is there for all who unpack it at the same time, and leaves nothing else behind', async () => {
    const folders = await Promise.all(Array.from({ length: 3 }, () => swiftshaderFolder()));
    expect(new Set(folders).size).toBe(1);
    for (const file of FILES) expect(existsSync(join(folders[0]!, file))).toBe(true);
    expect(readdirSync(temporary).length).toBe(1);
  });

  it('is unpacked anew when a file is missing', async () => {
    const folder = await swiftshaderFolder();
    unlinkSync(join(folder, 'libvk_swiftshader.so'));
    truncateSync(join(folder, 'vk_swiftshader_icd.json'), 0);
    expect(await swiftshaderFolder()).toBe(folder);
    for (const file of FILES) expect(statSync(join(folder, file)).size).toBeGreaterThan(0);
  });

  it('is found by the loader through the environment, whatever the machine names', async () => {
    vi.stubEnv('VK_DRIVER_FILES', '');
    vi.stubEnv('LD_LIBRARY_PATH', '/opt/lib');
    const env = mergedEnvironment(await environmentOf('swiftshader'));
    const folder = await swiftshaderFolder();
    expect(env['VK_ICD_FILENAMES']).toBe(join(folder, 'vk_swiftshader_icd.json'));
    expect(env['LD_LIBRARY_PATH']).toBe(`${folder}:/opt/lib`);
    expect('VK_DRIVER_FILES' in env).toBe(false);
  });
});

describe.runIf(process.platform !== 'linux' || process.arch !== 'x64')('elsewhere', () => {
  it('says that it is not packaged', () => expect(swiftshaderFolder()).rejects.toThrow(/packaged for Linux on x86-64/));
});
