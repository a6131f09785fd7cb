import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { libsFolder, readSchemas } from '../../scripts/protocol/jars.ts'
import type { Schema } from '../../scripts/protocol/schema.ts'
import { APIS } from '../../src/protocol/api-keys.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { requestHeaderVersion, responseHeaderVersion } from '../../src/protocol/frame.ts'
import { ProtocolReader } from '../../src/protocol/protocol-reader.ts'
import { ProtocolWriter } from '../../src/protocol/protocol-writer.ts'
import { KafkaOracle } from '../support/oracle.ts'
import { goldenText } from '../support/protocol-golden.ts'
import { matches, withoutRecords } from '../support/protocol-json.ts'
import { protocolMessages } from '../support/protocol-messages.ts'
import { randomValues } from '../support/protocol-values.ts'
import { readFileSync } from 'node:fs'
import { GOLDEN_FILE } from '../support/protocol-golden.ts'

const SEED = Number(process.env['SEED'] ?? 20260101)
const ROUNDS = 3

let kafka: KafkaOracle
let messages: Awaited<ReturnType<typeof protocolMessages>>
const { all, selected } = readSchemas(libsFolder())

beforeAll(async () => {
  kafka = await KafkaOracle.start('ProtocolJson')
  messages = await protocolMessages()
})

afterAll(() => kafka.close())

interface Item {
  readonly bytes: string
  readonly value: unknown
}

/** Kafka's answer for many versions of one message. */
async function recode(
  cmd: 'encode' | 'decode',
  name: string,
  items: readonly Record<string, unknown>[],
): Promise<readonly Item[]> {
  const answer = await kafka.ask({ cmd, name, items })
  return answer['items'] as Item[]
}

function codecOf({ name }: Schema) {
  const codec = messages.get(name)
  if (codec === undefined) throw new Error(`there is no codec for ${name}`)
  return codec
}

it('has a codec for every message that is selected, and no other', () => {
  expect([...messages.keys()].sort()).toEqual(selected.map(({ name }) => name).sort())
})

describe(`random values, SEED=${SEED}`, () => {
  it.each(selected.map((schema) => [schema.name, schema] as const))('%s', async (name, schema) => {
    const codec = codecOf(schema)
    for (let round = 0; round < ROUNDS; round++) {
      const made = [...randomValues(schema, { seed: SEED + round })]
      const encoded = await recode(
        'encode',
        name,
        made.map(({ version, json }) => ({ version, value: json })),
      )
      const decoded = await recode(
        'decode',
        name,
        made.map(({ version, value }) => {
          const writer = new ProtocolWriter()
          codec.write(writer, value, version)
          return { version, bytes: writer.view().toString('base64') }
        }),
      )
      for (const [i, { version, value, json }] of made.entries()) {
        const what = `${name} ${version}, round ${round}`
        const theirs = Buffer.from(encoded[i]?.bytes ?? '', 'base64')
        const writer = new ProtocolWriter()
        codec.write(writer, value, version)
        expect(writer.view().toString('hex'), what).toBe(theirs.toString('hex'))

        const reader = new ProtocolReader(theirs)
        expect(codec.read(reader, version), what).toEqual(value)
        expect(reader.remaining, what).toBe(0)

        expect(decoded[i]?.bytes, what).toBe(encoded[i]?.bytes)
        const seen = withoutRecords(schema, json)
        expect(matches(seen, decoded[i]?.value), `${what}: Kafka reads what was written`).toBe('')
      }
    }
  })
})

it('the golden vectors are what Kafka writes', async () => {
  expect(readFileSync(GOLDEN_FILE, 'utf8')).toBe(await goldenText(kafka, selected))
})

it('has the codes of all errors', async () => {
  const { codes } = await kafka.ask({ cmd: 'errors' })
  expect(ERROR_CODES).toEqual(codes)
})

it('has the versions of all apis, and of their headers', async () => {
  const { apis } = await kafka.ask({ cmd: 'apis' })
  const ours = Object.values(APIS).map((api) => ({
    name: api.name,
    key: api.key,
    oldest: api.versions[0],
    latest: api.versions[1],
    latestStable: api.advertised[1],
    requestHeader: requestHeaderVersion(api, api.versions[1]),
    responseHeader: responseHeaderVersion(api, api.versions[1]),
    oldestRequestHeader: requestHeaderVersion(api, api.versions[0]),
    oldestResponseHeader: responseHeaderVersion(api, api.versions[0]),
    forClients: api.forClients,
  }))
  expect(ours).toEqual(apis)
  expect(all.size).toBeGreaterThan(selected.length)
})
