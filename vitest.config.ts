import { defineConfig } from 'vitest/config';

// Two files at a time, for the two cores of the smallest machine they must pass on: most of their time is a software device
// compiling kernels, on one core. More would not be faster there, and real servers and devices would crowd each other.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/perf/**', 'test/interop/**'],
    globalSetup: ['test/support/choose-device.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
