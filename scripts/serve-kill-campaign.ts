/**
 * Kills a `kafkats serve` under the load of producers again and again, starts it on the same folder, and looks each time
 * whether it has everything that it had acknowledged.
 *
 *   npx tsx scripts/serve-kill-campaign.ts [kills]          100 unless given; SEED=n repeats a campaign's random moments
 *   npx tsx scripts/serve-kill-campaign.ts restart FOLDER   copies a partition, kills beside it, and times the starts
 *
 * KAFKATS=FILE is the program that is started, bin/run.js where there is a build. One topic is written with acks=all and
 * flush.messages=1, one with acks=1 and Kafka's defaults. The value of each record tells its offset, so that a gap, a
 * repetition or another's bytes are seen. A kill leaves the page cache alone: what a power cut does to what was not
 * flushed is tried by the crash tests of the engine, with a file system that forgets.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { FETCH_REQUEST } from '../src/protocol/messages/fetch-request.ts'
import { FETCH_RESPONSE } from '../src/protocol/messages/fetch-response.ts'
import { PRODUCE_REQUEST } from '../src/protocol/messages/produce-request.ts'
import { PRODUCE_RESPONSE } from '../src/protocol/messages/produce-response.ts'
import { LIST_OFFSETS_REQUEST } from '../src/protocol/messages/list-offsets-request.ts'
import { LIST_OFFSETS_RESPONSE } from '../src/protocol/messages/list-offsets-response.ts'
import { CREATE_TOPICS_REQUEST } from '../src/protocol/messages/create-topics-request.ts'
import { CREATE_TOPICS_RESPONSE } from '../src/protocol/messages/create-topics-response.ts'
import { readResponse } from '../src/protocol/frame.ts'
import { ZERO_UUID } from '../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../src/records/batch-builder.ts'
import { batchesIn } from '../src/records/batches.ts'
import { COMPRESSION_TYPES } from '../src/records/compression.ts'
import { RawClient } from '../test/support/raw-client.ts'

const PRODUCE = { request: PRODUCE_REQUEST, response: PRODUCE_RESPONSE }
const FETCH = { request: FETCH_REQUEST, response: FETCH_RESPONSE }
const LIST_OFFSETS = { request: LIST_OFFSETS_REQUEST, response: LIST_OFFSETS_RESPONSE }
const CREATE_TOPICS = { request: CREATE_TOPICS_REQUEST, response: CREATE_TOPICS_RESPONSE }
const PRODUCE_VERSION = 8
const IN_FLIGHT = 4
const LONGEST_LIFE_MS = 400
const RESTARTS = 5

const root = fileURLToPath(new URL('..', import.meta.url))
const built = join(root, 'bin/run.js')
const program =
  process.env['KAFKATS'] ??
  (existsSync(join(root, 'dist/commands/serve.js')) ? built : join(root, 'bin/dev.js'))

/** A partition under load. */
interface Load {
  readonly topic: string
  readonly partition: number
  readonly acks: 1 | -1
  /** Everything below it was acknowledged. */
  acknowledged: bigint
  /** Everything below it was read back and was right. */
  checked: bigint
}

interface Served {
  readonly process: ChildProcess
  readonly port: number
  /** From the start of the process to its ready line. */
  readonly readyMs: number
  /** What it told when it had opened the folder. */
  readonly opened: string
}

async function serve(dir: string): Promise<Served> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [program, 'serve', dir, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    const port = /^listening on .*:(\d+)$/.exec(line)?.[1]
    if (port === undefined) continue
    const readyMs = performance.now() - startedAt
    return { process: child, port: Number(port), readyMs, opened: said.trim() }
  }
  throw new Error(`the broker did not start: ${said}`)
}

async function kill({ process: child }: Served): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  const [, signal] = (await ended) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error('the broker had ended by itself')
}

function valueOf(load: Load, offset: bigint): string {
  return `${load.topic}-${load.partition} ${offset} `.repeat(1 + Number(offset % 50n))
}

async function endOf(client: RawClient, { topic, partition }: Load): Promise<bigint> {
  const { topics } = await client.call(LIST_OFFSETS, 5, {
    replicaId: -1,
    isolationLevel: 0,
    topics: [
      {
        name: topic,
        partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp: -1n }],
      },
    ],
    timeoutMs: 0,
  })
  const found = topics[0]?.partitions[0]
  if (found?.errorCode !== 0) {
    throw new Error(`${topic}-${partition}: error ${found?.errorCode}`)
  }
  return found.offset ?? -1n
}

/** Appends to the partition's end, of which `load.checked` tells, without a pause, until the broker is gone. */
async function produce(port: number, load: Load, onAcknowledged: () => void): Promise<void> {
  const client = await RawClient.connect(port).catch(() => undefined)
  if (client === undefined) return // it was killed before
  // Where it ends: it was read up to there.
  let next = load.checked
  const expected: { readonly base: bigint; readonly end: bigint }[] = []
  for (let round = 0; ; round++) {
    while (expected.length < IN_FLIGHT && !client.socket.destroyed) {
      const compressionType = COMPRESSION_TYPES[round % COMPRESSION_TYPES.length]
      const builder = new BatchBuilder({ compressionType })
      const end = next + 1n + (next % 7n)
      for (let offset = next; offset < end; offset++) {
        builder.append(BigInt(Date.now()), {
          key: null,
          value: Buffer.from(valueOf(load, offset)),
        })
      }
      client.send(PRODUCE_REQUEST, PRODUCE_VERSION, {
        transactionalId: null,
        acks: load.acks,
        timeoutMs: 30_000,
        topicData: [
          {
            name: load.topic,
            topicId: ZERO_UUID,
            partitionData: [{ index: load.partition, records: builder.build() ?? null }],
          },
        ],
      })
      expected.push({ base: next, end })
      next = end
    }
    const frame = await client.receive()
    const sent = expected.shift()
    if (frame === undefined || sent === undefined) break
    const { value } = readResponse(PRODUCE.response, frame, PRODUCE_VERSION)
    const answer = value.responses[0]?.partitionResponses[0]
    if (answer === undefined || answer.errorCode !== 0 || answer.baseOffset !== sent.base) {
      throw new Error(
        `${load.topic}-${load.partition}: error ${answer?.errorCode}, offset ${answer?.baseOffset} instead of ${sent.base}`,
      )
    }
    load.acknowledged = sent.end
    onAcknowledged()
  }
  client.close()
}

/** Reads what was not read before; throws where anything that was acknowledged is missing or anything is wrong. */
async function check(client: RawClient, load: Load): Promise<void> {
  const end = await endOf(client, load)
  if (end < load.acknowledged) {
    throw new Error(
      `${load.topic}-${load.partition} ends at ${end}, acknowledged was ${load.acknowledged}`,
    )
  }
  let next = load.checked
  while (next < end) {
    const { responses } = await client.call(FETCH, 11, {
      clusterId: null,
      replicaId: -1,
      replicaState: { replicaId: -1, replicaEpoch: -1n },
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 10_000_000,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic: load.topic,
          topicId: ZERO_UUID,
          partitions: [
            {
              partition: load.partition,
              currentLeaderEpoch: -1,
              fetchOffset: next,
              lastFetchedEpoch: -1,
              logStartOffset: -1n,
              partitionMaxBytes: 10_000_000,
              replicaDirectoryId: ZERO_UUID,
              highWatermark: 0x7fffffffffffffffn,
            },
          ],
        },
      ],
      forgottenTopicsData: [],
      rackId: '',
    })
    const { records } = responses[0]?.partitions[0] ?? {}
    if (!Buffer.isBuffer(records) || records.length === 0) {
      throw new Error(`${load.topic}-${load.partition}: nothing at ${next} of ${end}`)
    }
    for (const batch of batchesIn(records)) {
      if (batch.lastOffset >= next + 10_000_000n) throw new Error('an offset from nowhere')
      batch.ensureValid()
      for (const { offset, value } of batch.records()) {
        if (offset < next) continue
        if (offset !== next || value?.toString() !== valueOf(load, next)) {
          throw new Error(
            `${load.topic}-${load.partition}: offset ${offset} with "${value?.toString()}" where ${next} should be`,
          )
        }
        next++
      }
    }
  }
  load.checked = end
}

async function createTopics(client: RawClient, loads: readonly Load[]): Promise<void> {
  const names = [...new Set(loads.map(({ topic }) => topic))]
  const { topics } = await client.call(CREATE_TOPICS, 5, {
    topics: names.map((name) => ({
      name,
      numPartitions: loads.filter(({ topic }) => topic === name).length,
      replicationFactor: 1,
      assignments: [],
      configs: [
        { name: 'segment.bytes', value: '1048576' },
        ...(name === 'flushed' ? [{ name: 'flush.messages', value: '1' }] : []),
      ],
    })),
    timeoutMs: 10_000,
    validateOnly: false,
  })
  for (const { name, errorCode } of topics) {
    if (errorCode !== 0) throw new Error(`${name}: error ${errorCode}`)
  }
}

function newLoads(): Load[] {
  const common = { acknowledged: 0n, checked: 0n }
  return [
    { topic: 'flushed', partition: 0, acks: -1, ...common },
    { topic: 'flushed', partition: 1, acks: -1, ...common },
    { topic: 'plain', partition: 0, acks: 1, ...common },
    { topic: 'plain', partition: 1, acks: 1, ...common },
  ]
}

/** Lets producers write until `lifeMs` after the first acknowledgement, and kills the broker. */
async function loadAndKill(served: Served, loads: readonly Load[], lifeMs: number): Promise<void> {
  let first: (() => void) | undefined
  const begun = new Promise<void>((resolve) => {
    first = resolve
  })
  const producing = Promise.all(loads.map((load) => produce(served.port, load, () => first?.())))
  await Promise.race([begun, producing])
  await sleep(lifeMs)
  await kill(served)
  await producing
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

async function campaign(kills: number, seed: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kafkats-serve-kill-'))
  const dir = join(folder, 'root')
  let state = seed >>> 0
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
  console.log(`serve kill campaign: ${kills} kills, SEED=${seed}, ${program}, ${dir}`)
  const loads = newLoads()
  const ready: number[] = []
  let beyond = 0
  for (let round = 0; round <= kills; round++) {
    try {
      const served = await serve(dir)
      ready.push(served.readyMs)
      const client = await RawClient.connect(served.port)
      if (round === 0) await createTopics(client, loads)
      for (const load of loads) {
        await check(client, load)
        if (load.checked > load.acknowledged) beyond++
        load.acknowledged = load.checked
      }
      client.close()
      // Sometimes at once, while it may still be busy with what it has found.
      if (round < kills) await loadAndKill(served, loads, random() ** 2 * LONGEST_LIFE_MS)
      else await kill(served)
    } catch (error) {
      throw new Error(`after kill ${round} of SEED=${seed}; the folder is kept: ${dir}`, {
        cause: error,
      })
    }
  }
  rmSync(folder, { recursive: true, force: true })
  const counts = loads.map(({ topic, partition, checked }) => `${topic}-${partition} ${checked}`)
  console.log(
    `nothing was lost: ${kills} kills, records at the end: ${counts.join(', ')}; ${beyond} times a partition had more than was acknowledged; ready ${median(ready).toFixed(0)} ms after the start of the process (median), ${Math.max(...ready).toFixed(0)} ms at most`,
  )
}

/** Starts after a kill on a folder that holds a large partition, which the killed broker had written to too. */
async function restarts(partition: string): Promise<void> {
  const folder = mkdtempSync(join(process.env['TMPDIR'] ?? tmpdir(), 'kafkats-serve-restart-'))
  const dir = join(folder, 'root')
  mkdirSync(dir)
  cpSync(partition, join(dir, 'large-0'), { recursive: true })
  const loads: Load[] = [{ topic: 'large', partition: 0, acks: 1, acknowledged: 0n, checked: 0n }]
  let served = await serve(dir)
  console.log(`first start: ${served.readyMs.toFixed(0)} ms; ${served.opened}`)
  for (let i = 0; i < RESTARTS; i++) {
    const client = await RawClient.connect(served.port)
    for (const load of loads) {
      load.checked = await endOf(client, load)
      if (load.checked < load.acknowledged) throw new Error(`it ends at ${load.checked}`)
    }
    client.close()
    await loadAndKill(served, loads, LONGEST_LIFE_MS)
    served = await serve(dir)
    console.log(
      `after kill ${i + 1}: ready after ${served.readyMs.toFixed(0)} ms; ${served.opened}`,
    )
  }
  await kill(served)
  rmSync(folder, { recursive: true, force: true })
}

const [mode, folder] = process.argv.slice(2)
if (mode === 'restart' && folder !== undefined) await restarts(folder)
else await campaign(Number(mode ?? 100), Number(process.env['SEED'] ?? Date.now() % 1_000_000))
process.exit(0)
