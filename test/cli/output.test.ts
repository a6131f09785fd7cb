import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { Output } from '../../src/cli/output.ts'
import { StorageIoError } from '../../src/errors.ts'

/** A stream that keeps what it is given, and can fail or be slow. */
class Sink extends Writable {
  readonly chunks: Buffer[] = []
  failure: Error | undefined
  pending: (() => void)[] | undefined

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.failure) {
      done(this.failure)
      return
    }
    this.chunks.push(chunk)
    if (this.pending) this.pending.push(done)
    else done()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`write ${code}`), { code, errno: -1, syscall: 'write' })
}

describe('Output', () => {
  test('keeps the order of text and bytes', async () => {
    const sink = new Sink()
    const out = new Output(sink)
    const reused = Buffer.from([0xff, 0x00])
    await out.write('a')
    await out.write(reused)
    reused.fill(0x7a)
    await out.write('é')
    await out.write(Buffer.alloc(100_000, 0x62))
    await out.write('end')
    await out.end()
    expect(sink.bytes).toEqual(
      Buffer.concat([
        Buffer.from('a'),
        Buffer.from([0xff, 0x00]),
        Buffer.from('é'),
        Buffer.alloc(100_000, 0x62),
        Buffer.from('end'),
      ]),
    )
    expect(sink.writableEnded).toBe(false)
  })

  test('keeps the order when nobody waits', async () => {
    const sink = new Sink()
    const out = new Output(sink)
    const parts: string[] = []
    for (let i = 0; i < 3000; i++) {
      const line = `${i} ${'x'.repeat(i % 100)}\n`
      parts.push(line)
      void out.write(i % 3 === 0 ? Buffer.from(line) : line)
    }
    await out.end()
    expect(sink.bytes.equals(Buffer.from(parts.join('')))).toBe(true)
  })

  test('writes in batches', async () => {
    const sink = new Sink()
    const out = new Output(sink)
    const line = 'x'.repeat(99) + '\n'
    for (let i = 0; i < 2000; i++) await out.write(line)
    await out.end()
    expect(sink.chunks).toHaveLength(4)
    expect(sink.bytes).toHaveLength(200_000)
  })

  test('waits until the reader has taken a batch', async () => {
    const sink = new Sink()
    sink.pending = []
    const out = new Output(sink)
    let done = false
    const written = Promise.resolve(out.write('x'.repeat(70_000))).then(() => {
      done = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(done).toBe(false)
    for (const release of sink.pending) release()
    await written
    expect(done).toBe(true)
  })

  test('ends quietly when the reader goes away', async () => {
    const sink = new Sink()
    sink.failure = systemError('EPIPE')
    const out = new Output(sink)
    expect(out.closed).toBe(false)
    await out.write('x'.repeat(70_000))
    expect(out.closed).toBe(true)
    expect(out.write('more')).toBeUndefined()
    await out.end()
  })

  test('fails when the disk is full', async () => {
    const sink = new Sink()
    sink.failure = systemError('ENOSPC')
    const out = new Output(sink)
    await out.write('x')
    const failure = await out.end().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StorageIoError)
    expect(failure).toMatchObject({
      message: 'cannot write the output: no space left on the disk',
      kafkaError: undefined,
    })
  })
})
