import {
  appendFileSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../src/bytes/checksum.ts'
import { parseJsonExact } from '../../src/cli/json.ts'
import Dump from '../../src/commands/dump.ts'
import { expectedBatches, type ExpectedBatch } from '../support/expected.ts'
import { copyFixture, DAMAGES, FIXTURES } from '../support/fixtures.ts'
import { runCommand, unwrapped, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const run = (...argv: string[]): Promise<CommandRun> => runCommand(Dump, argv)
const fixture = (path: string): string => join(FIXTURES, path)
const LOG = '00000000000000000000.log'

function damaged(name: string): string {
  const found = DAMAGES.find((damage) => damage.name === name)
  if (found === undefined) throw new Error(`no such damage: ${name}`)
  return found.before
}

function linesOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJsonExact(line) as Record<string, unknown>)
}

const big = (value: unknown): bigint => BigInt(value as number | bigint)

describe('ndjson', () => {
  /** What fixtures/expected has of a batch, from our line. */
  function asExpected(line: Record<string, unknown>): ExpectedBatch {
    const v2 = line['magic'] === 2
    const records = line['records'] as Record<string, unknown>[]
    return {
      segment: line['segment'] as string,
      baseOffset: big(line['baseOffset']),
      lastOffset: big(line['lastOffset']),
      magic: line['magic'] as number,
      sizeInBytes: line['sizeInBytes'] as number,
      compression: line['compression'] as string,
      timestampType: line['timestampType'] as string,
      maxTimestamp: big(line['maxTimestamp']),
      crc: line['crc'] as number,
      valid: line['valid'] as boolean,
      v2: v2
        ? {
            partitionLeaderEpoch: line['partitionLeaderEpoch'] as number,
            producerId: big(line['producerId']),
            producerEpoch: line['producerEpoch'] as number,
            baseSequence: line['baseSequence'] as number,
            isTransactional: line['isTransactional'] as boolean,
            isControl: line['isControl'] as boolean,
            count: line['count'] as number,
            deleteHorizonMs:
              line['deleteHorizonMs'] === undefined ? undefined : big(line['deleteHorizonMs']),
          }
        : undefined,
      records: records.map((record) => ({
        offset: big(record['offset']),
        timestamp: big(record['timestamp']),
        key: record['key'] as string | null,
        value: record['value'] as string | null,
        headers: record['headers'] as [string, string | null][],
      })),
    }
  }

  it.each([
    'broker-4.1.0/orders-zstd-0',
    'broker-4.1.0/payments-0',
    'broker-4.1.0/compacted-0',
    'broker-4.1.0/__cluster_metadata-0',
    'legacy/v0-gzip-0',
    'legacy/v1-lz4-0',
  ])('has what Kafka reads in %s', async (path) => {
    const logs = readdirSync(fixture(path)).filter((name) => name.endsWith('.log'))
    const files = logs.map((name) => fixture(`${path}/${name}`))
    const flags = ['--format', 'ndjson', '--deep-iteration', '--encoding', 'base64']
    const { stdout, stderr, exitStatus } = await run(...files, ...flags)
    expect(linesOf(stdout).map(asExpected)).toEqual(expectedBatches(path))
    expect({ stderr, exitStatus }).toEqual({ stderr: '', exitStatus: 0 })
  })

  it('names all fields of a batch, and where it stands', async () => {
    const { stdout } = await run(fixture(`broker-4.1.0/payments-0/${LOG}`), '--format', 'ndjson')
    expect(stdout.split('\n')[1]).toMatchInlineSnapshot(
      `"{"segment":"00000000000000000000.log","position":409,"baseOffset":4,"lastOffset":7,"count":4,"baseSequence":0,"lastSequence":3,"producerId":10,"producerEpoch":0,"partitionLeaderEpoch":0,"isTransactional":true,"isControl":false,"timestampType":"CreateTime","maxTimestamp":1767225600003,"sizeInBytes":498,"magic":2,"compression":"none","crc":1041399421,"valid":true}"`,
    )
    let position = 0
    for (const line of linesOf(stdout)) {
      expect(line['position']).toBe(position)
      position += line['sizeInBytes'] as number
    }
  })

  it('prints the entries of every other file', async () => {
    const { stdout, exitStatus } = await run(
      fixture('crash/ledger-0/00000000000000000160.index'),
      fixture('crash/ledger-0/00000000000000000160.timeindex'),
      fixture('crash/ledger-0/00000000000000000160.txnindex'),
      fixture('crash/ledger-0/00000000000000000160.snapshot'),
      fixture('crash/ledger-0/leader-epoch-checkpoint'),
      fixture('broker-4.1.0/keyed-0/partition.metadata'),
      fixture('broker-4.1.0/log-start-offset-checkpoint'),
      '--format',
      'ndjson',
    )
    const seen = new Map<string, string>()
    for (const line of stdout.replaceAll(FIXTURES, '').trimEnd().split('\n')) {
      const file = /"file":"([^"]+)"/.exec(line)?.[1] ?? ''
      if (!seen.has(file)) seen.set(file, line)
    }
    expect([...seen.values()]).toMatchInlineSnapshot(`
      [
        "{"file":"/crash/ledger-0/00000000000000000160.index","offset":174,"position":677}",
        "{"file":"/crash/ledger-0/00000000000000000160.timeindex","timestamp":1767225632004,"offset":174}",
        "{"file":"/crash/ledger-0/00000000000000000160.txnindex","version":0,"producerId":2,"firstOffset":160,"lastOffset":191,"lastStableOffset":192}",
        "{"file":"/crash/ledger-0/00000000000000000160.snapshot","producerId":1,"producerEpoch":0,"coordinatorEpoch":3,"lastSequence":99,"lastOffset":157,"offsetDelta":4,"lastTimestamp":1767225629900,"currentTxnFirstOffset":null}",
        "{"file":"/crash/ledger-0/leader-epoch-checkpoint","epoch":0,"startOffset":0}",
        "{"file":"/broker-4.1.0/keyed-0/partition.metadata","version":0,"topicId":"nzjiVDyxRK6mG-wvtHarXQ"}",
        "{"file":"/broker-4.1.0/log-start-offset-checkpoint","topic":"trimmed","partition":0,"offset":137}",
      ]
    `)
    expect(exitStatus).toBe(0)
  })
})

describe('text', () => {
  it('shows batches and records within 80 columns', async () => {
    const file = fixture('crash/ledger-0/00000000000000000318.log')
    const { stdout, exitStatus } = await run(file, '--print-data-log', '--max-bytes', '491')
    expect(stdout.replace(FIXTURES, 'fixtures').split('\n').slice(0, 10).join('\n'))
      .toMatchInlineSnapshot(`
      "fixtures/crash/ledger-0/00000000000000000318.log: log from offset 318

       POSITION    BYTES  OFFSETS            RECORDS  CODEC   MAX TIMESTAMP
              0      491  318..322                 5  none    2026-01-01T00:01:00.004Z
                          v2  epoch 2  producer 1/0  seq 200..204  transactional
          offset 318  2026-01-01T00:01:00.000Z  key 5 B  value 71 B
            key     key-6
            value   value 60/0 qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq
          offset 319  2026-01-01T00:01:00.001Z  key 5 B  value 71 B
            key     key-7"
    `)
    expect(exitStatus).toBe(0)
  })

  it('keeps control characters of a record from the terminal', async () => {
    const path = join(temporaryFolder(), LOG)
    const bytes = readFileSync(fixture(`legacy/v0-none-0/${LOG}`)).subarray(0, 83)
    bytes.write('\u001b[2J', 40)
    bytes.writeUInt32BE(crc32(bytes.subarray(16)), 12)
    writeFileSync(path, bytes)
    const { stdout } = await run(path, '--print-data-log')
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toContain('\\u{1b}[2J')
  })

  it('says how much of an index was preallocated', async () => {
    const { stdout, exitStatus } = await run(fixture('crash/ledger-0/00000000000000000318.index'))
    expect(stdout).toContain('nothing in it\n  128 preallocated slots not in use\n')
    expect(exitStatus).toBe(0)
  })

  it('dumps all files of a folder, and of the partitions in a data root', async () => {
    const folder = await run(fixture('crash/ledger-0'))
    expect(folder.stdout.match(/^\S+: /gm)).toHaveLength(14)
    const root = await run(fixture('crash'))
    expect(root.stdout).toBe(folder.stdout)
  })
})

describe('damage', () => {
  const middle = join(damaged('flip-mid-segment'), '00000000000000000160.log')

  it('ends the dump behind what stands before it', async () => {
    const { stdout, stderr, exitStatus } = await run(middle, '--format', 'ndjson')
    const lines = linesOf(stdout)
    expect(lines.at(-1)).toMatchObject({ lastOffset: 174, valid: true })
    expect(stderr).toContain('crc differs')
    expect(unwrapped(stderr)).toContain('byte 846, offset 175')
    expect(exitStatus).toBe(3)
  })

  it('is passed over with --skip-damaged, and shown as such', async () => {
    const sound = await run(
      fixture('crash/ledger-0/00000000000000000160.log'),
      '--format',
      'ndjson',
    )
    const flags = ['--format', 'ndjson', '--skip-damaged', '--deep-iteration']
    const { stdout, exitStatus } = await run(middle, ...flags)
    const lines = linesOf(stdout)
    expect(lines.map((line) => line['position'])).toEqual(
      linesOf(sound.stdout).map((line) => line['position']),
    )
    const wrong = lines.filter((line) => line['valid'] === false)
    expect(wrong.map((line) => line['position'])).toEqual([846])
    expect(wrong[0]).not.toHaveProperty('records')
    expect(exitStatus).toBe(3)
  })

  it('shows in the kafka format as in Kafka, which goes on', async () => {
    const { stdout, stderr, exitStatus } = await run(middle, '--format', 'kafka')
    expect(stdout.match(/isvalid: false/g)).toHaveLength(1)
    expect(stdout.split('isvalid: false')[1]?.match(/isvalid: true/g)?.length).toBeGreaterThan(5)
    expect(stderr).toContain('crc differs')
    expect(exitStatus).toBe(3)
  })

  it('finds the next batch behind a size that is none', async () => {
    const path = join(temporaryFolder(), LOG)
    const bytes = readFileSync(fixture(`broker-4.1.0/orders-none-0/${LOG}`))
    bytes.writeInt32BE(7, 3627 + 8)
    writeFileSync(path, bytes)
    const stopped = await run(path, '--format', 'ndjson')
    expect(linesOf(stopped.stdout)).toHaveLength(1)
    expect(stopped.exitStatus).toBe(3)
    const { stdout, stderr, exitStatus } = await run(path, '--format', 'ndjson', '--skip-damaged')
    expect(
      linesOf(stdout)
        .slice(0, 2)
        .map((line) => line['position']),
    ).toEqual([0, 7242])
    expect(stderr).toContain('size field 7')
    expect(exitStatus).toBe(3)
  })

  it('finds it behind a size that reaches beyond the end, too', async () => {
    const path = join(temporaryFolder(), LOG)
    const bytes = readFileSync(fixture(`broker-4.1.0/orders-none-0/${LOG}`))
    bytes.writeInt32BE(0x7fffff00, 3627 + 8)
    writeFileSync(path, bytes)
    const { stdout, stderr, exitStatus } = await run(path, '--format', 'ndjson', '--skip-damaged')
    expect(
      linesOf(stdout)
        .slice(0, 2)
        .map((line) => line['position']),
    ).toEqual([0, 7242])
    expect(stderr).toContain('3615 bytes are not a batch')
    expect(exitStatus).toBe(3)
  })

  it('is a torn tail, unless a living writer has the folder', async () => {
    const copy = copyFixture('crash/ledger-0')
    const log = join(copy, '00000000000000000318.log')
    appendFileSync(log, Buffer.alloc(30, 1))
    const torn = await run(log, '--format', 'kafka')
    expect(torn.stdout).toContain('Found 30 invalid bytes at the end of 00000000000000000318.log\n')
    expect(torn.stderr).toContain('the last 30 bytes are not a complete batch')
    expect(torn.exitStatus).toBe(3)
    const cut = await run(log, '--format', 'kafka', '--max-bytes', '500')
    expect(cut.stdout).not.toContain('invalid bytes')
    expect(cut.exitStatus).toBe(0)
    writeFileSync(
      join(copy, '.lock'),
      JSON.stringify({ pid: process.pid, host: 'x', startTime: '' }),
    )
    expect(await run(log, '--format', 'ndjson')).toMatchObject({ stderr: '', exitStatus: 0 })
    writeFileSync(join(copy, '.lock'), '')
    expect((await run(log, '--format', 'ndjson')).exitStatus).toBe(3)
  })

  it.each([
    ['zero-tail', '00000000000000000318.log', 'the last 700 bytes are zeros'],
    ['bad-snapshot', '00000000000000000160.snapshot', 'crc differs'],
    ['index-not-multiple', '00000000000000000160.index', '3 bytes behind the last entry'],
    ['txnindex-garbage', '00000000000000000160.txnindex', '9 bytes behind the last entry'],
  ])('of kind %s is told in every format', async (name, file, message) => {
    for (const format of ['text', 'kafka', 'ndjson']) {
      const { stderr, exitStatus } = await run(join(damaged(name), file), '--format', format)
      expect(stderr).toContain(message)
      expect(exitStatus).toBe(3)
    }
  })

  it('of an index that its log contradicts is told in the kafka format', async () => {
    const copy = copyFixture('broker-4.1.0/orders-none-0')
    const index = join(copy, '00000000000000000000.index')
    const bytes = readFileSync(index)
    bytes.writeInt32BE(50, 0)
    writeFileSync(index, bytes)
    const { stdout, stderr, exitStatus } = await run(index, '--format', 'kafka')
    expect(stdout).toContain('\noffset: 50 position: 3627\n')
    expect(stderr).toContain('entry 0: offset 50 at byte 3627')
    expect(exitStatus).toBe(3)
  })
})

describe('files', () => {
  it('left behind by compaction or deletion are read by their kind', async () => {
    const folder = temporaryFolder()
    const plain = fixture(`broker-4.1.0/keyed-0/${LOG}`)
    const expected = await run(plain, '--format', 'kafka')
    for (const suffix of ['.deleted', '.cleaned', '.swap']) {
      copyFileSync(plain, join(folder, LOG + suffix))
      const { stdout } = await run(join(folder, LOG + suffix), '--format', 'kafka')
      expect(stdout.split('\n').slice(1)).toEqual(expected.stdout.split('\n').slice(1))
    }
  })

  it('of KRaft begin with what the snapshot covers', async () => {
    const bootstrap = fixture('broker-4.1.0/bootstrap.checkpoint')
    const { stdout, exitStatus } = await run(bootstrap, '--format', 'kafka', '--deep-iteration')
    expect(stdout).toContain('\nKRaft bootstrap snapshot\nbaseOffset: 0 ')
    expect(stdout).toContain(' SnapshotHeader {"version":0,"lastContainedLogTimestamp":')
    expect(stdout).toContain(' SnapshotFooter {"version":0}\n')
    expect(exitStatus).toBe(0)
    const numbered = join(temporaryFolder(), '00000000000000000042-0000000007.checkpoint')
    copyFileSync(bootstrap, numbered)
    const named = await run(numbered, '--format', 'kafka')
    expect(named.stdout).toContain('\nSnapshot end offset: 42, epoch: 7\n')
  })

  it('of other kinds are refused, the rest still printed', async () => {
    const { stdout, stderr, exitStatus } = await run(
      fixture('broker-4.1.0/meta.properties'),
      fixture('crash/ledger-0/leader-epoch-checkpoint'),
    )
    expect(unwrapped(stderr)).toContain('meta.properties is no file that can be dumped')
    expect(stdout).toContain('START OFFSET')
    expect(exitStatus).toBe(2)
    expect((await run(fixture('nowhere.log'))).exitStatus).toBe(1)
  })

  it('are not touched', async () => {
    const copy = copyFixture('crash/ledger-0')
    const before = readdirSync(copy).map((name) => [name, statSync(join(copy, name)).mtimeMs])
    await run(copy, '--format', 'kafka', '--print-data-log')
    expect(readdirSync(copy).map((name) => [name, statSync(join(copy, name)).mtimeMs])).toEqual(
      before,
    )
  })
})
