import { defineConfig } from 'vitest/config';

// One file at a time: tests start real servers and real devices, and the smallest machine they must pass on has two cores.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/perf/**', 'test/interop/**'],
    globalSetup: ['test/support/choose-device.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
