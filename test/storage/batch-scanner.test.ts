import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { BatchScanner } from '../../src/storage/batch-scanner.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { Log } from '../../src/storage/log.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const MiB = 1024 * 1024

function batchOf(baseOffset: bigint, valueBytes: number): Buffer {
  const builder = new BatchBuilder({ baseOffset })
  builder.append(1767225600000n, {
    key: null,
    value: Buffer.alloc(valueBytes, baseOffset.toString()),
  })
  const batch = builder.build()
  if (batch === undefined) throw new Error('no batch')
  return batch
}

/** Sizes that lie across the end of the read buffer, are hopped over, and are larger than the buffer. */
it.each([
  ['small', 300 * 1024, 12],
  ['hopped over', 100 * 1024, 40],
  ['of many to a window', 15_000, 300],
  ['larger than the window', 3 * MiB, 3],
])('keeps the header of a batch good while its checksum is computed: %s', (_, size, count) => {
  const path = join(temporaryFolder(), '00000000000000000000.log')
  const batches = Array.from({ length: count }, (_batch, i) => batchOf(BigInt(i), size))
  writeFileSync(path, Buffer.concat(batches))
  const file = diskFileSystem.open(path, 'read')
  const scanner = new BatchScanner(file, { read: 'headers' })
  const offsets: bigint[] = []
  for (let batch = scanner.next(); batch !== undefined; batch = scanner.next()) {
    expect(scanner.computeCrc(batch)).toBe(batch.crc)
    const whole = scanner.whole(batch)
    expect(whole.isValid()).toBe(true)
    expect(whole.baseOffset).toBe(batch.baseOffset)
    offsets.push(batch.baseOffset)
  }
  scanner.close()
  file.close()
  expect(offsets).toEqual(batches.map((_batch, i) => BigInt(i)))
})

it('recovery keeps all of a sound log that is larger than the read buffer', () => {
  const dir = join(temporaryFolder(), 'orders-0')
  const log = Log.open(dir)
  for (let i = 0; i < 300; i++) log.appendAsLeader(batchOf(0n, 15_000))
  log.abandon()
  const recovered = Log.open(dir)
  expect(recovered.logEndOffset).toBe(300n)
  expect(recovered.loadFindings.filter(({ bytes = 0 }) => bytes > 0)).toEqual([])
  recovered.close()
})
