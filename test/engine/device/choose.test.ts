/** The choice of a device, with real self-tests in real child processes: what fails is told and passed over, what aborts as well. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CANDIDATES } from '../../../engine/device/candidates.ts';
import { chooseDevice } from '../../../engine/device/choose.ts';
import { EngineError } from '../../../engine/errors.ts';
import { chosenDevice } from '../../support/device.ts';

afterEach(() => vi.unstubAllEnvs());

/** Vulkan finds no driver at all: no GPU, and whatever software driver the machine's own settings name. */
function hideVulkan(): void {
  vi.stubEnv('VK_DRIVER_FILES', '/nowhere/icd.json');
  vi.stubEnv('VK_ICD_FILENAMES', '/nowhere/icd.json');
}

/** As a failed assertion in a driver's own code ends a process: a line, and SIGABRT with nothing unwound. */
const ABORT = "require('fs').writeSync(2, 'driver: assertion failed\\n'); process.kill(process.pid, 'SIGABRT');";

/** Has every self-test run this first. */
function abortIn(folder: string, code: string): void {
  const script = join(folder, 'abort.cjs');
  writeFileSync(script, code);
  vi.stubEnv('NODE_OPTIONS', `--require=${script}`);
}

async function refusal(choice: Promise<unknown>): Promise<EngineError> {
  const error = await choice.then(
    () => new Error('a device was chosen'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EngineError);
  expect(error).toMatchObject({ code: 'no_device', exitCode: 5 });
  return error as EngineError;
}

describe('auto', () => {
  it('passes over what fails, in order, with a line about each', async () => {
    hideVulkan();
    const lines: string[] = [];
    const { candidate, name, software, env } = await chooseDevice('auto', (line) => lines.push(line));
    const tried = CANDIDATES.slice(0, CANDIDATES.indexOf(candidate));
    expect(tried[0]).toBe('gpu');
    expect(lines.map((line) => /^device (\w+) is not usable: ./.exec(line)?.[1])).toEqual([...tried]);
    expect(software).toBe(true);
    expect(name).not.toBe('');
    expect(Object.keys(env).length).toBeGreaterThan(0);
  });

  it('says what each lacked when none works', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lorabench-abort-'));
    try {
      abortIn(folder, ABORT);
      const lines: string[] = [];
      const error = await refusal(chooseDevice('auto', (line) => lines.push(line)));
      for (const candidate of CANDIDATES) expect(error.message).toContain(`${candidate}: `);
      expect(lines.length).toBe(CANDIDATES.length);
      expect(error.hint).toContain('--endpoint');
      expect(lines[0]).toMatch(
        /^device gpu is not usable: its self-test was ended by SIGABRT: driver: assertion failed$/,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a device asked for by name', () => {
  it('is the only one tried', async () => {
    hideVulkan();
    const lines: string[] = [];
    const error = await refusal(chooseDevice('gpu', (line) => lines.push(line)));
    expect(lines.length).toBe(1);
    expect(error.message).toMatch(/^no usable device\. gpu: ./);
    expect(error.message).not.toContain('swiftshader');
  });

  it('comes with its environment, and with what it is', async () => {
    const { candidate } = chosenDevice();
    const chosen = await chooseDevice(candidate, (line) => {
      throw new Error(line);
    });
    expect(chosen).toEqual({ ...chosenDevice(), env: chosen.env });
  });

  it.each(['embed', 'rmsnorm', 'shrink', 'matmul', 'rope-kv', 'attention', 'sample'])(
    "is refused when its driver aborts on the engine's %s",
    async (kernel) => {
      const folder = mkdtempSync(join(tmpdir(), 'lorabench-abort-'));
      try {
        const opened = `const fs = require('fs'); const { readFileSync } = fs;
          fs.readFileSync = (path, ...rest) => {
            if (String(path).endsWith('/${kernel}.wgsl')) { ${ABORT} }
            return readFileSync(path, ...rest);
          };
          require('module').syncBuiltinESMExports();`;
        abortIn(folder, opened);
        const error = await refusal(chooseDevice(chosenDevice().candidate, () => {}));
        expect(error.message).toContain('its self-test was ended by SIGABRT: driver: assertion failed');
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  it('is not a GPU when the default one is software', async () => {
    if (chosenDevice().candidate !== 'swiftshader') return; // its environment makes SwiftShader Vulkan's only device
    const error = await refusal(chooseDevice('gpu', () => {}));
    expect(error.message).toMatch(/gpu: the default adapter is a software one \(swiftshader/i);
  });
});
