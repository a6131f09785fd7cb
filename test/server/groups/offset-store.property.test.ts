import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readGroupRecord } from '../../../src/protocol/coordinator-record.ts'
import { ZERO_UUID } from '../../../src/protocol/protocol-reader.ts'
import { committedOffset, offsetRecord } from '../../../src/server/groups/group-records.ts'
import { OffsetStore, type OffsetKey } from '../../../src/server/groups/offset-store.ts'

const offsetOf = fc.record({
  offset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  leaderEpoch: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  metadata: fc.string(),
  commitTimestamp: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  expireTimestamp: fc.constant(-1n),
  topicId: fc.constant(ZERO_UUID),
  recordOffset: fc.bigInt({ min: 0n, max: 2n ** 62n }),
})
const keyOf = fc.record({
  group: fc.constantFrom('g', 'h'),
  topic: fc.constantFrom('a', 'b'),
  partition: fc.integer({ min: 0, max: 2 }),
})

it('an offset that is written and read back is the same', () => {
  fc.assert(
    fc.property(keyOf, offsetOf, (key, committed) => {
      const record = readGroupRecord(offsetRecord(key, committed))
      if (record?.type !== 'OffsetCommit' || record.value === null) throw new Error('no offset')
      expect(record.key).toEqual(key)
      expect(committedOffset(record.value, committed.recordOffset)).toEqual(committed)
    }),
  )
})

it('one that expires by itself keeps when, and loses its leader epoch', () => {
  fc.assert(
    fc.property(keyOf, offsetOf, fc.bigInt({ min: 0n, max: 2n ** 62n }), (key, other, expiry) => {
      const committed = { ...other, expireTimestamp: expiry }
      const record = readGroupRecord(offsetRecord(key, committed))
      if (record?.type !== 'OffsetCommit' || record.value === null) throw new Error('no offset')
      expect(committedOffset(record.value, committed.recordOffset)).toEqual({
        ...committed,
        leaderEpoch: -1,
      })
    }),
  )
})

type Step =
  | { readonly kind: 'commit'; readonly key: OffsetKey }
  | { readonly kind: 'remove'; readonly key: OffsetKey }
  | { readonly kind: 'pending'; readonly key: OffsetKey; readonly producerId: bigint }
  | { readonly kind: 'COMMIT'; readonly producerId: bigint }
  | { readonly kind: 'ABORT'; readonly producerId: bigint }

const producer = fc.constantFrom(1n, 2n)
const stepOf: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('commit' as const), key: keyOf }),
  fc.record({ kind: fc.constant('remove' as const), key: keyOf }),
  fc.record({ kind: fc.constant('pending' as const), key: keyOf, producerId: producer }),
  fc.record({ kind: fc.constant('COMMIT' as const), producerId: producer }),
  fc.record({ kind: fc.constant('ABORT' as const), producerId: producer }),
)

/** The same, over a list of all that was ever said. */
class Model {
  readonly committed = new Map<string, number>()
  readonly pending = new Map<string, number>()

  apply(step: Step, at: number): void {
    if (step.kind === 'commit') this.committed.set(textOf(step.key), at)
    else if (step.kind === 'pending') this.pending.set(`${step.producerId}/${textOf(step.key)}`, at)
    else if (step.kind === 'remove') {
      this.committed.delete(textOf(step.key))
      for (const producerId of [1n, 2n]) this.pending.delete(`${producerId}/${textOf(step.key)}`)
    } else {
      for (const [name, offset] of [...this.pending]) {
        if (!name.startsWith(`${step.producerId}/`)) continue
        this.pending.delete(name)
        const key = name.slice(name.indexOf('/') + 1)
        if (step.kind === 'COMMIT' && offset > (this.committed.get(key) ?? -1)) {
          this.committed.set(key, offset)
        }
      }
    }
  }
}

function textOf({ group, topic, partition }: OffsetKey): string {
  return `${group}/${topic}/${partition}`
}

it('plain and transactional commits, their ends and tombstones in any order', () => {
  fc.assert(
    fc.property(fc.array(stepOf, { maxLength: 60 }), (steps) => {
      const store = new OffsetStore()
      const model = new Model()
      for (const [at, step] of steps.entries()) {
        model.apply(step, at)
        const value = {
          offset: BigInt(at),
          leaderEpoch: -1,
          metadata: '',
          commitTimestamp: 0n,
          expireTimestamp: -1n,
          topicId: ZERO_UUID,
          recordOffset: BigInt(at),
        }
        if (step.kind === 'commit') store.commit(step.key, value)
        else if (step.kind === 'remove') store.remove(step.key)
        else if (step.kind === 'pending')
          store.commitInTransaction(step.producerId, step.key, value)
        else store.endTransaction(step.producerId, step.kind)
      }
      const seen = ['g', 'h'].flatMap((group) =>
        store.keysOf(group).map((key) => [textOf(key), store.get(key)?.offset ?? null] as const),
      )
      const pending = new Set([...model.pending.keys()].map((name) => name.slice(2)))
      const expected = new Map<string, bigint | null>([...pending].map((key) => [key, null]))
      for (const [key, at] of model.committed) expected.set(key, BigInt(at))
      expect(new Map(seen)).toEqual(expected)
      expect(seen.length).toBe(expected.size)
      for (const group of ['g', 'h']) {
        expect(store.hasPending(group)).toBe([...pending].some((key) => key.startsWith(group)))
      }
    }),
  )
})
