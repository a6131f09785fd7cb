import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { BatchBuilder, buildEndTransactionMarker } from '../../../src/records/batch-builder.ts'
import { COMPRESSION_TYPES } from '../../../src/records/compression.ts'
import { incrementSequence } from '../../../src/records/record-batch.ts'
import type { KafkaOracle, OracleAnswer, OracleCommand } from '../../support/oracle.ts'
import { Engine, folderContents } from './engine.ts'
import type { Operation } from './operation.ts'

const START_MS = 1_767_225_600_000n

/** Kafka and kafkats gave different answers, or left different files. */
export class Difference extends Error {}

/** Puts the same calls to Kafka's engine and to kafkats, each in a folder of its own, and compares all they say and leave. */
export class DifferentialRun {
  readonly #oracle: KafkaOracle
  readonly #engine = new Engine()
  readonly #root = mkdtempSync(join(tmpdir(), 'kafkats-differential-'))
  readonly #config: Record<string, string>
  readonly #kafkaDir = join(this.#root, 'kafka', 'random-0')
  readonly #ownDir = join(this.#root, 'kafkats', 'random-0')
  #now = START_MS
  #allowsCodecs = true
  calls = 0
  compactions = 0

  /** Compressed anew, batches have other lengths: then records and header fields are compared instead of bytes. */
  readonly #comparesRecords: boolean

  constructor(
    oracle: KafkaOracle,
    config: Record<string, string>,
    compare: 'bytes' | 'records' = 'bytes',
  ) {
    this.#oracle = oracle
    this.#config = config
    this.#comparesRecords = compare === 'records'
  }

  async run(operations: readonly Operation[]): Promise<void> {
    // What the cleaner compresses anew has another length with another compressor, and so other positions.
    this.#allowsCodecs = this.#comparesRecords || !operations.some(({ op }) => op === 'compact')
    try {
      await this.#open(true, 0n)
      for (const operation of operations) {
        await this.#perform(operation)
        await this.#both({ cmd: 'state' })
      }
      await this.#close()
    } finally {
      try {
        this.#engine.log?.abandon()
      } finally {
        await this.#oracle.call({ cmd: 'close' })
        rmSync(this.#root, { recursive: true, force: true })
      }
    }
  }

  async #open(cleanShutdown: boolean, recoveryPoint: bigint): Promise<void> {
    const command = { cmd: 'open', config: this.#config, cleanShutdown, recoveryPoint }
    await this.#both({ ...command, dir: this.#kafkaDir }, { ...command, dir: this.#ownDir })
  }

  async #close(): Promise<void> {
    await this.#both({ cmd: 'close' })
    const kafka = folderContents(this.#kafkaDir)
    const own = folderContents(this.#ownDir)
    if (this.#comparesRecords) {
      for (const name of Object.keys(own).filter((file) => file.endsWith('.log'))) {
        await this.#compareRecords(name)
      }
      for (const name of Object.keys({ ...kafka, ...own })) {
        // positions depend on lengths, and with them which batches are indexed
        if (/\.(log|index|timeindex)$/.test(name) && name in kafka && name in own) {
          kafka[name] = own[name] = ''
        }
      }
    }
    for (const name of new Set([...Object.keys(kafka), ...Object.keys(own)])) {
      if (kafka[name] !== own[name]) {
        throw new Difference(
          `after the close ${name} differs\nKafka:   ${kafka[name] ?? 'is not there'}\nkafkats: ${own[name] ?? 'is not there'}`,
        )
      }
    }
  }

  /** Every batch and record of a log file as Kafka's own reader sees them, but for lengths and checksums. */
  async #compareRecords(name: string): Promise<void> {
    const [kafka, own] = await Promise.all(
      [this.#kafkaDir, this.#ownDir].map(async (dir) => {
        const answer = await this.#oracle.call({ cmd: 'parse', file: join(dir, name) })
        return (answer['batches'] as Record<string, unknown>[] | undefined)?.map(
          ({ sizeInBytes: _size, crc: _crc, ...batch }) => normalize(batch),
        )
      }),
    )
    if (!isDeepStrictEqual(kafka, own)) {
      throw new Difference(
        `after the close the records of ${name} differ\nKafka:   ${show(kafka)}\nkafkats: ${show(own)}`,
      )
    }
  }

  /** One call to both; a difference is thrown with the call and both answers. */
  async #both(command: OracleCommand, own: OracleCommand = command): Promise<OracleAnswer> {
    this.calls++
    const theirs = await this.#oracle.call({ ...command, now: this.#now })
    const ours = this.#engine.call({ ...own, now: this.#now })
    const dropped = this.#comparesRecords ? SIZES : []
    const [kafka, kafkats] = [comparable(theirs, ours, dropped), comparable(ours, theirs, dropped)]
    if (!isDeepStrictEqual(kafka, kafkats)) {
      throw new Difference(
        `${show(own)}\nKafka:   ${show(kafka)} ${theirs.message ?? ''}\nkafkats: ${show(kafkats)} ${ours.message ?? ''}`,
      )
    }
    return ours
  }

  #offset(fraction: number): bigint {
    const log = this.#engine.open
    const end = Number(log.logEndOffset)
    return BigInt(Math.max(-1, Math.round(fraction * end)))
  }

  async #perform(operation: Operation): Promise<void> {
    switch (operation.op) {
      case 'append':
        return this.#append(operation)
      case 'marker':
        return this.#marker(operation)
      case 'legacy':
        return this.#legacy(operation)
      case 'roll':
      case 'flush':
      case 'deleteOldSegments':
        await this.#both({ cmd: operation.op })
        return
      case 'truncateTo':
      case 'truncateFullyAndStartAt':
      case 'setHighWatermark':
      case 'deleteRecordsBefore': {
        const offset = this.#offset(operation.at)
        await this.#both({ cmd: operation.op, offset: offset < 0n ? 0n : offset })
        return
      }
      case 'assignEpoch': {
        const epoch = Math.max(0, this.#epoch() + operation.ahead)
        await this.#both({ cmd: 'assignEpoch', epoch, offset: this.#engine.open.logEndOffset })
        return
      }
      case 'advanceClock':
        this.#now += BigInt(operation.ms)
        return
      case 'read':
        await this.#both({
          cmd: 'read',
          offset: this.#offset(operation.at),
          maxBytes: operation.maxBytes,
          isolation: operation.isolation,
          minOneMessage: operation.minOneMessage,
        })
        return
      case 'offsetForTimestamp': {
        const timestamp =
          operation.back < -1e14
            ? BigInt(Math.round(operation.back / 1e15))
            : this.#now - BigInt(operation.back)
        await this.#both({ cmd: 'offsetForTimestamp', timestamp })
        return
      }
      case 'endOffsetForEpoch':
        await this.#both({ cmd: 'endOffsetForEpoch', epoch: operation.epoch })
        return
      case 'collectAborted': {
        const start = this.#offset(operation.from)
        const upperBound = this.#offset(operation.to)
        await this.#both({ cmd: 'collectAbortedTransactions', start, upperBound })
        return
      }
      case 'compact':
        return this.#compact(operation.isFirst)
      case 'reopen': {
        const log = this.#engine.open
        const end = Number(log.logEndOffset)
        const recoveryPoint = BigInt(Math.round(operation.recoverFrom * end))
        await this.#close()
        await this.#open(operation.clean, recoveryPoint)
      }
    }
  }

  /** Where the last compaction ended. */
  #firstDirtyOffset = 0n

  async #compact(isFirst: boolean): Promise<void> {
    const log = this.#engine.open
    // A broker cleans below the last stable offset only, and never has a first dirty offset in the active segment.
    for (const { producerId, firstOffset } of log.producerState.ongoingTransactions()) {
      await this.#endTransaction(producerId, firstOffset % 2n === 0n ? 'ABORT' : 'COMMIT')
    }
    if (log.producerState.ongoingTransactions().length > 0) return
    const active = log.segments.at(-1)?.baseOffset ?? 0n
    const { logStartOffset, logEndOffset } = log
    let firstDirtyOffset = isFirst ? 0n : this.#firstDirtyOffset
    if (firstDirtyOffset < logStartOffset || firstDirtyOffset > logEndOffset) {
      firstDirtyOffset = logStartOffset
    }
    if (firstDirtyOffset > active) return
    const answer = await this.#both({ cmd: 'compact', firstDirtyOffset })
    this.compactions++
    if (answer.ok) this.#firstDirtyOffset = answer['endOffset'] as bigint
  }

  #epoch(): number {
    return this.#engine.open.leaderEpochs.latestEpoch ?? 0
  }

  #leaderEpoch(change: 'same' | 'next' | 'stale'): number {
    const epoch = this.#epoch()
    if (change === 'next') return epoch + 1
    return change === 'stale' ? Math.max(0, epoch - 1) : epoch
  }

  async #append(operation: Extract<Operation, { op: 'append' }>): Promise<void> {
    const log = this.#engine.open
    const { as, count, damage } = operation
    const producerId = operation.producer === 0 ? -1n : BigInt(operation.producer * 1000)
    const known = log.producerState.producer(producerId)
    const knownEpoch = Math.max(known?.producerEpoch ?? 0, 0)
    const producerEpoch =
      producerId < 0n
        ? -1
        : operation.epoch === 'next'
          ? knownEpoch + 1
          : operation.epoch === 'stale'
            ? Math.max(0, knownEpoch - 1)
            : knownEpoch
    const last =
      known === undefined || producerEpoch !== known.producerEpoch ? -1 : known.lastSequence
    const batches = known?.batches ?? []
    const again = operation.sequence === 'older' ? batches[0] : batches.at(-1)
    let baseSequence = producerId < 0n ? -1 : last === 0x7fffffff ? 0 : last + 1
    let records = count
    if (producerId >= 0n) {
      if (
        (operation.sequence === 'again' || operation.sequence === 'older') &&
        again !== undefined
      ) {
        records = again.offsetDelta + 1
        baseSequence = again.lastSequence - again.offsetDelta
        if (baseSequence < 0) baseSequence = 0
      } else if (operation.sequence === 'gap') baseSequence = incrementSequence(baseSequence, 3)
      else if (operation.sequence === 'zero') baseSequence = 0
      else if (operation.sequence === 'wrap') baseSequence = 0x7fffffff - 1
    }
    const leaderEpoch = this.#leaderEpoch(operation.leaderEpoch)
    const open = known?.currentTxnFirstOffset !== undefined
    const isTransactional =
      producerId >= 0n &&
      (operation.damage === 'none' ? open || operation.isTransactional : operation.isTransactional)
    const builder = new BatchBuilder({
      compressionType: COMPRESSION_TYPES[this.#allowsCodecs ? operation.codec : 0],
      baseOffset: as === 'follower' ? log.logEndOffset + BigInt(operation.gap) : 0n,
      producerId,
      producerEpoch,
      baseSequence,
      isTransactional,
      partitionLeaderEpoch: as === 'follower' ? leaderEpoch : -1,
      isControl: damage === 'control',
      logAppendTime: damage === 'append-time' ? this.#now : undefined,
    })
    for (let i = 0; i < records; i++) {
      const back = operation.timestamps[i % operation.timestamps.length]
      builder.append(back === undefined ? -1n : this.#now + BigInt(back), {
        key:
          operation.keys === 'some' && i % 2 === 1
            ? null
            : Buffer.from(`key-${(operation.firstKey + i) % 9}`),
        value:
          operation.tombstoneEvery > 0 && i % operation.tombstoneEvery === 0
            ? null
            : Buffer.alloc(operation.valueBytes, `v${i}-`),
        headers:
          i === 0 ? [] : [{ key: Buffer.from('h'), value: i % 2 === 0 ? null : Buffer.from('x') }],
      })
    }
    let bytes = builder.build() ?? Buffer.alloc(0)
    if (damage === 'crc') bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x10
    if (damage === 'base-offset') bytes.writeBigInt64BE(5n, 0)
    if (damage === 'cut') bytes = bytes.subarray(0, bytes.length - 3)
    if (damage === 'count') {
      const wrong = new BatchBuilder({ producerId, producerEpoch, baseSequence })
      wrong.append(this.#now, { key: Buffer.from('k'), value: null })
      bytes = wrong.build(1n) ?? bytes
    }
    await this.#both({
      cmd: 'append',
      as,
      leaderEpoch,
      origin: damage === 'control' ? 'COORDINATOR' : 'CLIENT',
      records: bytes.toString('base64'),
    })
  }

  async #endTransaction(producerId: bigint, type: 'COMMIT' | 'ABORT'): Promise<void> {
    const known = this.#engine.open.producerState.producer(producerId)
    const { producerEpoch = 0, coordinatorEpoch = 0 } = known ?? {}
    const bytes = buildEndTransactionMarker(
      { type, coordinatorEpoch: Math.max(0, coordinatorEpoch) },
      { producerId, producerEpoch, timestamp: this.#now },
    )
    await this.#both({
      cmd: 'append',
      as: 'leader',
      leaderEpoch: this.#epoch(),
      origin: 'COORDINATOR',
      records: bytes.toString('base64'),
    })
  }

  async #marker(operation: Extract<Operation, { op: 'marker' }>): Promise<void> {
    const log = this.#engine.open
    const producerId = BigInt(operation.producer * 1000)
    const known = log.producerState.producer(producerId)
    const shift = (value: number, change: 'same' | 'next' | 'stale'): number =>
      Math.max(0, value + (change === 'next' ? 1 : change === 'stale' ? -1 : 0))
    const leaderEpoch = this.#epoch()
    const bytes = buildEndTransactionMarker(
      {
        type: operation.type,
        coordinatorEpoch: shift(known?.coordinatorEpoch ?? 0, operation.coordinatorEpoch),
      },
      {
        producerId,
        producerEpoch: shift(known?.producerEpoch ?? 0, operation.epoch),
        timestamp: this.#now,
        baseOffset: operation.as === 'follower' ? log.logEndOffset : 0n,
        partitionLeaderEpoch: operation.as === 'follower' ? leaderEpoch : -1,
      },
    )
    await this.#both({
      cmd: 'append',
      as: operation.as,
      leaderEpoch,
      origin: 'COORDINATOR',
      records: bytes.toString('base64'),
    })
  }

  async #legacy(operation: Extract<Operation, { op: 'legacy' }>): Promise<void> {
    const log = this.#engine.open
    // A leader builds these anew; compressed anew their size would depend on the compressor, so such go uncompressed.
    const recompresses =
      !this.#allowsCodecs ||
      (!this.#comparesRecords &&
        operation.as === 'leader' &&
        this.#config['compression.type'] !== 'uncompressed')
    const built = await this.#oracle.ask({
      cmd: 'build',
      magic: operation.magic,
      compression: COMPRESSION_TYPES[recompresses ? 0 : operation.codec],
      baseOffset: operation.as === 'follower' ? log.logEndOffset : 0n,
      records: Array.from({ length: operation.count }, (_, i) => ({
        timestamp: operation.magic === 0 ? -1n : this.#now + BigInt(operation.timestamp + i),
        key: Buffer.from(`k${i}`).toString('base64'),
        value: Buffer.alloc(operation.valueBytes, 'l').toString('base64'),
      })),
    })
    await this.#both({
      cmd: 'append',
      as: operation.as,
      leaderEpoch: this.#epoch(),
      origin: 'CLIENT',
      records: built['records'],
    })
  }
}

/** What of an answer must be the same: integers as one type, of a refusal only its code, and only fields both have. */
function comparable(
  answer: OracleAnswer,
  other: OracleAnswer,
  dropped: readonly string[],
): unknown {
  if (!answer.ok) return { ok: false, code: answer.code }
  return normalize(
    Object.fromEntries(
      Object.entries(answer).filter(([name]) => name in other && !dropped.includes(name)),
    ),
  )
}

/** Fields that tell lengths or positions. */
const SIZES = ['segments', 'records', 'sizeInBytes', 'position', 'firstEntryIncomplete']

function normalize(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (Array.isArray(value)) return value.map(normalize)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, field]) => [name, normalize(field)]),
    )
  }
  return value
}

function show(value: unknown): string {
  return JSON.stringify(value, (_name, field: unknown) =>
    typeof field === 'bigint' ? `${field}` : field,
  )
}
