/**
 * Sends damaged requests to a broker in this process, and stops at the first sign that it minds: a failure that is no
 * refusal of ours, memory that grows, or a request behind it that is not answered.
 *
 *   npx tsx scripts/fuzz-serve.ts [COUNT] [SECONDS]     1,000,000 unless given, or as many as the time allows; SEED=n repeats it
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkatsError } from '../src/errors.ts'
import { startBroker } from '../src/server/index.ts'
import { MutatedRequests, sendMutated, type Fates } from '../test/support/mutated-requests.ts'

const ROUND = 10_000
const MIB = 1024 * 1024
const MAX_BYTES = 512 * MIB
const [countText = '1000000', secondsText = 'Infinity'] = process.argv.slice(2)
const count = Number(countText)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const deadline = performance.now() + Number(secondsText) * 1000

const dir = mkdtempSync(join(tmpdir(), 'kafkats-fuzz-serve-'))
const unexpected: unknown[] = []
const broker = await startBroker({
  dir,
  port: 0,
  brokerConfig: {
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    'offsets.topic.num.partitions': '1',
    'log.retention.bytes': String(256 * MIB),
    'log.segment.bytes': String(16 * MIB),
  },
  topics: { orders: { partitions: 1 } },
  onFailure: (error) => {
    if (!(error instanceof KafkatsError)) unexpected.push(error)
  },
})
const topicId = broker.services.metadata.image.topics.get('orders')?.topicId ?? ''
const requests = new MutatedRequests(seed, { name: 'orders', topicId })
console.log(`${count} requests, SEED=${seed}`)

const total: Fates = { answered: 0, closed: 0, waiting: 0 }
let peak = 0
let sent = 0
while (sent < count && performance.now() < deadline) {
  const round = Math.min(ROUND, count - sent)
  const fates = await sendMutated(broker.address.port, round, () => requests.next())
  sent += round
  total.answered += fates.answered
  total.closed += fates.closed
  total.waiting += fates.waiting
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  peak = Math.max(peak, rss)
  if (unexpected.length > 0) throw new Error(`by ${sent} of SEED=${seed}`, { cause: unexpected[0] })
  if (heapUsed + arrayBuffers > MAX_BYTES) {
    throw new Error(`${heapUsed} and ${arrayBuffers} bytes by ${sent} of SEED=${seed}`)
  }
  if (fates.answered === 0) throw new Error(`nothing is answered any more by ${sent}`)
}
// What is right is still answered.
let after: Fates = { answered: 0, closed: 0, waiting: 0 }
for (let tries = 0; tries < 100 && after.answered === 0; tries++) {
  after = await sendMutated(broker.address.port, 1, () => Buffer.alloc(0))
}
if (after.answered !== 1) throw new Error('the broker answers nothing any more')
await broker.close()
rmSync(dir, { recursive: true, force: true })
console.log(
  `${sent} requests: ${total.answered} answered, ${total.closed} closed, ${total.waiting} left waiting; at most ${(peak / MIB).toFixed(0)} MiB resident`,
)
