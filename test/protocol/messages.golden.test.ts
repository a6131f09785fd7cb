import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import { ProtocolReader } from '../../src/protocol/protocol-reader.ts'
import { ProtocolWriter } from '../../src/protocol/protocol-writer.ts'
import { GOLDEN_FILE } from '../support/protocol-golden.ts'
import { matches } from '../support/protocol-json.ts'
import { protocolMessages } from '../support/protocol-messages.ts'

type Vector = readonly [name: string, version: number, bytes: string, json: unknown]

const lines = readFileSync(GOLDEN_FILE, 'utf8').trimEnd().split('\n')
const vectors = lines.map((line) => parseJsonExact(line) as Vector)
const messages = await protocolMessages()

it('there is a vector for every version of every message', () => {
  const wanted = [...messages.values()].flatMap(({ name, versions: [first, last] }) =>
    Array.from({ length: last - first + 1 }, (_, i) => `${name} ${first + i}`),
  )
  expect(vectors.map(([name, version]) => `${name} ${version}`).sort()).toEqual(wanted.sort())
})

describe('what Kafka wrote', () => {
  it.each([...messages])('%s', (name, message) => {
    for (const [, version, base64, json] of vectors.filter((vector) => vector[0] === name)) {
      const what = `${name} ${version}`
      const bytes = Buffer.from(base64, 'base64')
      const reader = new ProtocolReader(bytes)
      const value = message.read(reader, version)
      expect(reader.remaining, what).toBe(0)
      expect(matches(json, value), what).toBe('')

      const writer = new ProtocolWriter()
      message.write(writer, value, version)
      expect(writer.view().toString('hex'), what).toBe(bytes.toString('hex'))
    }
  })
})
