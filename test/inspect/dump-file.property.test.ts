import fc from 'fast-check'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { dumpFile } from '../../src/inspect/dump-file.ts'
import { kafkaFormat } from '../../src/inspect/dump-format-kafka.ts'
import { ndjsonFormat } from '../../src/inspect/dump-format-ndjson.ts'
import { textFormat } from '../../src/inspect/dump-format-text.ts'
import { checkIndexes } from '../../src/inspect/dump-index-check.ts'
import { segmentIndexes } from '../../src/inspect/dump-index-entries.ts'
import { indexText } from '../../src/inspect/dump-index-text.ts'
import { segmentFiles } from '../../src/inspect/dump-segment-files.ts'
import { dumpTarget } from '../../src/inspect/dump-target.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const FORMATS = { kafka: kafkaFormat, ndjson: ndjsonFormat, text: textFormat } as const
const SOURCES = [
  'broker-4.1.0/__cluster_metadata-0/00000000000000000000.log',
  'broker-4.1.0/payments-0/00000000000000000000.log',
  'broker-4.1.0/payments-0/00000000000000000020.index',
  'broker-4.1.0/payments-0/00000000000000000020.timeindex',
  'broker-4.1.0/payments-0/00000000000000000020.txnindex',
  'broker-4.1.0/payments-0/00000000000000000020.snapshot',
  'crash/ledger-0/leader-epoch-checkpoint',
  'broker-4.1.0/keyed-0/partition.metadata',
  'legacy/v0-snappy-0/00000000000000000000.log',
  'legacy/v1-gzip-0/00000000000000000000.log',
]

/** Some bytes replaced, perhaps the end cut off. */
const damage = fc.record({
  writes: fc.array(fc.tuple(fc.nat(4000), fc.uint8Array({ minLength: 1, maxLength: 8 })), {
    maxLength: 4,
  }),
  cut: fc.option(fc.nat(4000)),
})

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

function damaged(bytes: Buffer, { writes, cut }: Damage): Buffer {
  const copy = Buffer.from(bytes)
  for (const [at, what] of writes)
    copy.set(what.subarray(0, copy.length - Math.min(at, copy.length)), Math.min(at, copy.length))
  return cut === null ? copy : copy.subarray(0, cut)
}

it.each(SOURCES)('ends with text and problems for any damage to %s', (source) => {
  const bytes = readFileSync(join(FIXTURES, source))
  const path = join(temporaryFolder(), source.slice(source.lastIndexOf('/') + 1))
  const target = dumpTarget(path)
  if (target === undefined) throw new Error(path)
  fc.assert(
    fc.property(
      damage,
      fc.constantFrom('kafka', 'ndjson', 'text'),
      fc.boolean(),
      (how, format, skipDamaged) => {
        writeFileSync(path, damaged(bytes, how))
        const output = dumpFile(diskFileSystem, target, FORMATS[format], {
          deep: true,
          printData: true,
          encodings: { key: 'utf8', value: 'utf8' },
          asKafka: format === 'kafka',
          skipDamaged,
          isBeingWritten: false,
          checkIndexes: true,
        })
        for (const piece of output) {
          if (piece.kind === 'problem') expect(piece.error).toBeInstanceOf(KafkatsError)
          else if (format === 'ndjson' && piece.text !== '') JSON.parse(piece.text)
        }
      },
    ),
    { numRuns: 60 },
  )
})

it('checks any index without throwing, and draws it', () => {
  const folder = copyFixture('broker-4.1.0/payments-0')
  const segment = segmentFiles(folder, 20n)
  const files = ['log', 'offsetIndex', 'timeIndex', 'txnIndex'] as const
  const sound = new Map(files.map((name) => [name, readFileSync(segment[name])]))
  fc.assert(
    fc.property(damage, fc.constantFrom(...files), (how, name) => {
      for (const [each, bytes] of sound) {
        writeFileSync(segment[each], each === name ? damaged(bytes, how) : bytes)
      }
      const indexes = segmentIndexes(diskFileSystem, segment)
      const check = checkIndexes(diskFileSystem, segment, indexes)
      const isSame = how.writes.length === 0 && how.cut === null
      if (isSame) expect(check.problemCount).toBe(0)
      try {
        for (const piece of indexText(diskFileSystem, segment, indexes, { width: 80, check })) {
          expect(piece.endsWith('\n')).toBe(true)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(KafkatsError)
      }
    }),
    { numRuns: 100 },
  )
})
