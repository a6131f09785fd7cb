import { describe, expect, it } from 'vitest'
import { compactPartition } from '../../src/inspect/compact.ts'
import { resolvePath, type PartitionPath } from '../../src/inspect/partition-path.ts'
import { diffReplicas, type ReplicaDiff } from '../../src/inspect/replica-diff.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { Log } from '../../src/storage/log.ts'
import { copyFixture } from '../support/fixtures.ts'

function partitionAt(path: string): PartitionPath {
  const found = resolvePath(path)
  if (found.kind !== 'partition') throw new Error(`${path} is no partition`)
  return found
}

function diff(a: string, b: string): ReplicaDiff {
  const walk = diffReplicas(diskFileSystem, partitionAt(a), partitionAt(b))
  for (;;) {
    const step = walk.next()
    if (step.done === true) return step.value
  }
}

/** The bytes of every batch of a log. */
function batchesOf(dir: string): string[] {
  const log = Log.open(dir, { readOnly: true })
  const batches = Array.from(log.batches(), ({ buffer }) => buffer.toString('hex'))
  log.close()
  return batches
}

describe('a log and what compaction left of it', () => {
  it.each(['broker-4.1.0/orders-none-0', 'broker-4.1.0/payments-0', 'broker-4.1.0/compacted-0'])(
    'part where they do in a comparison of all batches: %s',
    (path) => {
      const [a, b] = [copyFixture(path), copyFixture(path)]
      compactPartition(
        { dir: b, shown: b },
        {
          fs: diskFileSystem,
          config: { 'cleanup.policy': 'compact' },
          now: 1_800_000_000_000n,
          dryRun: false,
          backup: false,
          brokerIsStopped: false,
        },
      )
      const [inA, inB] = [batchesOf(a), batchesOf(b)]
      const setB = new Set(inB)
      const setA = new Set(inA)
      const onlyA = inA.filter((bytes) => !setB.has(bytes))
      const onlyB = inB.filter((bytes) => !setA.has(bytes))
      const result = diff(a, b)
      expect(result.same).toBe(onlyA.length + onlyB.length === 0)
      expect(result.onlyA).toMatchObject({
        batches: onlyA.length,
        bytes: onlyA.reduce((sum, bytes) => sum + bytes.length / 2, 0),
      })
      expect(result.onlyB).toMatchObject({
        batches: onlyB.length,
        bytes: onlyB.reduce((sum, bytes) => sum + bytes.length / 2, 0),
      })
      const back = diff(b, a)
      expect([back.onlyB, back.onlyA]).toEqual([result.onlyA, result.onlyB])
      expect(back.commonOffset).toBe(result.commonOffset)
      expect(back.firstDifference?.offset).toBe(result.firstDifference?.offset)
    },
  )
})
