import type { CoordinatorRecord } from '../../protocol/coordinator-record.ts'
import { writeGroupRecord } from '../../protocol/coordinator-record.ts'
import type { GroupMetadataValue } from '../../protocol/messages/group-metadata-value.ts'
import type { LegacyOffsetCommitValue } from '../../protocol/messages/legacy-offset-commit-value.ts'
import type { OffsetCommitValue } from '../../protocol/messages/offset-commit-value.ts'
import { ZERO_UUID } from '../../protocol/protocol-reader.ts'
import { ClassicGroup } from './classic-group.ts'
import { NO_ASSIGNMENT } from './group-answers.ts'
import type { GroupClock } from './group-clock.ts'
import { GroupMember } from './group-member.ts'
import type { GroupAssignments } from './group-membership.ts'
import type { CommittedOffset, OffsetKey } from './offset-store.ts'

/**
 * Records of groups as Kafka 4.1 writes them: offsets in version 4, or 1 where the client chose when they expire; groups
 * in version 3.
 *
 * Kafka: coordinator/group/GroupCoordinatorRecordHelpers.java
 */
const OFFSET_VERSION = 4
const OFFSET_VERSION_WITH_EXPIRY = 1
const GROUP_VERSION = 3

export function offsetRecord(key: OffsetKey, committed: CommittedOffset): CoordinatorRecord {
  const hasExpiry = committed.expireTimestamp !== -1n
  const { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId } = committed
  return writeGroupRecord(
    {
      type: 'OffsetCommit',
      key,
      value: { offset, leaderEpoch, metadata, commitTimestamp, expireTimestamp, topicId },
    },
    hasExpiry ? OFFSET_VERSION_WITH_EXPIRY : OFFSET_VERSION,
  )
}

export function offsetTombstone(key: OffsetKey): CoordinatorRecord {
  return writeGroupRecord({ type: 'OffsetCommit', key, value: null }, OFFSET_VERSION)
}

/** What a record says; the first version of them (type 0) says less. */
export function committedOffset(
  value: OffsetCommitValue | LegacyOffsetCommitValue,
  recordOffset: bigint,
): CommittedOffset {
  return { leaderEpoch: -1, expireTimestamp: -1n, topicId: ZERO_UUID, ...value, recordOffset }
}

export function groupRecord(group: ClassicGroup, assignments: GroupAssignments): CoordinatorRecord {
  const members = Array.from(group.members.values(), (member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeout: member.rebalanceTimeoutMs,
    sessionTimeout: member.sessionTimeoutMs,
    subscription: member.metadata(group.protocolName),
    assignment: assignments.get(member.memberId) ?? NO_ASSIGNMENT,
  }))
  return writeGroupRecord(
    {
      type: 'GroupMetadata',
      key: { group: group.groupId },
      value: {
        protocolType: group.protocolType ?? '',
        generation: group.generation,
        protocol: group.protocolName,
        leader: group.leader,
        currentStateTimestamp: group.stateTimestamp,
        members,
      },
    },
    GROUP_VERSION,
  )
}

export function groupTombstone(group: string): CoordinatorRecord {
  return writeGroupRecord({ type: 'GroupMetadata', key: { group }, value: null }, GROUP_VERSION)
}

/** The group that a record tells of. */
export function loadGroup(
  groupId: string,
  value: GroupMetadataValue,
  clock: GroupClock,
): ClassicGroup {
  const { protocolType, protocol } = value
  const members = value.members.map((member) => {
    const { memberId, groupInstanceId, clientId, clientHost, sessionTimeout } = member
    return new GroupMember(
      { memberId, groupInstanceId, clientId, clientHost },
      {
        clock,
        protocolType,
        // Of the protocols that a member had, the record keeps the chosen one.
        protocols: [{ name: protocol ?? '', metadata: Buffer.from(member.subscription) }],
        rebalanceTimeoutMs:
          member.rebalanceTimeout === -1 ? sessionTimeout : member.rebalanceTimeout,
        sessionTimeoutMs: sessionTimeout,
        assignment: Buffer.from(member.assignment),
      },
    )
  })
  return ClassicGroup.load(
    groupId,
    clock,
    {
      generation: value.generation,
      protocolType: protocolType === '' ? null : protocolType,
      protocolName: protocol,
      leader: value.leader,
      stateTimestamp: value.currentStateTimestamp,
    },
    members,
  )
}
