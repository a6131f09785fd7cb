import { expect, test } from 'vitest'
import { breathe, progressText, startProgress } from '../../src/cli/progress.ts'

test('shows bytes done of all, share, rate and time left', () => {
  const state = { text: 'Verifying', totalBytes: 3 * 2 ** 30, doneBytes: 2 ** 30, elapsedMs: 1024 }
  expect(progressText(state)).toBe('Verifying  1.0 GiB of 3.0 GiB  33%  1000.0 MiB/s  2.0 s left')
})

test('shows less where less is known', () => {
  expect(progressText({ text: 'Reading', doneBytes: 2048, elapsedMs: 1000 })).toBe(
    'Reading  2.0 KiB  2.0 KiB/s',
  )
  expect(progressText({ text: 'Reading', totalBytes: 10, doneBytes: 0, elapsedMs: 500 })).toBe(
    'Reading  0 B of 10 B  0%  0 B/s',
  )
})

test('is silent without a terminal', async () => {
  const progress = await startProgress({ text: 'x', totalBytes: 1 })
  progress.update(1)
  progress.stop()
  expect(process.stderr.isTTY).not.toBe(true)
})

test('breathe lets events in, but not at every call', async () => {
  await breathe()
  expect(breathe()).toBeUndefined()
  const start = performance.now()
  while (performance.now() - start < 60);
  let event = false
  setImmediate(() => {
    event = true
  })
  await breathe()
  expect(event).toBe(true)
})
