import { isUtf8 } from 'node:buffer'
import { crc32 } from '../bytes/checksum.ts'
import { acquireTextBuffer, releaseTextBuffer, type TextBuffer } from '../bytes/text-buffer.ts'
import type { Place } from '../errors.ts'
import type { Batch } from '../records/batch.ts'
import { batchAt } from '../records/batches.ts'
import { decompress } from '../records/compression.ts'
import { LegacyBatch } from '../records/legacy-message.ts'
import { decrementSequence } from '../records/record-batch.ts'
import type { LogRecord } from '../records/record.ts'
import type { ProducerSnapshotEntry } from '../storage/producer-snapshot.ts'
import { readControlContent } from './dump-control-record.ts'
import type { DumpEntry } from './dump-entries.ts'
import type { DumpFormat, DumpFormatOptions } from './dump-format.ts'
import type { DumpedBatch } from './dump-log.ts'
import type { DumpTarget } from './dump-target.ts'
import { javaUtf8 } from './dump-java-utf8.ts'

/**
 * What kafka-dump-log.sh of Kafka 4.1 prints on standard output, line for line, but for the stray `}` behind the crc of
 * a magic 0 or 1 record. Files that Kafka's tool passes over (checkpoints, `partition.metadata`) are printed alike.
 *
 * Kafka: kafka/tools/DumpLogSegments.scala
 */
export const kafkaFormat: DumpFormat = {
  begin(target) {
    return `Dumping ${target.path}\n${startLine(target)}`
  },

  *batch(item, _target, options) {
    const line = batchLine(item)
    if (!options.deep) {
      yield line
      return
    }
    const out = acquireTextBuffer()
    try {
      out.text(line)
      yield* recordLines(out, item.batch, options)
      yield out.view()
    } finally {
      releaseTextBuffer(out)
    }
  },

  entry: entryLine,

  tail(bytes, target) {
    return `Found ${bytes} invalid bytes at the end of ${target.name}\n`
  },

  empty(target) {
    return target.kind === 'offset-index' ? `${target.path} is empty.\n` : ''
  },

  unused: () => '',
}

function startLine({ kind, baseOffset, name }: DumpTarget): string {
  if (kind === 'log') return baseOffset === undefined ? '' : `Log starting offset: ${baseOffset}\n`
  if (kind !== 'kraft-snapshot') return ''
  const epoch = /^\d+-(\d+)\./.exec(name)?.[1]
  if (baseOffset === undefined || epoch === undefined) return 'KRaft bootstrap snapshot\n'
  return `Snapshot end offset: ${baseOffset}, epoch: ${BigInt(epoch)}\n`
}

function optional(value: bigint | undefined): string {
  return value === undefined ? 'OptionalLong.empty' : `OptionalLong[${value}]`
}

function batchLine({ batch, position, valid }: DumpedBatch): string {
  const head =
    batch.magic >= 2
      ? `baseOffset: ${batch.baseOffset} lastOffset: ${batch.lastOffset} count: ${batch.count}` +
        ` baseSequence: ${batch.baseSequence} lastSequence: ${batch.lastSequence}` +
        ` producerId: ${batch.producerId} producerEpoch: ${batch.producerEpoch}` +
        ` partitionLeaderEpoch: ${batch.partitionLeaderEpoch} isTransactional: ${batch.isTransactional}` +
        ` isControl: ${batch.isControl} deleteHorizonMs: ${optional(batch.deleteHorizonMs)}`
      : `offset: ${batch.lastOffset}`
  return (
    `${head} position: ${position} ${batch.timestampType}: ${batch.maxTimestamp}` +
    ` size: ${batch.sizeInBytes} magic: ${batch.magic} compresscodec: ${batch.compressionType}` +
    ` crc: ${batch.crc} isvalid: ${valid}\n`
  )
}

/** Lines go out together from so many bytes on. */
const PIECE_BYTES = 64 * 1024
const NEWLINE = 0x0a

function* recordLines(
  out: TextBuffer,
  batch: Batch,
  options: DumpFormatOptions,
): Generator<Buffer, void, void> {
  const checks = batch instanceof LegacyBatch ? messageChecks(batch) : undefined
  const { isControl, magic, timestampType } = batch
  const records = batch.records()
  for (;;) {
    let record: LogRecord | undefined
    let check: MessageCheck | undefined
    let control = ''
    try {
      record = records.next().value ?? undefined
      if (record === undefined) return
      check = checks?.next().value
      if (isControl) control = controlText(record, batch.place)
    } catch (error) {
      yield out.view() // what stands before the damage
      throw error
    }
    const { key, value } = record
    out.ascii('| offset: ')
    out.int64(record.offset)
    out.ascii(' ')
    out.ascii(timestampType)
    out.ascii(': ')
    out.int64(record.timestamp)
    out.ascii(' keySize: ')
    out.number(key?.length ?? -1)
    out.ascii(' valueSize: ')
    out.number(value?.length ?? -1)
    if (magic >= 2) {
      out.ascii(' sequence: ')
      out.number(record.sequence)
      out.ascii(' headerKeys: [')
      for (const [index, header] of record.headers.entries()) {
        if (index > 0) out.ascii(',')
        writeJavaUtf8(out, header.key)
      }
      out.ascii(']')
    }
    if (check !== undefined) out.text(` isValid: ${check.isValid} crc: ${check.crc}`)
    if (isControl) out.text(control)
    else if (options.printData) {
      if (key !== null) {
        out.ascii(' key: ')
        writeJavaUtf8(out, key)
      }
      if (value !== null) {
        out.ascii(' payload: ')
        writeJavaUtf8(out, value)
      }
    }
    out.byte(NEWLINE)
    if (out.length < PIECE_BYTES) continue
    yield out.view()
    out.clear()
  }
}

/** What Java's decoder makes of bytes; those that are UTF-8 it leaves as they are. */
function writeJavaUtf8(out: TextBuffer, bytes: Buffer): void {
  if (isUtf8(bytes)) out.bytes(bytes)
  else out.text(javaUtf8(bytes))
}

interface MessageCheck {
  readonly crc: number
  readonly isValid: boolean
}

/** The checksums of a message of magic 0 or 1, or of those it wraps, in the order of its records. */
function* messageChecks(batch: LegacyBatch): Generator<MessageCheck, undefined, void> {
  if (!batch.isCompressed) {
    yield { crc: batch.crc, isValid: batch.isValid() }
    return undefined
  }
  const { magic, place, compressionType } = batch
  const bytes = decompress(compressionType, batch.fields().value ?? Buffer.alloc(0), {
    magic,
    place,
  })
  for (let at = 0; bytes.length - at > 12;) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    const message = bytes.subarray(at, end)
    const { crc } = batchAt(message)
    yield { crc, isValid: crc === crc32(message.subarray(16)) }
    at = end
  }
  return undefined
}

const CONTROL_LABELS: Readonly<Record<string, string>> = {
  LEADER_CHANGE: 'LeaderChange:',
  SNAPSHOT_HEADER: 'SnapshotHeader',
  SNAPSHOT_FOOTER: 'SnapshotFooter',
  KRAFT_VERSION: 'KRaftVersion',
  KRAFT_VOTERS: 'KRaftVoters',
}

function controlText(record: LogRecord, place: Place): string {
  const { type, typeId, content } = readControlContent(record, place)
  if (content === undefined) return ` controlType: UNKNOWN(${typeId})`
  if (type === 'ABORT' || type === 'COMMIT') {
    return ` endTxnMarker: ${type} coordinatorEpoch: ${String(content['coordinatorEpoch'])}`
  }
  return ` ${CONTROL_LABELS[type] ?? type} ${toJson(content)}`
}

/** JSON with bigints as digits. */
function toJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`,
  )
  return `{${fields.join(',')}}`
}

function entryLine(entry: DumpEntry): string {
  switch (entry.kind) {
    case 'offset':
      return `offset: ${entry.offset} position: ${entry.position}\n`
    case 'time':
      return `timestamp: ${entry.timestamp} offset: ${entry.offset}\n`
    case 'txn':
      return (
        `version: 0 producerId: ${entry.producerId} firstOffset: ${entry.firstOffset}` +
        ` lastOffset: ${entry.lastOffset} lastStableOffset: ${entry.lastStableOffset}\n`
      )
    case 'producer':
      return producerLine(entry)
    case 'epoch':
      return `epoch: ${entry.epoch} startOffset: ${entry.startOffset}\n`
    case 'topic':
      return `version: ${entry.version} topicId: ${entry.topicId}\n`
    case 'checkpoint':
      return `topic: ${entry.topic} partition: ${entry.partition} offset: ${entry.offset}\n`
  }
}

function producerLine(entry: ProducerSnapshotEntry): string {
  const { currentTxnFirstOffset: txn } = entry
  // Without a batch the line ends with a blank, as Kafka's does.
  const head =
    `producerId: ${entry.producerId} producerEpoch: ${entry.producerEpoch}` +
    ` coordinatorEpoch: ${entry.coordinatorEpoch}` +
    ` currentTxnFirstOffset: ${optional(txn < 0n ? undefined : txn)}` +
    ` lastTimestamp: ${entry.timestamp} `
  if (entry.lastOffset < 0n) return `${head}\n`
  const firstSequence = decrementSequence(entry.lastSequence, entry.offsetDelta)
  return (
    `${head}firstSequence: ${firstSequence} lastSequence: ${entry.lastSequence}` +
    ` lastOffset: ${entry.lastOffset} offsetDelta: ${entry.offsetDelta} timestamp: ${entry.timestamp}\n`
  )
}
