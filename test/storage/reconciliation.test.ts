import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log } from '../../src/storage/index.ts'
import { divergingEpoch, followerTruncation } from '../../src/storage/replica-reconciliation.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NOW = 1767225600000n

function open(name: string, root: string): Log {
  return Log.open(join(root, name, 'orders-0'), { now: () => NOW, highWatermark: 'manual' })
}

function produce(leader: Log, leaderEpoch: number, ...values: string[]): void {
  for (const value of values) {
    const builder = new BatchBuilder()
    builder.append(NOW, { key: null, value: Buffer.from(value) })
    leader.appendAsLeader(builder.build() ?? Buffer.alloc(0), { leaderEpoch })
  }
}

/** One fetch of a follower: false where there was nothing new. */
function fetchOnce(follower: Log, leader: Log, leaderEpoch: number): boolean {
  const lastFetchedEpoch = follower.leaderEpochs.latestEpoch
  if (lastFetchedEpoch !== undefined) {
    const diverging = divergingEpoch(leader, {
      lastFetchedEpoch,
      fetchOffset: follower.logEndOffset,
    })
    if (diverging !== undefined) {
      const { offset } = followerTruncation(follower, diverging)
      follower.truncateTo(offset)
      return true
    }
  }
  const { slice } = leader.read(follower.logEndOffset)
  if (slice === undefined || slice.length === 0) return false
  const bytes = Buffer.alloc(slice.length)
  slice.file.read(bytes, 0, slice.length, slice.position)
  follower.appendAsFollower(bytes, { leaderEpoch })
  return true
}

function catchUp(follower: Log, leader: Log, leaderEpoch: number): void {
  while (fetchOnce(follower, leader, leaderEpoch));
}

function values(log: Log): string[] {
  return [...log.batches()].flatMap((batch) =>
    [...batch.records()].map(({ value }) => value?.toString() ?? ''),
  )
}

function contents(log: Log): Record<string, string> {
  return Object.fromEntries(
    readdirSync(log.dir).map((name) => [name, readFileSync(join(log.dir, name)).toString('hex')]),
  )
}

test('a leader that failed with uncommitted records gives them up and catches up: three folders alike', () => {
  const root = temporaryFolder()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => open(name, root)) as [Log, Log, Log]

  produce(a, 0, 'one', 'two', 'three')
  catchUp(b, a, 0)
  catchUp(c, a, 0)
  for (const log of [a, b, c]) log.updateHighWatermark(3n)
  produce(a, 0, 'four') // reaches c, not b
  catchUp(c, a, 0)
  produce(a, 0, 'lost five', 'lost six') // reaches nobody, then a fails

  // b is elected: its log decides. "four" was never acknowledged, so it may go.
  b.assignEpochStartOffset(1, b.logEndOffset)
  produce(b, 1, 'four of b', 'five of b')

  catchUp(c, b, 1)
  expect(values(c)).toEqual(['one', 'two', 'three', 'four of b', 'five of b'])

  // a comes back and asks where its epoch 0 ended
  expect(b.endOffsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 3n })
  catchUp(a, b, 1)
  expect(a.logEndOffset).toBe(5n)
  expect(a.leaderEpochs.entries).toEqual([
    { epoch: 0, startOffset: 0n },
    { epoch: 1, startOffset: 3n },
  ])

  for (const log of [a, b, c]) {
    log.updateHighWatermark(5n)
    log.close()
    // truncating left a snapshot at 3, as in Kafka; the next start removes it, for no segment begins there
    Log.open(log.dir, { now: () => NOW }).close()
  }
  expect(contents(a)).toEqual(contents(b))
  expect(contents(c)).toEqual(contents(b))
})

test('a follower that knows epochs the leader never had goes back step by step', () => {
  const root = temporaryFolder()
  const [leader, follower] = [open('leader', root), open('follower', root)]
  produce(leader, 1, 'a', 'b')
  catchUp(follower, leader, 1)
  produce(leader, 5, 'c', 'd')
  produce(follower, 2, 'x')
  produce(follower, 3, 'y')

  // epoch 3 is unknown to the leader: it answers with the greatest epoch below
  expect(divergingEpoch(leader, { lastFetchedEpoch: 3, fetchOffset: 4n })).toEqual({
    epoch: 1,
    endOffset: 2n,
  })
  expect(followerTruncation(follower, { epoch: 1, endOffset: 2n })).toEqual({
    offset: 2n,
    isFinal: true,
  })
  expect(followerTruncation(follower, { epoch: -1, endOffset: -1n })).toEqual({
    offset: follower.highWatermark,
    isFinal: true,
  })
  expect(followerTruncation(follower, { epoch: -1, endOffset: 3n }).offset).toBe(3n)
  // an epoch that the follower has not: the end of its greatest one below, and it must ask again
  produce(follower, 9, 'z')
  expect(followerTruncation(follower, { epoch: 8, endOffset: 5n })).toEqual({
    offset: 4n,
    isFinal: false,
  })
  follower.truncateTo(2n)
  catchUp(follower, leader, 5)
  expect(values(follower)).toEqual(['a', 'b', 'c', 'd'])
  leader.close()
  follower.close()
})
