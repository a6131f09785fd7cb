import { describe, expect, it } from 'vitest'
import { javaUtf8 } from '../../src/inspect/dump-java-utf8.ts'

/** What kafka-dump-log.sh printed for records of these bytes. */
describe('bytes that are not UTF-8', () => {
  it.each([
    ['eda042', '\ufffdB'],
    ['eda08042', '\ufffdB'],
    ['ed80f09f9880eda04180', '\ufffd😀\ufffdA\ufffd'],
    ['eda080eda0e282eda0', '\ufffd\ufffd\ufffd\ufffd'],
    ['eda0e08080f5808080e282', '\ufffd'.repeat(9)],
    ['e28041eda0f09f98f09f9880', '\ufffdA\ufffd\ufffd😀'],
    ['c3a9', 'é'],
  ])('%s', (hex, text) => {
    expect(javaUtf8(Buffer.from(hex, 'hex'))).toBe(text)
  })
})
