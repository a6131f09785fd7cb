import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '../../src/bytes/checksum.ts'
import { BenchWorkload } from '../../src/inspect/bench-workload.ts'
import { Log } from '../../src/storage/log.ts'

/** The values of 16 records make the 16 KB of a batch. */
export const RECORD_BYTES = 1000
export const RECORDS_PER_BATCH = 16
const FIRST_TIMESTAMP = 1_700_000_000_000n
const MIB = 2 ** 20
const GIB = 2 ** 30

function workload(): BenchWorkload {
  return new BenchWorkload({
    recordSize: RECORD_BYTES,
    recordsPerBatch: RECORDS_PER_BATCH,
    compression: 'none',
    now: FIRST_TIMESTAMP,
  })
}

/** Makes what is not there. A folder is complete when the file `made` beside it says so. */
function once(dir: string, how: string, make: () => void): void {
  const mark = `${dir}.made`
  if (existsSync(mark) && readFileSync(mark, 'utf8') === how) return
  rmSync(dir, { recursive: true, force: true })
  make()
  writeFileSync(mark, how)
}

/** A closed partition of up to `bytes`, with a timestamp of its own for each batch; up to 1 GiB it is one segment. */
export function makePartition(dir: string, bytes: number): string {
  once(dir, `${bytes} bytes, ${RECORDS_PER_BATCH} records of ${RECORD_BYTES}`, () => {
    mkdirSync(dir, { recursive: true })
    const work = workload()
    const log = Log.open(dir)
    for (let i = 0n; ; i++) {
      const batch = work.encodeBatch(FIRST_TIMESTAMP + i * 10n)
      if (log.sizeInBytes + batch.length > bytes) break
      log.appendAsLeader(batch, { leaderEpoch: 0 })
    }
    log.close()
  })
  return dir
}

export function logFiles(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => join(dir, name))
}

export function sizeOfLogs(dir: string): number {
  return logFiles(dir).reduce((sum, path) => sum + statSync(path).size, 0)
}

/** The same logs, by hard links, without indexes and snapshots: what a crash leaves of a partition whose indexes are lost. */
export function makeUnclean(source: string, dir: string): string {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  for (const name of readdirSync(source)) {
    if (name.endsWith('.log')) linkSync(join(source, name), join(dir, name))
    if (name === 'leader-epoch-checkpoint') {
      writeFileSync(join(dir, name), readFileSync(join(source, name)))
    }
  }
  return dir
}

/** Offsets that each MiB of {@link makeSparse} takes, the real batch's first. */
const OFFSETS_PER_MIB = 1000
const MIBS_PER_SEGMENT = 1023

/**
 * A partition of so many segments of almost 1 GiB whose files are mostly holes. Each MiB has a real batch, and a batch that is
 * a header and a hole up to the next; that one's checksum is wrong, and nobody who looks for a real one computes it.
 * Indexes have an entry for each batch. Closed as the engine closes.
 */
export function makeSparse(dir: string, segments: number): string {
  once(dir, `${segments} segments`, () => {
    mkdirSync(dir, { recursive: true })
    const batch = workload().encodeBatch(FIRST_TIMESTAMP)
    const filler = Buffer.from(batch.subarray(0, 61))
    filler.writeInt32BE(MIB - batch.length - 12, 8)
    filler.writeInt32BE(OFFSETS_PER_MIB - RECORDS_PER_BATCH - 1, 23)
    filler.writeInt32BE(OFFSETS_PER_MIB - RECORDS_PER_BATCH, 57)
    const bytes = Buffer.concat([batch, filler])
    for (let segment = 0; segment < segments; segment++)
      makeSegment(dir, segment, bytes, batch.length)
    // Only an empty log takes a snapshot of no producers that is ready to be copied.
    const template = `${dir}.template-0`
    Log.open(template).close()
    const end = nameOf(BigInt(segments * MIBS_PER_SEGMENT * OFFSETS_PER_MIB))
    const log = Log.open(template)
    log.appendAsLeader(workload().encodeBatch(FIRST_TIMESTAMP), { leaderEpoch: 0 })
    log.close()
    const snapshot = join(template, `${nameOf(BigInt(RECORDS_PER_BATCH))}.snapshot`)
    writeFileSync(join(dir, `${end}.snapshot`), readFileSync(snapshot))
    writeFileSync(
      join(dir, 'leader-epoch-checkpoint'),
      readFileSync(join(template, 'leader-epoch-checkpoint')),
    )
    rmSync(template, { recursive: true })
  })
  return dir
}

function nameOf(offset: bigint): string {
  return offset.toString().padStart(20, '0')
}

function timestampOf(mib: number): bigint {
  return FIRST_TIMESTAMP + BigInt(mib) * 1000n
}

/** `bytes`: the real batch with the header of the one behind it. */
function makeSegment(dir: string, segment: number, bytes: Buffer, batchBytes: number): void {
  const firstMib = segment * MIBS_PER_SEGMENT
  const base = BigInt(firstMib * OFFSETS_PER_MIB)
  const stem = join(dir, nameOf(base))
  const index = Buffer.alloc(MIBS_PER_SEGMENT * 16)
  const timeIndex = Buffer.alloc(MIBS_PER_SEGMENT * 12)
  const fd = openSync(`${stem}.log`, 'w')
  for (let i = 0; i < MIBS_PER_SEGMENT; i++) {
    const offset = i * OFFSETS_PER_MIB
    const timestamp = timestampOf(firstMib + i)
    bytes.writeBigInt64BE(base + BigInt(offset), 0)
    bytes.writeInt32BE(0, 12)
    bytes.writeBigInt64BE(timestamp, 27)
    bytes.writeBigInt64BE(timestamp, 35)
    bytes.writeUInt32BE(crc32c(bytes.subarray(21, batchBytes)), 17)
    bytes.writeBigInt64BE(base + BigInt(offset + RECORDS_PER_BATCH), batchBytes)
    bytes.writeInt32BE(0, batchBytes + 12)
    bytes.writeBigInt64BE(timestamp, batchBytes + 27)
    bytes.writeBigInt64BE(timestamp, batchBytes + 35)
    writeSync(fd, bytes, 0, bytes.length, i * MIB)
    index.writeInt32BE(offset + RECORDS_PER_BATCH - 1, i * 16)
    index.writeInt32BE(i * MIB, i * 16 + 4)
    index.writeInt32BE(offset + OFFSETS_PER_MIB - 1, i * 16 + 8)
    index.writeInt32BE(i * MIB + batchBytes, i * 16 + 12)
    timeIndex.writeBigInt64BE(timestamp, i * 12)
    timeIndex.writeInt32BE(offset + RECORDS_PER_BATCH - 1, i * 12 + 8)
  }
  closeSync(fd)
  truncateSync(`${stem}.log`, MIBS_PER_SEGMENT * MIB)
  writeFileSync(`${stem}.index`, index)
  writeFileSync(`${stem}.timeindex`, timeIndex)
}

/** Where to look in a partition of {@link makeSparse}: timestamps, or offsets within real batches, anywhere in it; always the same. */
export function randomTargets(
  what: 'timestamp' | 'offset',
  options: { readonly segments: number; readonly count: number },
): string[] {
  const { segments, count } = options
  let state = 42
  const random = (): number =>
    (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
  return Array.from({ length: count }, () => {
    const mib = Math.floor(random() * segments * MIBS_PER_SEGMENT)
    if (what === 'timestamp') return timestampOf(mib).toString()
    return (mib * OFFSETS_PER_MIB + Math.floor(random() * RECORDS_PER_BATCH)).toString()
  })
}

/** Room on the disk that the data needs at most, runs included. */
export function roomNeeded(bytes: number, bigBytes: number): number {
  return bytes * 3 + bigBytes * 2 + 4 * GIB
}
