import { defineConfig } from 'vitest/config';

/** Folders whose tests call functions only: no device, no server, nothing of the process changed. */
const PURE = ['gate', 'metrics', 'plan', 'recorder', 'result', 'scenario', 'stats', 'validity', 'workload'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

// Three files at a time, for the two cores of the smallest machine they must pass on: some compile kernels for a software device, on
// one core, and others wait for servers and processes. Two at a time leave a quarter of the cores idle; what is timed in a test has
// bounds that hold on a machine that others use.
// Pure files share a process: starting one and loading the modules again for each takes as long as many of them run.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
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
