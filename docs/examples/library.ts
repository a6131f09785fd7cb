/**
 * kafkats as a library: write a partition, read it back, look at it as a follower would.
 *
 *   npx tsx docs/examples/library.ts FOLDER
 */
import { join } from 'node:path'
import { BatchBuilder, KafkatsError, Log, batchesIn } from '../../src/index.ts'

/** Appends three records in one batch and prints what is in the log. */
export function run(folder: string, print: (line: string) => void): void {
  // A partition is a folder named topic-number. Who opens a log closes it.
  const log = Log.open(join(folder, 'orders-0'), { config: { 'segment.bytes': '1048576' } })
  try {
    const builder = new BatchBuilder({ compressionType: 'lz4' })
    const now = BigInt(Date.now())
    for (const [key, value] of [
      ['alice', '3 apples'],
      ['bob', '1 pear'],
      ['alice', '2 plums'],
    ] as const) {
      builder.append(now, {
        key: Buffer.from(key),
        value: Buffer.from(value),
        headers: [{ key: Buffer.from('source'), value: Buffer.from('example') }],
      })
    }
    const batch = builder.build()
    if (batch === undefined) return
    const { firstOffset, lastOffset } = log.appendAsLeader(batch)
    log.flush() // now it is on the disk
    print(`appended offsets ${firstOffset} to ${lastOffset}`)

    // Batches are views: good until the next one is asked for.
    for (const found of log.batches({ startOffset: 1n })) {
      found.ensureValid()
      for (const { offset, key, value } of found.records()) {
        if (offset >= 1n) print(`${offset} ${String(key)}: ${String(value)}`)
      }
    }

    // The same bytes as a fetch would send them: a range of a file, not a copy.
    const { slice } = log.read(0n, { maxBytes: 64 * 1024 })
    if (slice !== undefined) {
      const bytes = Buffer.alloc(slice.length)
      slice.file.read(bytes, 0, slice.length, slice.position)
      for (const fetched of batchesIn(bytes)) {
        print(`${fetched.count ?? 0} records, ${fetched.compressionType}, crc ${fetched.isValid()}`)
      }
    }

    // Refusals are errors with a code; the log stays as it was.
    try {
      log.read(99n)
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      print(`${error.code} ${error.kafkaError ?? ''}`)
    }
  } finally {
    log.close()
  }
}

const [script, folder] = process.argv.slice(1)
if (folder !== undefined && script?.endsWith('library.ts') === true) {
  run(folder, (line) => console.log(line))
}
