import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dumpFile } from '../../src/inspect/dump-file.ts'
import { kafkaFormat } from '../../src/inspect/dump-format-kafka.ts'
import { dumpTarget } from '../../src/inspect/dump-target.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { expectedDump } from '../support/expected.ts'
import { PARTITIONS } from '../support/fixtures.ts'

/** Kafka printed records of internal topics with decoders; what is the same without them ends here. */
const DECODED =
  /^(\|.*? headerKeys: \[\]) (?:key|payload): .*$|^(\|.*? headerKeys: \[\])  payload: .*$/
/** The stray brace of 4.1. */
const BRACE = /( isValid: (?:true|false) crc: \d+)\}/

function dump(path: string, printData: boolean): { text: string; problems: string[] } {
  const target = dumpTarget(path)
  if (target === undefined) throw new Error(`not to be dumped: ${path}`)
  let text = ''
  const problems: string[] = []
  // Kafka's tool was run inside the folder.
  const output = dumpFile(diskFileSystem, target, kafkaFormat, {
    deep: true,
    printData,
    encodings: { key: 'utf8', value: 'utf8' },
    asKafka: true,
    skipDamaged: false,
    isBeingWritten: false,
    checkIndexes: true,
  })
  for (const piece of output) {
    if (piece.kind === 'text') text += piece.text
    else problems.push(piece.error.message)
  }
  return { text: text.replaceAll(target.path, target.name), problems }
}

describe.each(PARTITIONS)('$path', ({ path, folder }) => {
  const isInternal = path.includes('/__')
  it('is dumped as kafka-dump-log.sh does', () => {
    let files = 0
    for (const [name, text] of expectedDump(path)) {
      const { text: ours, problems } = dump(join(folder, name), !isInternal)
      const lines = text.split('\n').map((line) => line.replace(BRACE, '$1'))
      const expected = isInternal ? lines.map((line) => line.replace(DECODED, '$1$2')) : lines
      expect(ours.split('\n'), name).toEqual(expected)
      expect(problems, name).toEqual([])
      files++
    }
    expect(files).toBe(
      readdirSync(folder).filter((name) => /\.(log|(time|txn)?index|snapshot)$/.test(name)).length,
    )
  })
})
