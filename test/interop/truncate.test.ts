import fc from 'fast-check'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OffsetOutOfRangeError } from '../../src/errors.ts'
import { truncatePartition, type TruncateGoal } from '../../src/inspect/mend-truncate.ts'
import type { MendResult } from '../../src/inspect/mend-result.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { partitionFixture, PARTITIONS, RECOVERY_NOW } from '../support/fixtures.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { int64, KafkaOracle } from '../support/oracle.ts'

/** RUNS=300 for a campaign; SEED repeats one. */
const runs = Number(process.env['RUNS'] ?? 60)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

let oracle: KafkaOracle
beforeAll(async () => {
  oracle = await KafkaOracle.start()
})
afterAll(() => oracle.close())

const paths = PARTITIONS.map(({ path }) => path).filter(
  (path) => !path.startsWith('crash/') && !path.includes('cluster_metadata'),
)

const fraction = fc.nat(99_999).map((n) => n / 100_000)

const input = fc.record({
  path: fc.constantFrom(...paths, ...Array<string>(6).fill('broker-4.1.0/payments-0')),
  kind: fc.constantFrom<TruncateGoal['kind']>(
    'to-offset',
    'to-offset',
    'to-epoch',
    'before-offset',
  ),
  at: fraction.map((f) => f * 1.05),
  epoch: fc.nat(6),
})

function configOf(path: string): Record<string, string> {
  const { 'segment.bytes': segmentBytes, ...config } = partitionFixture(path).config
  return {
    ...config,
    ...(segmentBytes !== undefined && { 'internal.segment.bytes': segmentBytes }),
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
  }
}

let cut = 0

async function compare(
  root: string,
  { path, kind, at, epoch }: typeof input extends fc.Arbitrary<infer T> ? T : never,
): Promise<void> {
  const name = basename(path)
  const ours = join(root, 'kafkats', name)
  const theirs = join(root, 'kafka', name)
  cpSync(partitionFixture(path).folder, ours, { recursive: true, preserveTimestamps: true })
  cpSync(ours, theirs, { recursive: true, preserveTimestamps: true })
  const before = folderBytes(ours)
  const config = configOf(path)
  const opened = await oracle.ask({
    cmd: 'open',
    dir: theirs,
    config,
    cleanShutdown: true,
    now: RECOVERY_NOW,
  })
  const end = int64(opened['logEndOffset'])
  let offset = BigInt(Math.floor(at * Number(end)))
  const goal: TruncateGoal = kind === 'to-epoch' ? { kind, epoch } : { kind, offset }
  let isKnown = true
  if (kind === 'to-epoch') {
    const answer = await oracle.ask({ cmd: 'endOffsetForEpoch', epoch })
    isKnown = answer['endOffset'] !== undefined && int64(answer['endOffset']) >= 0n
    if (isKnown) offset = int64(answer['endOffset'])
  }
  if (kind === 'before-offset') {
    const segments = opened['segments'] as readonly { readonly baseOffset: number }[]
    const base = segments.findLast(({ baseOffset }) => BigInt(baseOffset) <= offset)?.baseOffset
    await oracle.ask({ cmd: 'setHighWatermark', offset: end })
    if (offset <= end) {
      await oracle.ask({ cmd: 'deleteRecordsBefore', offset: base ?? 0 })
      await oracle.ask({ cmd: 'deleteOldSegments' })
    } else isKnown = false
  } else if (isKnown) {
    await oracle.ask({ cmd: 'truncateTo', offset })
  }
  await oracle.ask({ cmd: 'close' })
  const truncate = (dryRun: boolean): MendResult | undefined => {
    try {
      return truncatePartition({ dir: ours, shown: ours }, goal, {
        fs: diskFileSystem,
        config,
        now: RECOVERY_NOW,
        dryRun,
        backup: true,
        brokerIsStopped: false,
      })
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError)) throw error
      return undefined
    }
  }
  const foretold = truncate(true)
  expect(folderBytes(ours), 'a dry run touches nothing').toEqual(before)
  const done = truncate(false)
  expect(done !== undefined).toBe(isKnown)
  if (done === undefined) {
    expect(folderBytes(ours), 'a refusal changes nothing').toEqual(before)
    return
  }
  expect(folderBytes(ours)).toEqual(folderBytes(theirs))
  expect({ ...foretold, dryRun: 0, backup: 0 }).toEqual({ ...done, dryRun: 0, backup: 0 })
  if (done.bytesRemoved > 0) {
    cut++
    expect(done.backup).not.toBeNull()
  }
  if (done.backup !== null) expect(restored(ours, done.backup)).toEqual(before)
}

test(
  `truncation leaves what Kafka leaves, ${runs} runs`,
  async () => {
    await fc.assert(
      fc.asyncProperty(input, async (each) => {
        const root = mkdtempSync(join(tmpdir(), 'kafkats-truncate-'))
        try {
          await compare(root, each)
        } finally {
          rmSync(root, { recursive: true, force: true })
        }
      }),
      { numRuns: runs, seed, endOnFailure: process.env['SHRINK'] === undefined },
    )
    console.log(`truncate: ${runs} runs, SEED=${seed}, ${cut} of them cut the log`)
    expect(cut).toBeGreaterThan(runs / 4)
  },
  30 * 60_000,
)
