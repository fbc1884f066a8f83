import { defineConfig } from 'vitest/config';

// Apart from the other tests: these install packages from PyPI (once), take a minute or two, and need a real model's memory.
process.env['BENCH_TEST_DEVICE'] ??= 'auto'; // the fastest there is: what is compared does not depend on it

export default defineConfig({
  test: {
    include: ['test/interop/**/*.interop.ts'],
    globalSetup: ['test/interop/prepare.ts', 'test/support/choose-device.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
