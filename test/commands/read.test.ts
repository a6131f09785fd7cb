import { appendFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import Read from '../../src/commands/read.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { Log } from '../../src/storage/log.ts'
import { copyFixture, DAMAGES, FIXTURES, partitionFixture } from '../support/fixtures.ts'
import { runBin, runCommand, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const { folder: KEYED } = partitionFixture('broker-4.1.0/keyed-0')
const { folder: PAYMENTS } = partitionFixture('broker-4.1.0/payments-0')
const { folder: TRIMMED } = partitionFixture('broker-4.1.0/trimmed-0')
const { folder: COMPACTED } = partitionFixture('broker-4.1.0/compacted-0')
const SEGMENT = '00000000000000000000.log'

/** Runs `read` and prints offsets only. */
async function offsets(argv: readonly string[]): Promise<{ offsets: bigint[]; run: CommandRun }> {
  const run = await runCommand(Read, [...argv, '--template', '%o\\n'])
  const lines = run.stdout.split('\n').filter((line) => line !== '')
  return { offsets: lines.map(BigInt), run }
}

interface Text {
  readonly key: string | null
  readonly value: string | null
}

/** A partition of its own, a batch for each list of records, at times 1000, 1001 … */
function partition(...batches: (readonly Text[])[]): string {
  const dir = join(temporaryFolder(), 'letters-0')
  const log = Log.open(dir, { now: () => 1000n })
  let timestamp = 1000n
  for (const records of batches) {
    const builder = new BatchBuilder()
    for (const { key, value } of records) {
      builder.append(timestamp++, {
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
      })
    }
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
  }
  log.close()
  return dir
}

const abc = (): string =>
  partition([
    { key: 'a', value: '1' },
    { key: null, value: null },
    { key: '', value: '3' },
  ])

describe('where reading begins and ends', () => {
  test('the log start of the data root, inside a batch', async () => {
    const found = await offsets([TRIMMED])
    expect(found.offsets[0]).toBe(137n)
    expect(found.offsets.at(-1)).toBe(399n)
    expect(found.run.exitStatus).toBe(0)
  })

  test('--offset, --until-offset (not included) and -n', async () => {
    expect((await offsets([KEYED, '--offset', '80'])).offsets).toEqual([
      80n,
      81n,
      82n,
      83n,
      84n,
      85n,
      86n,
    ])
    expect((await offsets([KEYED, '--offset', '3', '--until-offset', '6'])).offsets).toEqual([
      3n,
      4n,
      5n,
    ])
    expect((await offsets([KEYED, '--offset', 'earliest', '-n', '2'])).offsets).toEqual([0n, 1n])
    expect((await offsets([KEYED, '-n', '0'])).offsets).toEqual([])
    expect((await offsets([KEYED, '--offset', 'latest'])).offsets).toEqual([])
    expect((await offsets([KEYED, '--offset', '87'])).offsets).toEqual([])
  })

  test.each([
    [KEYED, '88'],
    [TRIMMED, '136'],
  ])('%s --offset %s is outside the log', async (folder, offset) => {
    const { run } = await offsets([folder, '--offset', offset])
    expect(run).toMatchObject({ exitStatus: 1, stdout: '' })
    expect(run.stderr).toContain(`offset ${offset} lies outside the log`)
    expect(run.stderr).toContain('[OFFSET_OUT_OF_RANGE]')
  })

  test('--timestamp begins with the first record of that time or later', async () => {
    const dir = abc()
    expect((await offsets([dir, '--timestamp', '1001'])).offsets).toEqual([1n, 2n])
    expect((await offsets([dir, '--timestamp', '0'])).offsets).toEqual([0n, 1n, 2n])
    expect((await offsets([dir, '--timestamp', '1003'])).offsets).toEqual([])
    expect((await offsets([dir, '--timestamp', '1970-01-01T00:00:01.002Z'])).offsets).toEqual([2n])
  })

  test('--until-timestamp ends before the first record of that time or later', async () => {
    expect((await offsets([abc(), '--until-timestamp', '1002'])).offsets).toEqual([0n, 1n])
    expect((await offsets([abc(), '--until-timestamp', '1'])).offsets).toEqual([])
  })

  test('--last counts records, over segments, gaps and markers', async () => {
    const all = (await offsets([COMPACTED])).offsets
    for (const n of [0, 1, 7, 100, all.length, all.length + 1]) {
      const { offsets: last } = await offsets([COMPACTED, '--last', String(n)])
      expect(last).toEqual(n === 0 ? [] : all.slice(-n))
    }
    const data = (await offsets([PAYMENTS])).offsets
    expect((await offsets([PAYMENTS, '--last', '3'])).offsets).toEqual(data.slice(-3))
    const trimmed = (await offsets([TRIMMED])).offsets
    expect((await offsets([TRIMMED, '--last', '260'])).offsets).toEqual(trimmed.slice(-260))
    expect((await offsets([TRIMMED, '--until-offset', '150', '--last', '5'])).offsets).toEqual([
      145n,
      146n,
      147n,
      148n,
      149n,
    ])
  })

  test('one segment', async () => {
    const { offsets: found } = await offsets([
      join(PAYMENTS, '..', 'trimmed-0', '00000000000000000189.log'),
    ])
    expect(found[0]).toBe(189n)
    expect(found.length).toBeGreaterThan(10)
    expect(found.length).toBeLessThan(211)
  })

  test('start flags exclude each other', async () => {
    const { run } = await offsets([KEYED, '--offset', '1', '--last', '2'])
    expect(run.exitStatus).toBe(2)
  })
})

describe('transactions', () => {
  test('read_committed gives what the engine gives', async () => {
    const log = Log.open(PAYMENTS, { readOnly: true })
    const wanted: bigint[] = []
    for (const batch of log.batches({ isolation: 'read_committed' })) {
      if (!batch.isControl) for (const record of batch.records()) wanted.push(record.offset)
    }
    log.close()
    const all = (await offsets([PAYMENTS])).offsets
    const { offsets: found } = await offsets([PAYMENTS, '--isolation', 'read_committed'])
    expect(found).toEqual(wanted)
    expect(found.length).toBeLessThan(all.length)
    // from the middle on, where a producer snapshot is the start
    const from = all[1800] ?? 0n
    const middle = await offsets([
      PAYMENTS,
      '--isolation',
      'read_committed',
      '--offset',
      String(from),
    ])
    expect(middle.offsets).toEqual(wanted.filter((offset) => offset >= from))
    const last = await offsets([PAYMENTS, '--isolation', 'read_committed', '--last', '200'])
    expect(last.offsets).toEqual(wanted.slice(-200))
  })

  test('an open transaction ends it', async () => {
    const { folder } = partitionFixture('crash/ledger-0')
    const all = (await offsets([folder])).offsets
    const { offsets: found } = await offsets([folder, '--isolation', 'read_committed'])
    // fixtures/crash/state-before.json: producer 2 has a transaction open since 288
    expect(found.at(-1)).toBe(all.findLast((offset) => offset < 288n))
    expect(all.at(-1)).toBe(322n)
  })

  test('control records only with --control', async () => {
    const { stdout } = await runCommand(Read, [PAYMENTS, '--last', '1', '--control'])
    expect(stdout).toMatch(/^2641 {2}2026-\S+ {2}<COMMIT of producer 10, epoch \d+>\n$/)
    const data = (await offsets([PAYMENTS])).offsets
    expect((await offsets([PAYMENTS, '--control'])).offsets.length).toBeGreaterThan(data.length)
  })
})

describe('formats', () => {
  test('text for people', async () => {
    expect((await runCommand(Read, [abc()])).stdout).toMatchInlineSnapshot(`
      "0  1970-01-01T00:00:01.000Z  a  1
      1  1970-01-01T00:00:01.001Z  ∅  ∅
      2  1970-01-01T00:00:01.002Z    3
      "
    `)
  })

  test('ndjson, and encodings', async () => {
    const { stdout } = await runCommand(Read, [
      abc(),
      ...['--format', 'ndjson', '-n', '1', '--encoding', 'hex', '--key-encoding', 'base64'],
    ])
    expect(stdout).toBe(
      '{"offset":0,"timestamp":1000,"timestampType":"CreateTime","key":"YQ==","value":"31","headers":[],"partitionLeaderEpoch":0}\n',
    )
  })

  test('templates', async () => {
    const { stdout } = await runCommand(Read, [abc(), '--template', '%t-%p %o %T %k=%s\\n'])
    expect(stdout).toBe('letters-0 0 1000 a=1\nletters-0 1 1001 =\nletters-0 2 1002 =3\n')
    const wrong = await runCommand(Read, [abc(), '--template', '%z'])
    expect(wrong).toMatchObject({ exitStatus: 2, stdout: '' })
    const alone = await runCommand(Read, [abc(), '--format', 'template'])
    expect(alone.exitStatus).toBe(2)
  })

  test('several partitions are told apart', async () => {
    const text = await runCommand(Read, [abc(), abc(), '-n', '1'])
    expect(text.stdout).toMatch(/^==> letters-0 <==\n0 .*\n\n==> letters-0 <==\n0 .*\n$/)
    const root = join(FIXTURES, 'broker-4.1.0')
    const json = await runCommand(Read, [root, '--format', 'ndjson', '-n', '1'])
    const names = json.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { partition: string }).partition)
    expect(names).toContain('orders-zstd-0')
    expect(names).toEqual([...names].sort())
    expect((await runCommand(Read, [root, '-f'])).exitStatus).toBe(2)
  })
})

describe('damage', () => {
  const SOUND = ['as-is', 'bad-snapshot', 'index-not-multiple', 'no-epochs', 'no-indexes']

  test.each(DAMAGES.filter(({ name }) => SOUND.includes(name)))(
    '$name hides no record',
    async ({ before }) => {
      const { offsets: found, run } = await offsets([before])
      expect(run).toMatchObject({ exitStatus: 0, stderr: '' })
      expect(found).toHaveLength(305)
    },
  )

  test.each([
    ['flip-mid-segment', 174n, 'byte 846, offset 175) [CORRUPT_MESSAGE]'],
    ['flip-last-batch', 317n, 'crc differs'],
    ['torn-tail', 317n, '454 bytes at the end of the segment are no complete batch'],
    ['torn-header', 322n, '10 bytes at the end'],
    ['zero-tail', 322n, '700 bytes at the end of the segment are zero'],
  ])('%s: what is before it is printed, then the error', async (name, last, message) => {
    const damage = DAMAGES.find((candidate) => candidate.name === name)
    const { offsets: found, run } = await offsets([damage?.before ?? ''])
    expect(found.at(-1)).toBe(last)
    expect(run.stderr).toContain(message)
    expect(run.exitStatus).toBe(3)
  })

  test('--skip-damaged goes on behind it, and says what it left out', async () => {
    const damage = DAMAGES.find(({ name }) => name === 'flip-mid-segment')
    const { offsets: found, run } = await offsets([damage?.before ?? '', '--skip-damaged'])
    expect(found).toHaveLength(300)
    expect(found.at(-1)).toBe(322n)
    expect(run.stderr).toMatch(/^Note: skipped 166 bytes at byte 846 of \S+\.log: crc differs/)
    expect(run.exitStatus).toBe(3)
  })

  const many = (): string =>
    partition(...Array.from({ length: 5 }, (_, i) => [{ key: 'k', value: `value ${i}` }]))

  test('an absurd length field in the middle', async () => {
    const dir = many()
    const path = join(dir, SEGMENT)
    const bytes = readFileSync(path)
    const size = 12 + bytes.readInt32BE(8)
    bytes.writeInt32BE(0x7fffffff, size * 2 + 8)
    writeFileSync(path, bytes)
    const { offsets: found, run } = await offsets([dir])
    expect(found).toEqual([0n, 1n])
    expect(run.exitStatus).toBe(3)
    const skipped = await offsets([dir, '--skip-damaged'])
    expect(skipped.offsets).toEqual([0n, 1n, 3n, 4n])
    expect(skipped.run.stderr).toContain(`skipped ${size} bytes at byte ${size * 2}`)
    expect(skipped.run.exitStatus).toBe(3)
  })

  test('a wrong length field that swallows batches', async () => {
    const dir = many()
    const path = join(dir, SEGMENT)
    const bytes = readFileSync(path)
    const size = 12 + bytes.readInt32BE(8)
    bytes.writeInt32BE(size * 2 - 12 + 5, size + 8)
    writeFileSync(path, bytes)
    expect((await offsets([dir, '--skip-damaged'])).offsets).toEqual([0n, 2n, 3n, 4n])
  })

  test('an offset that no checksum covers', async () => {
    const dir = many()
    const path = join(dir, SEGMENT)
    const bytes = readFileSync(path)
    const size = 12 + bytes.readInt32BE(8)
    bytes.writeBigInt64BE(-5n, size)
    writeFileSync(path, bytes)
    const { offsets: found, run } = await offsets([dir])
    expect(found).toEqual([0n])
    expect(run.stderr).toContain('a batch ends at offset -5')
    expect((await offsets([dir, '--skip-damaged'])).offsets).toEqual([0n, 2n, 3n, 4n])
  })

  test('an unknown codec, and a payload that does not decompress', async () => {
    for (const [attributes, message] of [
      [5, 'compression id 5 is unknown'],
      [1, 'gzip'],
    ] as const) {
      const dir = many()
      const path = join(dir, SEGMENT)
      const bytes = readFileSync(path)
      const size = 12 + bytes.readInt32BE(8)
      const batch = bytes.subarray(size, size * 2)
      batch.writeInt16BE(attributes, 21)
      const { crc32c } = await import('../../src/bytes/checksum.ts')
      batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
      writeFileSync(path, bytes)
      const { offsets: found, run } = await offsets([dir])
      expect(found).toEqual([0n])
      expect(run.stderr).toContain(message)
      expect(run.exitStatus).toBe(3)
      const skipped = await offsets([dir, '--skip-damaged'])
      expect(skipped.offsets).toEqual([0n, 2n, 3n, 4n])
      expect(skipped.run.exitStatus).toBe(3)
    }
  })

  test('none of a batch is printed when its last record is damaged', async () => {
    const dir = partition(
      [{ key: null, value: 'x' }],
      Array.from({ length: 10 }, () => ({ key: null, value: 'y' })),
    )
    const path = join(dir, SEGMENT)
    const bytes = readFileSync(path)
    const start = 12 + bytes.readInt32BE(8)
    const batch = bytes.subarray(start)
    batch.writeInt32BE(11, 57)
    const { crc32c } = await import('../../src/bytes/checksum.ts')
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
    writeFileSync(path, bytes)
    const { offsets: found, run } = await offsets([dir])
    expect(found).toEqual([0n])
    expect(run.exitStatus).toBe(3)
  })

  test('a batch larger than allowed after decompression', async () => {
    const { folder } = partitionFixture('broker-4.1.0/orders-gzip-0')
    const { run } = await offsets([folder, '--max-decompressed-bytes', '1KiB'])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('1024')
  })

  test('an incomplete end is no damage while somebody writes', async () => {
    const dir = many()
    truncateSync(join(dir, SEGMENT), readFileSync(join(dir, SEGMENT)).length - 3)
    const owner = { pid: process.pid, host: hostname(), startTime: '' }
    writeFileSync(join(dir, '.lock'), JSON.stringify(owner))
    const { offsets: found, run } = await offsets([dir])
    expect(found).toEqual([0n, 1n, 2n, 3n])
    expect(run.exitStatus).toBe(0)
    expect(run.stderr).toContain('Note: the log ends inside a batch, which is being written')
    writeFileSync(join(dir, '.lock'), JSON.stringify({ ...owner, pid: 2 ** 22 + 1 }))
    expect((await offsets([dir])).run.exitStatus).toBe(3)
  })
})

describe('paths', () => {
  test('nothing there', async () => {
    const run = await runCommand(Read, ['/nowhere/orders-0'])
    expect(run).toMatchObject({ exitStatus: 1, stdout: '' })
    expect(run.stderr).toContain('/nowhere/orders-0 does not exist')
  })

  test("a file that is not Kafka's", async () => {
    const path = join(temporaryFolder(), 'notes.txt')
    writeFileSync(path, 'hello')
    const run = await runCommand(Read, [path])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain("is not a file that Kafka's log writes")
    const index = await runCommand(Read, [join(KEYED, '00000000000000000000.index')])
    expect(index.exitStatus).toBe(1)
    expect(index.stderr).toContain('kafkats dump')
  })

  test('a .log file with anything in it', async () => {
    const dir = join(temporaryFolder(), 'x-0')
    mkdirSync(dir)
    writeFileSync(join(dir, SEGMENT), 'this is no log at all, and never was one of them')
    const run = await runCommand(Read, [dir])
    expect(run).toMatchObject({ exitStatus: 3, stdout: '' })
  })

  test('a folder without a log', async () => {
    const run = await runCommand(Read, [temporaryFolder()])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('holds no .log file')
  })

  test('an empty log', async () => {
    const dir = partition()
    expect((await offsets([dir])).run).toMatchObject({ exitStatus: 0, stdout: '', stderr: '' })
    expect((await offsets([dir, '--last', '3'])).run.exitStatus).toBe(0)
  })

  test('a folder is only looked at', async () => {
    const dir = copyFixture('crash/ledger-0')
    const list = async (): Promise<string[]> => {
      const { readdirSync } = await import('node:fs')
      return readdirSync(dir).map(
        (name) => `${name} ${readFileSync(join(dir, name)).toString('base64')}`,
      )
    }
    const before = await list()
    await runCommand(Read, [dir, '--isolation', 'read_committed', '--timestamp', '0'])
    expect(await list()).toEqual(before)
  })
})

describe('-f', () => {
  const append = (dir: string, value: string, roll = false): void => {
    const log = Log.open(dir, { now: () => 1000n })
    const builder = new BatchBuilder()
    builder.append(2000n, { key: null, value: Buffer.from(value) })
    if (roll) log.roll()
    log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
    log.close()
  }

  test('goes on with what is appended, over new segments, until it has enough', async () => {
    const dir = abc()
    const reading = offsets([dir, '-f', '--offset', '2', '-n', '4'])
    append(dir, 'x')
    setTimeout(() => append(dir, 'y', true), 50)
    setTimeout(() => append(dir, 'z'), 200)
    expect((await reading).offsets).toEqual([2n, 3n, 4n, 5n])
  })

  test('waits for the other half of a batch', async () => {
    const dir = abc()
    const whole = readFileSync(join(abc(), SEGMENT))
    whole.writeBigInt64BE(3n, 0)
    appendFileSync(join(dir, SEGMENT), whole.subarray(0, 40))
    const reading = offsets([dir, '-f', '-n', '6'])
    setTimeout(() => appendFileSync(join(dir, SEGMENT), whole.subarray(40)), 150)
    const { offsets: found, run } = await reading
    expect(found).toEqual([0n, 1n, 2n, 3n, 4n, 5n])
    expect(run).toMatchObject({ exitStatus: 0, stderr: '' })
  })

  test('with read_committed a transaction comes when it is decided', async () => {
    const dir = join(temporaryFolder(), 'txn-0')
    const log = Log.open(dir, { now: () => 1000n })
    const data = (sequence: number): Buffer => {
      const builder = new BatchBuilder({
        producerId: 1n,
        producerEpoch: 0,
        baseSequence: sequence,
        isTransactional: true,
      })
      builder.append(1000n, { key: null, value: Buffer.from('v') })
      return builder.build() ?? Buffer.alloc(0)
    }
    const { buildEndTransactionMarker } = await import('../../src/records/batch-builder.ts')
    const end = (type: 'COMMIT' | 'ABORT'): void => {
      log.appendAsLeader(
        buildEndTransactionMarker(
          { type, coordinatorEpoch: 0 },
          { producerId: 1n, producerEpoch: 0, timestamp: 1000n },
        ),
        { origin: 'coordinator' },
      )
    }
    log.appendAsLeader(data(0)) // 0
    const reading = offsets([dir, '-f', '-n', '2', '--isolation', 'read_committed'])
    setTimeout(() => {
      end('COMMIT') // 1
      log.appendAsLeader(data(1)) // 2
      end('ABORT') // 3
      log.appendAsLeader(data(2)) // 4
    }, 120)
    setTimeout(() => {
      end('COMMIT')
      log.close()
    }, 300)
    expect((await reading).offsets).toEqual([0n, 4n])
  })

  test('ends at an interrupt, status 0', async () => {
    const child = spawn(process.execPath, ['bin/dev.js', 'read', abc(), '-f'], {
      env: { ...process.env, NODE_ENV: 'production' },
    })
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([0, null])
  })
})

test('a closed pipe ends it quietly', async () => {
  const { folder } = partitionFixture('broker-4.1.0/orders-none-0')
  const script = `node bin/dev.js read ${folder} | head -n 1; echo "status \${PIPESTATUS[0]}" >&2`
  const child = spawn('bash', ['-c', script], { env: { ...process.env, NODE_ENV: 'production' } })
  const err: Buffer[] = []
  const out: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  await once(child, 'close')
  expect(Buffer.concat(out).toString()).toMatch(/^0 {2}\S+Z {2}customer/)
  expect(Buffer.concat(err).toString()).toBe('status 0\n')
})

test('the examples run as they stand', async () => {
  for (const { command } of Read.examples as { command: string }[]) {
    const line = command.replaceAll('<%= config.bin %>', 'node bin/dev.js')
    const child = spawn('bash', ['-c', line], { env: { ...process.env, NODE_ENV: 'production' } })
    const out: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.resume()
    const [status] = (await once(child, 'close')) as [number]
    expect([line, status]).toEqual([line, line.includes('damaged') ? 3 : 0])
    expect(Buffer.concat(out).length).toBeGreaterThan(0)
  }
}, 60_000)

test('the help fits 80 columns', async () => {
  const { stdout } = await runBin(['read', '--help'])
  const long = stdout.split('\n').filter((line) => line.length > 80)
  expect(long).toEqual([])
  expect(stdout).toContain('EXAMPLES')
})
