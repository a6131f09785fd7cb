import { CorruptCheckpointError } from '../../errors.ts'
import { replaceFile, ZERO_UUID, type FileSystem } from '../../storage/index.ts'

/**
 * `quorum-state` of the metadata log, one line of JSON without an end: who leads in which epoch. Version 0 belongs to a
 * cluster whose voters stand in its settings, version 1 to one whose voters stand in the log (kraft.version 1).
 *
 *   0  {"clusterId":"","leaderId":1,"leaderEpoch":3,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}
 *   1  {"leaderId":1,"leaderEpoch":3,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}
 *
 * Kafka: raft/FileQuorumStateStore.java, QuorumStateData.json
 */
export interface QuorumState {
  readonly version: 0 | 1
  /** −1 where none is known. */
  readonly leaderId: number
  readonly leaderEpoch: number
  /** Ids; empty in version 1. */
  readonly voters: readonly number[]
}

export const QUORUM_STATE_NAME = 'quorum-state'
const MAX_QUORUM_STATE_BYTES = 1024 * 1024
const MAX_EPOCH = 0x7fffffff

/** @throws CorruptCheckpointError for anything but such a line */
export function readQuorumState(fs: FileSystem, path: string): QuorumState {
  const fail = (message: string): CorruptCheckpointError =>
    new CorruptCheckpointError(`${QUORUM_STATE_NAME}: ${message}`, { file: path })
  const text = fs.readFile(path, MAX_QUORUM_STATE_BYTES).toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CorruptCheckpointError(`${QUORUM_STATE_NAME} is no JSON`, {
      file: path,
      hint: 'restore it from a backup; it says which epoch the metadata log had reached',
      cause: error,
    })
  }
  if (typeof value !== 'object' || value === null) throw fail('an object is needed')
  const fields = value as Record<string, unknown>
  const integer = (name: string): number => {
    const found = fields[name]
    if (!Number.isInteger(found)) throw fail(`${name} is ${JSON.stringify(found)}, not a number`)
    return found as number
  }
  const version = integer('data_version')
  if (version !== 0 && version !== 1) throw fail(`version ${version} is not known`)
  const leaderEpoch = integer('leaderEpoch')
  if (leaderEpoch < 0 || leaderEpoch >= MAX_EPOCH) throw fail(`leaderEpoch is ${leaderEpoch}`)
  return { version, leaderId: integer('leaderId'), leaderEpoch, voters: votersOf(fields, fail) }
}

function votersOf(fields: Record<string, unknown>, fail: (message: string) => Error): number[] {
  const voters = fields['currentVoters'] ?? []
  if (!Array.isArray(voters)) throw fail('currentVoters is no list')
  return voters.map((voter: unknown) => {
    const id = typeof voter === 'object' && voter !== null && 'voterId' in voter && voter.voterId
    if (typeof id !== 'number' || !Number.isInteger(id)) throw fail('a voter has no voterId')
    return id
  })
}

/** Replaces the file, durably and as a whole. */
export function writeQuorumState(fs: FileSystem, path: string, state: QuorumState): void {
  const { leaderId, leaderEpoch, version } = state
  const fields =
    version === 0
      ? {
          clusterId: '',
          leaderId,
          leaderEpoch,
          votedId: -1,
          appliedOffset: 0,
          currentVoters: state.voters.map((voterId) => ({ voterId })),
          data_version: 0,
        }
      : { leaderId, leaderEpoch, votedId: -1, votedDirectoryId: ZERO_UUID, data_version: 1 }
  replaceFile(fs, path, Buffer.from(JSON.stringify(fields)))
}
