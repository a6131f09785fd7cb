import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { apiByKey, APIS } from '../../src/protocol/api-keys.ts'
import { ERROR_CODES } from '../../src/protocol/error-codes.ts'
import { readResponse } from '../../src/protocol/frame.ts'
import { ProtocolReader } from '../../src/protocol/protocol-reader.ts'
import { FAILED_ANSWERS, type FailableApi } from '../../src/server/failed-answers.ts'
import type { RequestContext } from '../../src/server/request-context.ts'
import { GOLDEN_FILE } from '../support/protocol-golden.ts'
import { protocolMessages } from '../support/protocol-messages.ts'

const golden = readFileSync(GOLDEN_FILE, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as [name: string, version: number, base64: string])
const messages = await protocolMessages()
const CODE = ERROR_CODES.NOT_COORDINATOR

/** Every error code in a response, wherever it stands. */
function codesIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(codesIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]) =>
    name === 'errorCode' ? [field as number] : codesIn(field),
  )
}

/** Requests that Kafka's own classes wrote, one of each version, with something in every list. */
describe('an answer with an error', () => {
  it.each(Object.keys(FAILED_ANSWERS) as FailableApi[])('%s', (name) => {
    const api = APIS[name]
    const response = messages.get(`${name}Response`) ?? expect.fail('no response')
    const requests = golden.filter(([message]) => message === `${name}Request`)
    expect(requests.length).toBe(api.versions[1] - api.versions[0] + 1)
    for (const [, apiVersion, base64] of requests) {
      const context = {
        api: apiByKey(api.key),
        apiVersion,
        advertised: { host: 'here', port: 1 },
      } as unknown as RequestContext
      const reader = new ProtocolReader(Buffer.from(base64, 'base64'))
      const answer = FAILED_ANSWERS[name].answer(reader, context, 7, CODE)
      if (typeof answer === 'string') expect.fail(answer)
      const frame = Buffer.concat(answer.parts as Buffer[])
      expect(frame.readInt32BE(0)).toBe(frame.length - 4)
      const read = readResponse(response, frame.subarray(4), apiVersion)
      expect(read.correlationId).toBe(7)
      expect(codesIn(read.value), `${name} ${apiVersion}`).toContain(CODE)
      expect(codesIn(read.value).filter((code) => code !== CODE && code !== 0)).toEqual([])
    }
  })
})
