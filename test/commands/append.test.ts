import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { tryPosixLock } from '../../src/storage/posix-lock.ts'
import { parseJsonExact } from '../../src/cli/json.ts'
import Append from '../../src/commands/append.ts'
import Read from '../../src/commands/read.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { LeaderEpochs } from '../../src/storage/leader-epochs.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { Log } from '../../src/storage/log.ts'
import { readOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { runBin, runCommand, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const SEGMENT = '00000000000000000000.log'
const LZ4 = join(FIXTURES, 'broker-4.1.0/orders-lz4-0')

function newDir(name = 'orders-0'): string {
  return join(temporaryFolder(), 'data', name)
}

function append(
  dir: string,
  argv: readonly string[] = [],
  stdin: string | Uint8Array = '',
): Promise<CommandRun> {
  return runCommand(Append, [dir, '--now', '1000', ...argv], { stdin })
}

async function appendJson(
  dir: string,
  argv: readonly string[] = [],
  stdin: string | Uint8Array = '',
): Promise<Record<string, unknown>> {
  const { stdout } = await append(dir, ['--json', ...argv], stdin)
  return parseJsonExact(stdout) as Record<string, unknown>
}

async function records(dir: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await runCommand(Read, [dir, '--format', 'ndjson', '--control'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseJsonExact(line) as Record<string, unknown>)
}

async function values(dir: string): Promise<unknown[]> {
  return (await records(dir)).map(({ value }) => value)
}

function batch(value: string, options: ConstructorParameters<typeof BatchBuilder>[0] = {}): Buffer {
  const builder = new BatchBuilder(options)
  builder.append(1000n, { key: null, value: Buffer.from(value) })
  return builder.build() ?? Buffer.alloc(0)
}

describe('lines', () => {
  test('become values; the last needs no newline, an empty one counts, and \\r stays', async () => {
    const dir = newDir()
    const run = await append(dir, [], 'one\n\nthree\r\nfour')
    expect(run).toMatchObject({ exitStatus: 0, stderr: '' })
    expect(run.stdout).toBe('4 records in 1 batch (102 B) at offsets 0 to 3, the log ends at 4\n')
    expect(await values(dir)).toEqual(['one', '', 'three\r', 'four'])
    expect(await records(dir)).toMatchObject([
      { timestamp: 1000, key: null, headers: [] },
      {},
      {},
      {},
    ])
  })

  test('with keys, headers, time, an encoding and bytes that are not text', async () => {
    const dir = newDir()
    await append(
      dir,
      [...['-K', '=', '--header', 'a=1', '--header', 'a=', '--header', 'n'], '--timestamp', '77'],
      Buffer.from('6b=ff=\n', 'latin1'),
    )
    await append(dir, ['-K', '=', '--encoding', 'hex'], '6b=ff\nff\n')
    expect(await records(dir)).toMatchObject([
      {
        key: '6b',
        value: 'ff=',
        timestamp: 77,
        headers: [
          ['a', '1'],
          ['a', ''],
          ['n', null],
        ],
      },
      { key: 'k', value: { base64: '/w==' } },
      { key: null, value: { base64: '/w==' } },
    ])
    const wrong = await append(dir, ['--encoding', 'hex'], '00\nxy\n')
    expect(wrong.exitStatus).toBe(1)
    expect(wrong.stderr).toContain('line 2: the value is not hex')
  })

  test('from a file, and not from a folder or nothing', async () => {
    const path = join(temporaryFolder(), 'input.txt')
    writeFileSync(path, 'x\ny\n')
    const dir = newDir()
    expect(await appendJson(dir, [path])).toEqual({
      firstOffset: 0,
      lastOffset: 1,
      records: 2,
      batches: 1,
      bytes: 77,
      duplicates: 0,
      segmentsRolled: 0,
      logEndOffset: 2,
    })
    const missing = newDir()
    expect((await append(missing, ['/nowhere.txt'])).exitStatus).toBe(1)
    expect((await append(missing, [temporaryFolder()])).exitStatus).toBe(2)
    expect(existsSync(missing)).toBe(false)
  })

  test('nothing', async () => {
    const dir = newDir()
    expect(await appendJson(dir)).toMatchObject({ firstOffset: null, records: 0, logEndOffset: 0 })
    expect(readFileSync(join(dir, 'leader-epoch-checkpoint'), 'utf8')).toBe('')
  })
})

describe('batches', () => {
  test('become as large as --batch-size', async () => {
    const dir = newDir()
    const lines = 'a'.repeat(99).concat('\n').repeat(100)
    expect(await appendJson(dir, ['--batch-size', '1KiB'], lines)).toMatchObject({
      records: 100,
      batches: 13,
    })
    for (const found of Log.open(dir, { readOnly: true }).batches()) {
      expect(found.sizeInBytes).toBeLessThanOrEqual(1024)
    }
  })

  test('are compressed', async () => {
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
      const dir = newDir()
      await append(dir, ['--compression', codec], 'abcdefgh'.repeat(100))
      const { stdout } = await runCommand(Read, [dir, '--format', 'batches'])
      expect(JSON.parse(stdout)).toMatchObject({ compression: codec, count: 1 })
      expect(await values(dir)).toEqual(['abcdefgh'.repeat(100)])
    }
  })

  test('roll segments by --config', async () => {
    const dir = newDir()
    const result = await appendJson(
      dir,
      ['--batch-size', '100', '--config', 'segment.bytes=200'],
      'x'.repeat(50).concat('\n').repeat(6),
    )
    expect(result).toMatchObject({ batches: 6, segmentsRolled: 5, logEndOffset: 6 })
    expect(readdirSync(dir).filter((name) => name.endsWith('.log'))).toHaveLength(6)
  })

  test('go out while the input pauses', async () => {
    const dir = newDir()
    const child = spawn(process.execPath, ['bin/dev.js', 'append', dir], {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    const ended = once(child, 'close')
    child.stdout.resume()
    child.stderr.resume()
    try {
      let size = 0
      for (const line of ['one', 'two']) {
        child.stdin.write(`${line}\n`)
        const before = size
        await vi.waitFor(() => {
          size = statSync(join(dir, SEGMENT)).size
          expect(size).toBeGreaterThan(before)
        }, 10_000)
      }
      child.stdin.end('three\nfour\n')
      expect(await ended).toEqual([0, null])
    } finally {
      child.kill()
    }
    expect(await values(dir)).toEqual(['one', 'two', 'three', 'four'])
  })
})

describe('producers', () => {
  const producer = ['--producer-id', '7', '--producer-epoch', '2']

  test('the sequence goes on from batch to batch and call to call', async () => {
    const dir = newDir()
    await append(dir, [...producer, '--batch-size', '1'], 'a\nb\n')
    await append(dir, producer, 'c\nd\n')
    expect(await records(dir)).toMatchObject([
      { producerId: 7, producerEpoch: 2, sequence: 0 },
      { sequence: 1 },
      { sequence: 2 },
      { sequence: 3 },
    ])
  })

  test('a batch that is there already is not written again', async () => {
    const dir = newDir()
    await append(dir, producer, 'a\nb\n')
    expect(await appendJson(dir, [...producer, '--base-sequence', '0'], 'a\nb\n')).toMatchObject({
      firstOffset: 0,
      lastOffset: 1,
      records: 0,
      batches: 0,
      bytes: 0,
      duplicates: 1,
      logEndOffset: 2,
    })
  })

  test('a gap is refused with what was accepted before', async () => {
    const dir = newDir()
    await append(dir, producer, 'a\n')
    const json = await append(dir, [...producer, '--base-sequence', '5', '--json'], 'b\n')
    expect(json.exitStatus).toBe(1)
    expect(parseJsonExact(json.stdout)).toMatchObject({
      error: { code: 'KAFKATS_OUT_OF_ORDER_SEQUENCE', kafkaError: 'OUT_OF_ORDER_SEQUENCE_NUMBER' },
      result: { firstOffset: null, records: 0, logEndOffset: 1 },
    })
    const text = await append(dir, [...producer, '--base-sequence', '5'], 'b\n')
    expect(text).toMatchObject({ exitStatus: 1, stdout: 'nothing appended, the log ends at 1\n' })
    expect(text.stderr).toContain('[OUT_OF_ORDER_SEQUENCE_NUMBER]')
    const fenced = await append(dir, ['--producer-id', '7', '--producer-epoch', '1'], 'b\n')
    expect(fenced.stderr).toContain('[INVALID_PRODUCER_EPOCH]')
    expect(await values(dir)).toEqual(['a'])
  })

  test('a transaction, committed or aborted', async () => {
    const dir = newDir()
    const txn = [...producer, '--transactional']
    expect(await appendJson(dir, [...txn, '--commit'], 'a\nb\n')).toMatchObject({
      records: 3,
      batches: 2,
      lastOffset: 2,
    })
    await append(dir, [...txn, '--abort'], 'c\n')
    await append(dir, txn, 'd\n')
    expect((await records(dir)).map(({ controlType, value }) => controlType ?? value)).toEqual([
      'a',
      'b',
      'COMMIT',
      'c',
      'ABORT',
      'd',
    ])
    const { stdout } = await runCommand(Read, [
      ...[dir, '--isolation', 'read_committed', '--template', '%s '],
    ])
    expect(stdout).toBe('a b ')
    await append(dir, [...txn, '--commit'])
    expect((await records(dir)).at(-1)).toMatchObject({ controlType: 'COMMIT', offset: 6 })
  })

  test('flags that need each other', async () => {
    for (const argv of [['--commit'], ['--transactional'], ['--base-sequence', '1']]) {
      expect((await append(newDir(), argv)).exitStatus).toBe(2)
    }
  })
})

describe('ndjson', () => {
  test('takes what read prints', async () => {
    const { stdout } = await runCommand(Read, [LZ4, '--format', 'ndjson'])
    const dir = newDir()
    const argv = [dir, '--input', 'ndjson', '--now', '1767225600000']
    const run = await runCommand(Append, argv, { stdin: stdout })
    expect(run.exitStatus).toBe(0)
    const strip = ({ timestamp, key, value, headers }: Record<string, unknown>): object => {
      return { timestamp, key, value, headers }
    }
    expect((await records(dir)).map(strip)).toEqual((await records(LZ4)).map(strip))
  })

  test('a bad line is named; the records before it are appended', async () => {
    const dir = newDir()
    const run = await append(
      dir,
      ['--input', 'ndjson'],
      '{"value":"a"}\n\n{"value":"b"}\n{"value":5}\n{"value":"c"}\n',
    )
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('Error: line 4: value is a number')
    expect(run.stdout).toContain('2 records in 1 batch')
    expect(await values(dir)).toEqual(['a', 'b'])
    const bytes = await append(dir, ['--input', 'ndjson'], Buffer.from([0x22, 0xff, 0x22]))
    expect(bytes.stderr).toContain('line 1: it is not UTF-8')
    const control = await append(dir, ['--input', 'ndjson'], '{"isControl":true}')
    expect(control.stderr).toContain('a control record cannot be appended')
  })
})

describe('--input batches', () => {
  test('as follower a segment is copied byte for byte', async () => {
    const dir = newDir()
    const source = readFileSync(join(LZ4, SEGMENT))
    const run = await append(dir, ['--input', 'batches', '--as', 'follower'], source)
    expect(run.exitStatus).toBe(0)
    expect(readFileSync(join(dir, SEGMENT)).equals(source)).toBe(true)
    const again = await append(dir, ['--input', 'batches', '--as', 'follower'], source)
    expect(again.exitStatus).toBe(1)
    expect(again.stderr).toContain('below the log end')
  })

  test('as leader each batch gets offsets and epoch; another base than 0 is refused', async () => {
    const dir = newDir()
    const input = Buffer.concat([
      batch('a'),
      batch('b'),
      batch('c', { baseOffset: 9n }),
      batch('d'),
    ])
    const run = await append(
      dir,
      [...['--input', 'batches', '--leader-epoch', '3', '--json']],
      input,
    )
    expect(run.exitStatus).toBe(1)
    expect(parseJsonExact(run.stdout)).toMatchObject({
      error: { kafkaError: 'INVALID_RECORD' },
      result: { firstOffset: 0, lastOffset: 1, batches: 2, records: 2 },
    })
    expect(await records(dir)).toMatchObject([
      { value: 'a', partitionLeaderEpoch: 3 },
      { value: 'b', offset: 1 },
    ])
  })

  test('markers only as coordinator', async () => {
    const { buildEndTransactionMarker } = await import('../../src/records/batch-builder.ts')
    const marker = buildEndTransactionMarker(
      { type: 'COMMIT', coordinatorEpoch: 1 },
      { producerId: 1n, producerEpoch: 0, timestamp: 1000n },
    )
    const dir = newDir()
    expect((await append(dir, ['--input', 'batches'], marker)).exitStatus).toBe(1)
    const run = await append(dir, ['--input', 'batches', '--as', 'coordinator'], marker)
    expect(run.exitStatus).toBe(0)
    expect(await records(dir)).toMatchObject([{ isControl: true, controlType: 'COMMIT' }])
  })

  test('input that is no batch, ends in one, or promises too much', async () => {
    const dir = newDir()
    const torn = await append(dir, ['--input', 'batches'], batch('a').subarray(0, 50))
    expect(torn.stderr).toContain('the input ends inside a batch, after 50 bytes of it')
    const zeros = await append(dir, ['--input', 'batches'], Buffer.alloc(100))
    expect(zeros.stderr).toContain('size field 0')
    const absurd = batch('a')
    absurd.writeInt32BE(0x7ffffff0, 8)
    const huge = await append(dir, ['--input', 'batches'], absurd)
    expect(huge.stderr).toContain('by its size field')
    const flipped = batch('a')
    flipped.writeUInt8(0x21, flipped.length - 2)
    const crc = await append(dir, ['--input', 'batches'], flipped)
    expect(crc.stderr).toContain('crc differs')
    for (const run of [torn, zeros, huge, crc]) expect(run.exitStatus).toBe(1)
    expect(await values(dir)).toEqual([])
  })

  test('flags that make batches do not go with it', async () => {
    for (const argv of [
      ['--compression', 'gzip'],
      ['--header', 'a=b'],
      ['-K', ':'],
    ]) {
      expect((await append(newDir(), ['--input', 'batches', ...argv])).exitStatus).toBe(2)
    }
    expect((await append(newDir(), ['--as', 'follower'])).exitStatus).toBe(2)
  })
})

describe('leader epochs', () => {
  const epochs = (dir: string): unknown =>
    LeaderEpochs.read(diskFileSystem, join(dir, 'leader-epoch-checkpoint')).entries

  test('the latest goes on; a lower one is refused unless allowed', async () => {
    const dir = newDir()
    await append(dir, ['--leader-epoch', '4'], 'a\n')
    await append(dir, [], 'b\n')
    expect(epochs(dir)).toEqual([{ epoch: 4, startOffset: 0n }])
    const lower = await append(dir, ['--leader-epoch', '3'], 'c\n')
    expect(lower.exitStatus).toBe(2)
    expect(lower.stderr).toContain('leader epoch 3 is below 4')
    expect(await values(dir)).toEqual(['a', 'b'])
    await append(dir, ['--leader-epoch', '3', '--allow-lower-epoch'], 'c\n')
    expect(epochs(dir)).toEqual([{ epoch: 3, startOffset: 2n }])
  })

  test('an epoch at the log end, which loading forgets, counts', async () => {
    const dir = newDir()
    await append(dir, [], 'a\n')
    writeFileSync(join(dir, 'leader-epoch-checkpoint'), '0\n2\n0 0\n6 1\n')
    await append(dir, [], 'b\n')
    expect((await records(dir)).map((r) => r['partitionLeaderEpoch'])).toEqual([0, 6])
  })

  test('without a checkpoint that of the last batch', async () => {
    const dir = newDir()
    await append(dir, ['--leader-epoch', '5'], 'a\n')
    writeFileSync(join(dir, 'leader-epoch-checkpoint'), '')
    await append(dir, [], 'b\n')
    expect((await records(dir)).at(-1)).toMatchObject({ partitionLeaderEpoch: 5 })
  })

  test('a follower does not erase epochs by the way', async () => {
    const dir = newDir()
    await append(dir, ['--leader-epoch', '5'], 'a\n')
    const bytes = batch('b', { baseOffset: 1n, partitionLeaderEpoch: 4 })
    const argv = ['--input', 'batches', '--as', 'follower']
    expect((await append(dir, argv, bytes)).stderr).toContain('leader epoch 4, below 5')
    expect((await append(dir, [...argv, '--allow-lower-epoch'], bytes)).exitStatus).toBe(0)
  })
})

describe('refusals', () => {
  test('a folder that is not named like a partition', async () => {
    for (const name of [
      'orders',
      'or ders-0',
      'orders-x',
      'a-0.0123456789abcdef0123456789abcdef-delete',
    ]) {
      const dir = newDir(name)
      expect((await append(dir, [], 'x')).exitStatus).toBe(2)
      expect(existsSync(dir)).toBe(false)
    }
    const file = join(temporaryFolder(), 'x-0')
    writeFileSync(file, '')
    expect((await append(file, [], 'x')).exitStatus).toBe(2)
  })

  test('a record over max.message.bytes', async () => {
    const dir = newDir()
    const run = await append(
      dir,
      ['--config', 'max.message.bytes=200', '--json'],
      `small\n${'x'.repeat(300)}\nafter\n`,
    )
    expect(run.exitStatus).toBe(1)
    expect(parseJsonExact(run.stdout)).toMatchObject({
      error: { kafkaError: 'MESSAGE_TOO_LARGE' },
      result: { records: 1, logEndOffset: 1 },
    })
    expect(await values(dir)).toEqual(['small'])
  })

  test('settings that do not exist', async () => {
    expect((await append(newDir(), ['--config', 'segment.byte=1'])).exitStatus).toBe(2)
  })

  test('a second writer', async () => {
    const dir = newDir()
    const log = Log.open(dir)
    const run = await append(dir, [], 'x')
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('is being written by process')
    log.close()
    expect((await append(dir, [], 'x')).exitStatus).toBe(0)
  })

  test('a partition.metadata with another topic id', async () => {
    const dir = newDir()
    const id = 'OhBtE3USSg6flJqCxqDQDw'
    await append(dir, ['--topic-id', id], 'x')
    expect(readFileSync(join(dir, 'partition.metadata'), 'utf8')).toContain(id)
    expect((await append(dir, ['--topic-id', 'AhBtE3USSg6flJqCxqDQDw'], 'x')).exitStatus).toBe(2)
    expect((await append(newDir(), ['--topic-id', 'short'], 'x')).exitStatus).toBe(2)
    expect(existsSync(join(newDir(), 'partition.metadata'))).toBe(false)
  })

  test('a folder that may not be written', async () => {
    // Not even root can make a folder here.
    const run = await append('/sys/orders-0', [], 'x')
    expect(run).toMatchObject({ exitStatus: 1, stdout: '' })
    expect(run.stderr).toMatch(/^Error: cannot create folder \/sys\/orders-0/)
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    expect((await append(join(file, 'orders-0'), [], 'x')).exitStatus).toBe(1)
  })
})

describe('in a data root', () => {
  const root = (marker?: string): { root: string; dir: string } => {
    const path = temporaryFolder()
    writeFileSync(join(path, 'meta.properties'), 'version=1\nnode.id=1\ncluster.id=x\n')
    if (marker !== undefined) writeFileSync(join(path, '.kafka_cleanshutdown'), marker)
    return { root: path, dir: join(path, 'orders-0') }
  }
  const recoveryPoints = (path: string): Map<string, bigint> =>
    readOffsetCheckpoint(diskFileSystem, join(path, 'recovery-point-offset-checkpoint'))

  test('the recovery point follows, and the clean marker is as before', async () => {
    const { root: path, dir } = root('{"version":0,"brokerEpoch":42}')
    writeFileSync(join(path, 'recovery-point-offset-checkpoint'), '0\n1\nother 3 17\n')
    expect((await append(dir, [], 'a\nb\n')).exitStatus).toBe(0)
    expect(recoveryPoints(path)).toEqual(
      new Map([
        ['other-3', 17n],
        ['orders-0', 2n],
      ]),
    )
    expect(readFileSync(join(path, '.kafka_cleanshutdown'), 'utf8')).toBe(
      '{"version":0,"brokerEpoch":42}',
    )
    expect(readdirSync(path).sort()).toEqual([
      '.kafka_cleanshutdown',
      'meta.properties',
      'orders-0',
      'recovery-point-offset-checkpoint',
    ])
    expect(existsSync(join(dir, '.lock'))).toBe(false)
  })

  test('without a marker none is made', async () => {
    const { root: path, dir } = root()
    expect((await append(dir, ['--fsync', 'never'], 'a\n')).exitStatus).toBe(0)
    expect(existsSync(join(path, '.kafka_cleanshutdown'))).toBe(false)
    expect(recoveryPoints(path).get('orders-0')).toBe(1n)
  })

  test('a refusal leaves it clean, too', async () => {
    const { root: path, dir } = root('{}')
    const run = await append(dir, ['--config', 'max.message.bytes=100'], 'x'.repeat(200))
    expect(run.exitStatus).toBe(1)
    expect(readFileSync(join(path, '.kafka_cleanshutdown'), 'utf8')).toBe('{}')
  })

  test('the log start is that of the checkpoint', async () => {
    const { root: path, dir } = root('{}')
    await append(dir, ['--batch-size', '1'], 'a\nb\nc\n')
    writeFileSync(join(path, 'log-start-offset-checkpoint'), '0\n1\norders 0 2\n')
    await append(dir, [], 'd\n')
    expect(await values(dir)).toEqual(['c', 'd'])
  })

  test('a lock file without a clean marker is a broker, unless its OS lock can be had', async () => {
    const { root: path, dir } = root()
    const lock = join(path, '.lock')
    writeFileSync(lock, '')
    const fd = openSync(lock, 'r+')
    const canTell = tryPosixLock(fd) === 'acquired'
    closeSync(fd)
    const run = await append(dir, [], 'x')
    expect(run.exitStatus).toBe(canTell ? 0 : 1)
    expect(run.stderr.includes('--broker-is-stopped')).toBe(!canTell)
    expect(existsSync(dir)).toBe(canTell)
    writeFileSync(lock, '')
    expect((await append(dir, ['--broker-is-stopped'], 'x')).exitStatus).toBe(0)
  })

  test('damage that a clean marker hides is kept, too', async () => {
    const { root: path, dir } = root('{}')
    await append(dir, ['--batch-size', '1'], 'a\nb\nc\n')
    const log = join(dir, SEGMENT)
    const bytes = readFileSync(log)
    bytes[bytes.length / 3 + 40] = (bytes[bytes.length / 3 + 40] ?? 0) ^ 1
    writeFileSync(log, bytes)
    rmSync(join(dir, SEGMENT.replace('.log', '.index')))
    const run = await append(dir, [], 'd\n')
    expect(run.stderr).toContain('Note: what was cut is kept in ')
    expect(readdirSync(dir).some((name) => name.startsWith('kafkats-cut-'))).toBe(true)
    expect(existsSync(join(path, '.kafka_cleanshutdown'))).toBe(true)
  })

  test('another partition of the root is being written', async () => {
    const { root: path, dir } = root('{}')
    const { PartitionWriter } = await import('../../src/storage/partition-writer.ts')
    const other = PartitionWriter.open(join(path, 'other-0'))
    expect((await append(dir, [], 'x')).exitStatus).toBe(1)
    other.close({ flush: true })
    expect((await append(dir, [], 'x')).exitStatus).toBe(0)
    expect(existsSync(join(path, '.kafka_cleanshutdown'))).toBe(true)
  })
})

test('damage that opening must cut is kept, and a file that is no log is refused', async () => {
  const dir = newDir()
  await append(dir, ['--batch-size', '1'], 'a\nb\nc\n')
  const path = join(dir, SEGMENT)
  const bytes = readFileSync(path)
  const from = bytes.length / 3
  bytes[from + 40] = (bytes[from + 40] ?? 0) ^ 1
  writeFileSync(path, bytes)
  writeFileSync(join(dir, '.lock'), '') // a writer died
  const run = await append(dir, [], 'd\n')
  expect(run.exitStatus).toBe(0)
  expect(await values(dir)).toEqual(['a', 'd'])
  const backup = readdirSync(dir).find((name) => name.startsWith('kafkats-cut-')) ?? ''
  expect(run.stderr).toContain(`Note: what was cut is kept in ${join(dir, backup)}`)
  expect(readFileSync(join(dir, backup, `${SEGMENT}.from-${from}`))).toEqual(bytes.subarray(from))

  const other = newDir()
  mkdirSync(other, { recursive: true })
  writeFileSync(
    join(other, SEGMENT),
    'This is not a log of Kafka, whatever its name says.\n'.repeat(9),
  )
  const before = readdirSync(other)
  const refused = await append(other, [], 'd\n')
  expect(refused.exitStatus).toBe(3)
  expect(refused.stderr).toContain('no batch of Kafka was found')
  expect(readdirSync(other)).toEqual(before)
})

test('a torn tail is cut before the append, and said', async () => {
  const dir = newDir()
  await append(dir, ['--batch-size', '1'], 'a\nb\n')
  const path = join(dir, SEGMENT)
  writeFileSync(path, readFileSync(path).subarray(0, -3))
  const run = await append(dir, [], 'c\n')
  expect(run.stderr).toContain(`Note: ${SEGMENT}: cut at byte`)
  expect(await values(dir)).toEqual(['a', 'c'])
})

test('a disk that is full', async () => {
  const dir = newDir()
  mkdirSync(dir, { recursive: true })
  // A limit on file sizes is what a full disk looks like to a writer, and needs no mount.
  const script = `trap '' XFSZ; ulimit -f 64; head -c 300000 /dev/zero | tr '\\0' x | fold -w 99 | node bin/dev.js append ${dir} --config segment.index.bytes=1024 --json; echo "status \${PIPESTATUS[3]}" >&2`
  const child = spawn('bash', ['-c', script], { env: { ...process.env, NODE_ENV: 'production' } })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  await once(child, 'close')
  expect(Buffer.concat(err).toString()).toContain('status 1\n')
  const { error, result } = parseJsonExact(Buffer.concat(out).toString()) as {
    error: { code: string; message: string }
    result: { records: number }
  }
  expect(error.code).toBe('KAFKATS_STORAGE_IO')
  expect(error.message).toContain('too large')
  expect(result.records).toBeGreaterThan(100)
  const found = await values(dir)
  expect(found).toHaveLength(result.records)
  expect((await append(dir, [], 'after\n')).exitStatus).toBe(0)
  expect((await values(dir)).at(-1)).toBe('after')
})

test('the examples run as they stand', async () => {
  const folder = temporaryFolder()
  for (const { command } of Append.examples as { command: string }[]) {
    const line = command
      .replaceAll('<%= config.bin %>', 'node bin/dev.js')
      .replaceAll('/tmp/kafkats-example', folder)
    const child = spawn('bash', ['-o', 'pipefail', '-c', line], {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    child.stdout.resume()
    child.stderr.resume()
    expect([line, ...((await once(child, 'close')) as [number])].slice(0, 2)).toEqual([line, 0])
  }
}, 60_000)

test('the help fits 80 columns', async () => {
  const { stdout } = await runBin(['append', '--help'])
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
})
