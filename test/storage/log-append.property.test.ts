import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KafkatsError } from '../../src/errors.ts'
import { BatchBuilder, buildEndTransactionMarker } from '../../src/records/batch-builder.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { Log, type LogAppend } from '../../src/storage/index.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

const NOW = 1_767_225_600_000n
const DIR = '/data/gathered-0'

/** One append, told so that it can be made anew for each log. */
interface Step {
  readonly kind: 'plain' | 'producer' | 'marker' | 'corrupt' | 'none'
  readonly records: number
  readonly size: number
  readonly codec: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  readonly leaderEpoch: number | undefined
  readonly timestamp: number
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'plain',
    'plain',
    'plain',
    'producer',
    'producer',
    'marker',
    'corrupt',
    'none',
  ),
  records: fc.integer({ min: 1, max: 3 }),
  size: fc.nat(60),
  codec: fc.constantFrom(0, 0, 0, 1),
  producerId: fc.nat(2),
  producerEpoch: fc.constantFrom(0, 0, 0, 0, 1),
  baseSequence: fc.nat(6),
  isTransactional: fc.boolean(),
  leaderEpoch: fc.option(fc.nat(3), { nil: undefined, freq: 8 }),
  timestamp: fc.integer({ min: -1, max: 500 }),
})

function appendOf(step: Step): LogAppend {
  const { kind, producerEpoch, leaderEpoch } = step
  const epoch = leaderEpoch === undefined ? {} : { leaderEpoch }
  if (kind === 'none') return { bytes: Buffer.alloc(9), ...epoch }
  const producerId = BigInt(step.producerId)
  if (kind === 'marker') {
    const marker = { type: 'ABORT' as const, coordinatorEpoch: 0 }
    const bytes = buildEndTransactionMarker(marker, { producerId, producerEpoch, timestamp: NOW })
    return { bytes, origin: 'coordinator', ...epoch }
  }
  const { isTransactional, baseSequence } = step
  const builder = new BatchBuilder({
    compressionType: COMPRESSION_TYPES[step.codec],
    ...(kind === 'producer' && { producerId, producerEpoch, baseSequence, isTransactional }),
  })
  for (let i = 0; i < step.records; i++) {
    const timestamp = step.timestamp < 0 ? -1n : NOW + BigInt(step.timestamp + i)
    builder.append(timestamp, { key: null, value: Buffer.alloc(step.size, 97) })
  }
  const bytes = builder.build() ?? Buffer.alloc(0)
  if (kind === 'corrupt') bytes[bytes.length - 1] = 0x55
  return { bytes, ...epoch }
}

function openLog(fs: FaultFileSystem, config: Record<string, string>): Log {
  return Log.open(DIR, {
    fs,
    config: {
      'segment.bytes': '900',
      'index.interval.bytes': '100',
      'segment.index.bytes': '72',
      'segment.ms': '400',
      ...config,
    },
    now: () => NOW + 1000n,
    random: () => 0,
    lock: { isAlive: () => false },
  })
}

function told(answer: () => unknown): unknown {
  try {
    return { info: answer() }
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return { error: `${error.name}: ${error.message}` }
  }
}

function filesOf(fs: FaultFileSystem): Record<string, string> {
  const contents: Record<string, string> = {}
  for (const name of fs.list(DIR)) {
    if (name !== '.lock') contents[name] = fs.readFile(`${DIR}/${name}`, 1e6).toString('hex')
  }
  return contents
}

function memoryOf(log: Log): unknown {
  return {
    end: log.logEndOffset,
    stable: log.lastStableOffset,
    highWatermark: log.highWatermark,
    epochs: log.leaderEpochs.entries,
    segments: log.segments.map(({ baseOffset, size }) => [baseOffset, size]),
    producers: [...log.producerState.producers()].map((entry) => ({ ...entry, b: entry.batches })),
    ongoing: log.producerState.ongoingTransactions(),
  }
}

test('appends that are gathered end as they do one by one: answers, memory, and every file', () => {
  const groups = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { maxLength: 6 })
  let answers = 0
  let gatheredWrites = 0
  fc.assert(
    fc.property(groups, fc.boolean(), (groups, stopAtRefusal) => {
      const [fs, oneByOne] = [new FaultFileSystem(), new FaultFileSystem()]
      const log = openLog(fs, {})
      const reference = openLog(oneByOne, {})
      fs.onOperation = (operation) => {
        if (operation === 'writev') gatheredWrites++
      }
      for (const steps of groups) {
        const outcomes = log
          .appendAllAsLeader(steps.map(appendOf), { stopAtRefusal })
          .map((outcome) =>
            told(() => {
              if ('error' in outcome) throw outcome.error
              return outcome.info
            }),
          )
        const expected: unknown[] = []
        for (const { bytes, ...options } of steps.map(appendOf)) {
          const answer = told(() => reference.appendAsLeader(bytes, options))
          expected.push(answer)
          if (stopAtRefusal && (answer as { error?: string }).error !== undefined) break
        }
        expect(outcomes).toEqual(expected)
        expect(memoryOf(log)).toEqual(memoryOf(reference))
        answers += outcomes.length
      }
      log.close()
      reference.close()
      expect(filesOf(fs)).toEqual(filesOf(oneByOne))
    }),
    { numRuns: 100 },
  )
  expect(answers).toBeGreaterThan(400)
  expect(gatheredWrites).toBeGreaterThan(80)
})

test('flush.messages is looked at once for what is written together', () => {
  const fs = new FaultFileSystem()
  const log = openLog(fs, {
    'flush.messages': '1',
    'segment.bytes': '100000',
    'segment.index.bytes': '1200',
  })
  const value = Buffer.alloc(10)
  const one = (): LogAppend => {
    const builder = new BatchBuilder()
    builder.append(NOW, { key: null, value })
    return { bytes: builder.build() ?? Buffer.alloc(0) }
  }
  log.appendAllAsLeader([one()])
  const operations: string[] = []
  fs.onOperation = (operation, _n, path) => {
    if (path.endsWith('.log')) operations.push(operation)
  }
  log.appendAllAsLeader(Array.from({ length: 20 }, one))
  expect(operations).toEqual(['writev', 'sync'])
  expect(log.recoveryPoint).toBe(21n)
})
