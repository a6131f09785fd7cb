import { defineConfig } from 'vitest/config'

// Tests against Apache Kafka itself. A JVM starts for each file, so there is one worker and time to wait.
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
})
