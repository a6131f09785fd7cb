import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KafkatsError } from '../../../src/errors.ts'
import { Log, type Isolation } from '../../../src/storage/index.ts'
import type { FetchData } from '../../../src/storage/fetch.ts'
import type { OracleAnswer, OracleCommand } from '../../support/oracle.ts'

const ISOLATION: Readonly<Record<string, Isolation>> = {
  LOG_END: 'log_end',
  HIGH_WATERMARK: 'read_uncommitted',
  TXN_COMMITTED: 'read_committed',
}

/** kafkats behind the oracle's commands, so that one call can be put to both and the answers compared. */
export class Engine {
  log: Log | undefined
  #now = 0n

  call(command: OracleCommand): OracleAnswer {
    if (command['now'] !== undefined) this.#now = BigInt(command['now'] as bigint)
    try {
      return { ok: true, ...this.#run(command) }
    } catch (error) {
      if (!(error instanceof KafkatsError)) throw error
      return { ok: false, code: error.kafkaError ?? 'UNKNOWN_SERVER_ERROR', message: error.message }
    }
  }

  get open(): Log {
    if (this.log === undefined) throw new Error('no log is open')
    return this.log
  }

  #run(command: OracleCommand): Record<string, unknown> {
    const offset = (): bigint => BigInt(command['offset'] as bigint)
    switch (command.cmd) {
      case 'open':
        this.log?.close()
        this.log = Log.open(command['dir'] as string, {
          config: command['config'] as Record<string, string>,
          cleanShutdown: command['cleanShutdown'] as boolean,
          recoveryPoint: BigInt((command['recoveryPoint'] as bigint | undefined) ?? 0),
          logStartOffset: BigInt((command['logStartOffset'] as bigint | undefined) ?? 0),
          highWatermark: 'manual',
          now: () => this.#now,
        })
        return this.#state()
      case 'state':
        return this.#state()
      case 'append':
        return this.#append(command)
      case 'read':
        return this.#read(command)
      case 'roll':
        this.open.roll()
        return this.#state()
      case 'flush':
        this.open.flush({ includeEmptyActive: true })
        return {}
      case 'truncateTo':
        return { truncated: this.open.truncateTo(offset()), ...this.#state() }
      case 'truncateFullyAndStartAt':
        this.open.truncateFullyAndStartAt(offset())
        return this.#state()
      case 'setHighWatermark':
        this.open.updateHighWatermark(offset())
        return this.#state()
      case 'deleteRecordsBefore':
        this.open.incrementLogStartOffset(offset())
        return this.#state()
      case 'deleteOldSegments':
        return { deleted: this.open.deleteOldSegments(), ...this.#state() }
      case 'assignEpoch':
        this.open.assignEpochStartOffset(command['epoch'] as number, offset())
        return this.#state()
      case 'offsetForTimestamp': {
        const found = this.open.offsetForTimestamp(BigInt(command['timestamp'] as bigint))
        if (found === undefined) return {}
        const { leaderEpoch, ...rest } = found
        return leaderEpoch === undefined ? rest : { ...rest, leaderEpoch }
      }
      case 'endOffsetForEpoch':
        return { ...this.open.endOffsetForEpoch(command['epoch'] as number) }
      case 'collectAbortedTransactions':
        return {
          abortedTransactions: this.open.collectAbortedTransactions(
            BigInt(command['start'] as bigint),
            BigInt(command['upperBound'] as bigint),
          ),
        }
      case 'compact': {
        const log = this.open
        log.updateHighWatermark(log.logEndOffset)
        const { endOffset } = log.clean({
          firstDirtyOffset: BigInt(command['firstDirtyOffset'] as bigint),
          firstUncleanableOffset: log.segments.at(-1)?.baseOffset ?? 0n,
          dedupeBufferBytes: 1 << 22,
        })
        return { endOffset, ...this.#state() }
      }
      case 'close':
        this.open.close()
        this.log = undefined
        return {}
      default:
        throw new Error(`no such command: ${command.cmd}`)
    }
  }

  #append(command: OracleCommand): Record<string, unknown> {
    const bytes = Buffer.from(command['records'] as string, 'base64')
    const leaderEpoch = command['leaderEpoch'] as number
    const info =
      command['as'] === 'follower'
        ? this.open.appendAsFollower(bytes, { leaderEpoch })
        : this.open.appendAsLeader(bytes, {
            leaderEpoch,
            origin: command['origin'] === 'COORDINATOR' ? 'coordinator' : 'client',
          })
    const { firstOffset, lastOffset, maxTimestamp, logAppendTime, validBytes } = info
    return { firstOffset, lastOffset, maxTimestamp, logAppendTime, validBytes }
  }

  #read(command: OracleCommand): Record<string, unknown> {
    const data = this.open.read(BigInt(command['offset'] as bigint), {
      maxBytes: command['maxBytes'] as number,
      minOneMessage: command['minOneMessage'] as boolean,
      isolation: ISOLATION[command['isolation'] as string] ?? 'log_end',
    })
    const records = sliceBytes(data)
    return {
      records: records.toString('base64'),
      sizeInBytes: records.length,
      firstEntryIncomplete: data.firstEntryIncomplete,
      segmentBaseOffset: data.fetchOffset.segmentBaseOffset ?? -1n,
      position: data.fetchOffset.position ?? -1,
      ...(data.abortedTransactions === undefined
        ? {}
        : { abortedTransactions: data.abortedTransactions }),
    }
  }

  #state(): Record<string, unknown> {
    const log = this.open
    return {
      logStartOffset: log.logStartOffset,
      logEndOffset: log.logEndOffset,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      recoveryPoint: log.recoveryPoint,
      segments: log.segments.map(({ baseOffset, size }) => ({ baseOffset, size })),
      leaderEpochs: log.leaderEpochs.entries.map(({ epoch, startOffset }) => ({
        epoch,
        startOffset,
      })),
      producers: [...log.producerState.producers()]
        .sort((a, b) => (a.producerId < b.producerId ? -1 : 1))
        .map((entry) => ({
          producerId: entry.producerId,
          producerEpoch: entry.producerEpoch,
          lastSequence: entry.lastSequence,
          lastTimestamp: entry.lastTimestamp,
          coordinatorEpoch: entry.coordinatorEpoch,
          currentTxnStartOffset: entry.currentTxnFirstOffset ?? -1n,
        })),
    }
  }
}

function sliceBytes(data: FetchData): Buffer {
  const { slice } = data
  if (slice === undefined) return Buffer.alloc(0)
  const bytes = Buffer.alloc(slice.length)
  slice.file.read(bytes, 0, slice.length, slice.position)
  return bytes
}

/** Every file of a folder with its bytes in hexadecimal digits. */
export function folderContents(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name)).toString('hex')]),
  )
}
