import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect as connectPlainly } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, expect, it } from 'vitest'
import { readResponse, writeRequest } from '../../../src/protocol/frame.ts'
import { FETCH_REQUEST } from '../../../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../../../src/protocol/messages/fetch-response.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../../src/records/batch-builder.ts'
import { startBroker, type Broker } from '../../../src/server/index.ts'
import { makeCertificate } from '../../support/certificate.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const { cert, key } = makeCertificate(temporaryFolder())
const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function start(): Promise<Broker> {
  const broker = await startBroker({ tls: { cert, key }, topics: { orders: {} } })
  opened.push(() => broker.close())
  return broker
}

it('a large fetch leaves whole through TLS', async () => {
  const broker = await start()
  const log = broker.logs.logs.get('orders-0')?.log ?? expect.fail('no log')
  for (let i = 0; i < 30; i++) {
    const builder = new BatchBuilder()
    builder.append(BigInt(Date.now()), { key: null, value: Buffer.alloc(100_000, i) })
    log.appendAsLeader(builder.build() ?? expect.fail('no batch'))
  }
  const socket = connect({ port: broker.address.port, host: '127.0.0.1', ca: cert })
  opened.push(() => void socket.destroy())
  await once(socket, 'secureConnect')
  socket.write(
    writeRequest(
      FETCH_REQUEST,
      { apiVersion: 12, correlationId: 1, clientId: 'raw' },
      {
        clusterId: null,
        replicaId: -1,
        replicaState: { replicaId: -1, replicaEpoch: -1n },
        maxWaitMs: 0,
        minBytes: 1,
        maxBytes: 50_000_000,
        isolationLevel: 0,
        sessionId: 0,
        sessionEpoch: -1,
        topics: [
          {
            topic: 'orders',
            topicId: ZERO_UUID,
            partitions: [
              {
                partition: 0,
                currentLeaderEpoch: -1,
                fetchOffset: 0n,
                lastFetchedEpoch: -1,
                logStartOffset: -1n,
                partitionMaxBytes: 50_000_000,
                replicaDirectoryId: ZERO_UUID,
                highWatermark: 0x7fffffffffffffffn,
              },
            ],
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      },
    ),
  )
  let received = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk])
    if (received.length >= 4 && received.length === 4 + received.readInt32BE(0)) break
  }
  const { value } = readResponse(FETCH_RESPONSE, received.subarray(4), 12)
  const records = value.responses[0]?.partitions[0]?.records
  expect(
    Buffer.isBuffer(records) &&
      records.equals(readFileSync(join(log.dir, '00000000000000000000.log'))),
  ).toBe(true)
})

it('who does not speak TLS is cut off, and the others go on', async () => {
  const broker = await start()
  const plain = connectPlainly({ port: broker.address.port })
  plain.on('error', () => undefined)
  plain.resume()
  plain.write(Buffer.from('0000000a000300010000000700000000', 'hex'))
  await once(plain, 'close')
  const socket = connect({ port: broker.address.port, host: '127.0.0.1', ca: cert })
  await once(socket, 'secureConnect')
  socket.destroy()
})

it('a client that never begins TLS does not keep a stop waiting', async () => {
  const broker = await start()
  const silent = connectPlainly({ port: broker.address.port })
  await once(silent, 'connect')
  await new Promise((resolve) => setTimeout(resolve, 20))
  const startedAt = performance.now()
  await broker.close()
  expect(performance.now() - startedAt).toBeLessThan(3000)
  silent.destroy()
})

it('a certificate without its key is refused before anything is opened', async () => {
  const dir = `${temporaryFolder()}/new`
  const other = makeCertificate(temporaryFolder())
  await expect(startBroker({ dir, tls: { cert, key: other.key } })).rejects.toThrow('key')
  expect(existsSync(dir)).toBe(false)
})
