import { afterEach, expect, it } from 'vitest'
import { readGroupRecord, writeGroupRecord } from '../../../src/protocol/coordinator-record.ts'
import { Log } from '../../../src/storage/index.ts'
import {
  committedOffset,
  groupRecord,
  groupTombstone,
  loadGroup,
  offsetRecord,
  offsetTombstone,
} from '../../../src/server/groups/group-records.ts'
import { GroupLog, OFFSETS_TOPIC } from '../../../src/server/groups/group-log.ts'
import type { CoordinatorRecord } from '../../../src/protocol/coordinator-record.ts'
import { copyFixture } from '../../support/fixtures.ts'
import { GroupHarness } from '../../support/group-harness.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { emptyImage, withTopic } from '../../../src/server/metadata/apply-change.ts'
import { randomUuid } from '../../../src/storage/index.ts'

const MAGIC_POSITION = 16

const opened: { close(): void }[] = []
afterEach(() => {
  for (const each of opened.splice(0)) each.close()
})

function fixture(): Log {
  const log = Log.open(copyFixture('broker-4.1.0/__consumer_offsets-0'), { readOnly: true })
  opened.push(log)
  return log
}

/** As the coordinator itself makes the record that stands there. */
function made(raw: CoordinatorRecord, clock: ManualClock): CoordinatorRecord {
  const record = readGroupRecord(raw)
  switch (record?.type) {
    case 'OffsetCommit':
      return record.value === null
        ? offsetTombstone(record.key)
        : offsetRecord(record.key, committedOffset(record.value, 0n))
    case 'GroupMetadata': {
      const { group } = record.key
      if (record.value === null) return groupTombstone(group)
      const loaded = loadGroup(group, record.value, clock)
      const assignments = Array.from(
        loaded.members.values(),
        (member) => [member.memberId, member.assignment] as const,
      )
      return groupRecord(loaded, new Map(assignments))
    }
    default:
      return { key: Buffer.from(raw.key), value: raw.value && Buffer.from(raw.value) }
  }
}

it('every record of a real broker is read, and written back byte for byte', () => {
  let count = 0
  for (const batch of fixture().batches()) {
    if (batch.isControl) continue
    for (const { key, value } of batch.records()) {
      if (key === null) throw new Error('a record without a key')
      const record = readGroupRecord({ key, value })
      if (record === undefined) throw new Error('a record that is not known')
      const written = writeGroupRecord(record, value?.readInt16BE(0) ?? 0)
      expect(written.key.equals(key)).toBe(true)
      expect(written.value?.toString('hex')).toBe(value?.toString('hex'))
      count++
    }
  }
  expect(count).toBe(25)
})

it('what the coordinator appends is what a real broker appended, byte for byte', () => {
  const clock = new ManualClock()
  const harness = new GroupHarness({ clock, config: { 'offsets.topic.num.partitions': '3' } })
  opened.push(harness)
  const image = withTopic(emptyImage(randomUuid(), 1), {
    name: OFFSETS_TOPIC,
    topicId: randomUuid(),
    partitions: [{ leaderEpoch: 0, partitionEpoch: 0 }],
  })
  const groupLog = new GroupLog({
    replicas: harness.replicas,
    image: () => image,
    clock,
    readOnly: false,
  })
  const theirs: string[] = []
  for (const batch of fixture().batches()) {
    if (batch.isControl || batch.isTransactional) continue
    clock.set(Number(batch.maxTimestamp))
    const records = Array.from(batch.records(), ({ key, value }) =>
      made({ key: key ?? Buffer.alloc(0), value }, clock),
    )
    expect(groupLog.append(0, records)).toMatchObject({ baseOffset: expect.any(BigInt) as bigint })
    theirs.push(batch.buffer.subarray(MAGIC_POSITION).toString('hex'))
  }
  const ours = harness.batches().map(({ bytes }) => bytes.subarray(MAGIC_POSITION).toString('hex'))
  expect(ours).toEqual(theirs)
  expect(ours.length).toBe(9)
})
