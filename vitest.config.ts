import { defineConfig } from 'vitest/config';

/** Folders whose tests call functions only: no device, no server, nothing of the process changed. */
const PURE = ['gate', 'metrics', 'plan', 'recorder', 'result', 'scenario', 'stats', 'validity', 'workload'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

// Two files at a time, for the two cores of the smallest machine they must pass on: most of their time is a software device
// compiling kernels, on one core. More would not be faster there, and real servers and devices would crowd each other.
// Pure files share a process: starting one and loading the modules again for each takes as long as many of them run.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      {
        extends: true,
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          exclude: ['test/perf/**', 'test/interop/**', ...PURE],
          globalSetup: ['test/support/choose-device.ts'],
        },
      },
    ],
  },
});
