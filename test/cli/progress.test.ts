import { Writable } from 'node:stream'
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

/** A terminal of so many columns; ora looks at little more. */
function terminal(columns: number): { stream: NodeJS.WriteStream; shown: () => string } {
  const chunks: string[] = []
  const stream = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk.toString())
        done()
      },
    }),
    {
      isTTY: true,
      columns,
      cursorTo: () => true,
      clearLine: () => true,
      moveCursor: () => true,
    },
  ) as unknown as NodeJS.WriteStream
  return { stream, shown: () => chunks.join('') }
}

/** Works synchronously for 450 ms, as the engine does; how often it told so. */
async function work(stream: NodeJS.WriteStream): Promise<number> {
  const progress = await startProgress({ text: 'Verifying', totalBytes: 1e9, stream })
  const start = performance.now()
  let updates = 0
  for (; performance.now() - start < 450; updates++) progress.update(updates)
  progress.stop()
  return updates
}

test('draws from a synchronous loop, seldom', async () => {
  const { stream, shown } = terminal(80)
  const updates = await work(stream)
  const drawn = shown().split('Verifying').length - 1
  expect(drawn).toBeGreaterThanOrEqual(1)
  expect(drawn).toBeLessThanOrEqual(4)
  expect(updates).toBeGreaterThan(1000)
})

test('a terminal without a width gets nothing, and does not hang', async () => {
  const { stream, shown } = terminal(0)
  await work(stream)
  expect(shown()).toBe('')
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
