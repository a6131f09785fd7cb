import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { KafkaOracle } from '../../test/support/oracle.ts'
import { GOLDEN_FILE, goldenText } from '../../test/support/protocol-golden.ts'
import { libsFolder, readSchemas } from './jars.ts'

/** Writes fixtures/protocol/golden.ndjson anew: `npx tsx scripts/protocol/write-golden.ts`. Needs what test:interop needs. */

const kafka = await KafkaOracle.start('ProtocolJson')
try {
  const text = await goldenText(kafka, readSchemas(libsFolder()).selected)
  mkdirSync(dirname(GOLDEN_FILE), { recursive: true })
  writeFileSync(GOLDEN_FILE, text)
  console.log(`${text.split('\n').length - 1} vectors, ${text.length} bytes`)
} finally {
  await kafka.close()
}
