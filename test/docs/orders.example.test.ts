import { Kafka, logLevel, type Consumer, type Producer } from 'kafkajs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { failNext, startBroker, type Broker } from '../../src/server/index.ts'

let broker: Broker
let producer: Producer
let consumer: Consumer

beforeEach(async () => {
  broker = await startBroker({ topics: { orders: { partitions: 2 } } })
  const { host, port } = broker.address
  const kafka = new Kafka({
    brokers: [`${host}:${port}`],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20 },
  })
  producer = kafka.producer()
  consumer = kafka.consumer({ groupId: 'shop' })
  await producer.connect()
  await consumer.connect()
})

afterEach(async () => {
  await consumer.disconnect()
  await producer.disconnect()
  await broker.close()
})

/** What a consumer of the group gets, as soon as there are so many. */
async function received(count: number): Promise<string[]> {
  const values: string[] = []
  await consumer.subscribe({ topic: 'orders', fromBeginning: true })
  return new Promise((resolve, reject) => {
    const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
      values.push(message.value?.toString() ?? '')
      if (values.length === count) resolve(values.sort())
      return Promise.resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
}

test('what is sent is received', async () => {
  await producer.send({ topic: 'orders', messages: [{ value: 'pear' }, { value: 'plum' }] })
  expect(await received(2)).toEqual(['pear', 'plum'])
})

test('the producer sends again when the leader has moved', async () => {
  const produce = broker.intercept('Produce', failNext(2, 'NOT_LEADER_OR_FOLLOWER'))
  await producer.send({ topic: 'orders', messages: [{ key: 'a', value: 'pear' }] })
  expect(produce.calls).toBe(3)
  expect(await received(1)).toEqual(['pear'])
})

test('an answer that gets lost makes a record appear twice without idempotence', async () => {
  let lost = false
  broker.intercept('Produce', () => {
    if (lost) return 'pass'
    lost = true
    return 'close-after'
  })
  await producer.send({ topic: 'orders', messages: [{ key: 'a', value: 'plum' }] })
  expect(await received(2)).toEqual(['plum', 'plum'])
})
