/**
 * The devices the engine can run on, in the order they are tried, and the environment each needs before a process starts.
 *
 *   gpu          whatever hardware Dawn's default backend finds
 *   lavapipe     Mesa's software Vulkan, where Dawn takes it
 *   llvmpipe     Mesa's software OpenGL ES
 *   swiftshader  software Vulkan from an npm package: always there on Linux x86-64
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../errors.ts';
import { swiftshaderFolder } from './swiftshader.ts';

export const CANDIDATES = ['gpu', 'lavapipe', 'llvmpipe', 'swiftshader'] as const;
export type Candidate = (typeof CANDIDATES)[number];

/** Variables to set, or to remove where undefined. */
export type Environment = Record<string, string | undefined>;

const ICD_FOLDERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

/** Throws an EngineError saying what is missing when the candidate cannot be there. */
export async function environmentOf(candidate: Candidate): Promise<Environment> {
  switch (candidate) {
    case 'gpu':
      return {};
    case 'lavapipe': {
      const file = ICD_FOLDERS.filter(existsSync)
        .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
        .find((path) => /lvp_icd.*\.json$/.test(path));
      if (!file) throw new EngineError('no_device', 'no lavapipe driver file (lvp_icd*.json) is installed');
      return { VK_DRIVER_FILES: undefined, VK_ICD_FILENAMES: file };
    }
    case 'llvmpipe':
      if (process.platform !== 'linux')
        throw new EngineError('no_device', `llvmpipe is tried on Linux, not on ${process.platform}`);
      return { EGL_PLATFORM: 'surfaceless', LIBGL_ALWAYS_SOFTWARE: '1' };
    case 'swiftshader': {
      const folder = await swiftshaderFolder();
      const before = process.env['LD_LIBRARY_PATH'];
      return {
        // Even an empty VK_DRIVER_FILES overrides VK_ICD_FILENAMES.
        VK_DRIVER_FILES: undefined,
        VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
        LD_LIBRARY_PATH: before ? `${folder}:${before}` : folder,
      };
    }
  }
}

/** This process's environment with the candidate's changes made. */
export function mergedEnvironment(change: Environment): NodeJS.ProcessEnv {
  const merged: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) delete merged[name];
    else merged[name] = value;
  }
  return merged;
}
