import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { parquetReadObjects } from 'hyparquet'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseJsonExact } from '../../src/cli/json.ts'
import Append from '../../src/commands/append.ts'
import Export from '../../src/commands/export.ts'
import Import from '../../src/commands/import.ts'
import Read from '../../src/commands/read.ts'
import { startBroker } from '../../src/server/index.ts'
import { FIXTURES } from '../support/fixtures.ts'
import { runBin, runCommand, unwrapped } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = join(FIXTURES, 'broker-4.1.0')
const FORMATS = ['parquet', 'csv', 'ndjson'] as const
const PARTITIONS = ['orders-zstd-0', 'payments-0', 'compacted-0', 'keyed-1', 'appendtime-0']

/** All that records can be which a table may lose. */
const NASTY = [
  '{"timestamp":-1,"key":null,"value":null,"headers":[["a",null],["a",""],["a",{"base64":"/w=="}]]}',
  '{"timestamp":0,"key":"","value":"","headers":[]}',
  '{"timestamp":5,"key":{"base64":"gP8="},"value":"äöü, \\"quoted\\"\\r\\n\\u0000","headers":[["",""]]}',
  '{"timestamp":6,"key":"a,b","value":"line\\nline\\n","headers":[["k","\\n"],["k","\\""]]}',
  '{"timestamp":7,"key":" ","value":"\\r","headers":[[{"base64":"gA=="},"x"]]}',
  '{"timestamp":9223372036854775807,"key":"\\ufeff","value":"null","headers":[]}',
  '{"timestamp":9007199254740993,"key":"true","value":"[]","headers":[]}',
]
const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function nastyPartition(): Promise<string> {
  const dir = join(temporaryFolder(), 'nasty-0')
  const config = ['--config', 'message.timestamp.after.max.ms=9223372036854775807']
  const argv = [dir, '--input', 'ndjson', ...config]
  const run = await runCommand(Append, argv, { stdin: NASTY.join('\n') })
  expect([run.exitStatus, run.stderr]).toEqual([0, ''])
  return dir
}

const FAR = ['--config', 'message.timestamp.after.max.ms=9223372036854775807']

/** Timestamps, keys, values and headers of a folder, with all digits. */
async function contents(dir: string): Promise<unknown[]> {
  const { stdout } = await runCommand(Read, [dir, '--format', 'ndjson'])
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const record = parseJsonExact(line) as Record<string, unknown>
      return [record['timestamp'], record['key'], record['value'], record['headers']]
    })
}

async function exported(argv: readonly string[]): Promise<string> {
  const run = await runCommand(Export, argv)
  expect([run.exitStatus, run.stderr]).toEqual([0, ''])
  return run.stdout
}

describe.each(FORMATS)('%s', (format) => {
  it('gives back exactly what was there', async () => {
    const dir = await nastyPartition()
    const file = join(temporaryFolder(), `out.${format}`)
    await exported([dir, '--output', file])
    expect(existsSync(`${file}.partial`)).toBe(false)
    const copy = join(temporaryFolder(), 'copy-0')
    const run = await runCommand(Import, [copy, file, '--json', ...FAR])
    expect([run.exitStatus, run.stderr]).toEqual([0, ''])
    expect(JSON.parse(run.stdout)).toMatchObject({ records: 7, firstOffset: 0, lastOffset: 6 })
    expect(await contents(copy)).toEqual(await contents(dir))
    expect(await contents(copy)).toHaveLength(7)
  })

  it.each(PARTITIONS)('of %s comes back', async (name) => {
    const file = join(temporaryFolder(), `out.${format}`)
    await exported([join(ROOT, name), '--output', file])
    const copy = join(temporaryFolder(), 'copy-0')
    const run = await runCommand(Import, [copy, file, '--compression', 'lz4'])
    expect([run.exitStatus, run.stderr]).toEqual([0, ''])
    expect(await contents(copy)).toEqual(await contents(join(ROOT, name)))
  })

  it('is refused where a file is, and replaced by --force', async () => {
    const file = join(temporaryFolder(), `out.${format}`)
    writeFileSync(file, 'mine')
    const run = await runCommand(Export, [join(ROOT, 'keyed-0'), '--output', file])
    expect(run.exitStatus).toBe(2)
    expect(unwrapped(run.stderr)).toContain('is there already')
    expect(readFileSync(file, 'utf8')).toBe('mine')
    await exported([join(ROOT, 'keyed-0'), '--output', file, '--force'])
    expect(statSync(file).size).toBeGreaterThan(100)
  })

  it('of a topic is that of its folder', async () => {
    const broker = await startBroker({ dir: ROOT, port: 0, readOnly: true })
    opened.push(() => broker.close())
    const [local, remote] = [1, 2].map((i) => join(temporaryFolder(), `${i}.${format}`))
    const range = ['--offset', '3', '--until-offset', '20']
    await exported([join(ROOT, 'orders-lz4-0'), '--output', local ?? '', ...range])
    const address = `127.0.0.1:${broker.address.port}`
    const cluster = ['--bootstrap-server', address, '--topic', 'orders-lz4']
    await exported([...cluster, '--output', remote ?? '', ...range])
    expect(readFileSync(remote ?? '')).toEqual(readFileSync(local ?? ''))
  })
})

describe('a Parquet file', () => {
  it('has the columns that it is said to have', async () => {
    const file = join(temporaryFolder(), 'out.parquet')
    await exported([join(ROOT, 'payments-0'), '--output', file, '--control', '-n', '40'])
    const bytes = readFileSync(file)
    const rows = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      utf8: false,
      parsers: { timestampFromMilliseconds: (ms) => ms },
    })
    const { stdout } = await runCommand(Read, [
      join(ROOT, 'payments-0'),
      ...['--format', 'ndjson', '--control', '-n', '40'],
    ])
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const shown = ({ offset, timestamp, producerId, sequence, controlType }: (typeof rows)[0]) => [
      Number(offset),
      Number(timestamp),
      Number(producerId),
      sequence as number,
      (controlType as string | null) ?? undefined,
    ]
    expect(rows.map(shown)).toEqual(lines.map(shown))
    expect(rows.some(({ isControl }) => isControl === true)).toBe(true)
  })
})

describe.each(['csv', 'ndjson'] as const)('--resume of %s', (format) => {
  const dir = join(ROOT, 'orders-none-0')

  it('goes on behind the last whole record, wherever it was cut', async () => {
    const source = await nastyPartition()
    const whole = join(temporaryFolder(), `whole.${format}`)
    await exported([source, '--output', whole])
    const bytes = readFileSync(whole)
    for (let size = 0; size < bytes.length; size += 7) {
      const file = join(temporaryFolder(), `cut.${format}`)
      writeFileSync(`${file}.partial`, bytes.subarray(0, size))
      await exported([source, '--output', file, '--resume'])
      expect(readFileSync(file), `cut at ${size}`).toEqual(bytes)
      expect(existsSync(`${file}.partial`)).toBe(false)
    }
  })

  it('adds what was appended since, and nothing where there is nothing', async () => {
    const source = await nastyPartition()
    const file = join(temporaryFolder(), `out.${format}`)
    await exported([source, '--output', file])
    const before = readFileSync(file)
    await runCommand(Append, [source, '--now', '5'], { stdin: 'later\n' })
    await exported([source, '--output', file, '--resume'])
    const after = readFileSync(file)
    expect(after.subarray(0, before.length)).toEqual(before)
    expect(after.toString('utf8', before.length)).toMatch(/later[^\n]*\n$/)
    await exported([source, '--output', file, '--resume'])
    expect(readFileSync(file)).toEqual(after)
  })

  it('goes on in the partition where it stood', async () => {
    const root = join(FIXTURES, 'broker-4.1.0')
    const whole = join(temporaryFolder(), `whole.${format}`)
    await exported([root, '--output', whole])
    const cut = join(temporaryFolder(), `cut.${format}`)
    writeFileSync(`${cut}.partial`, readFileSync(whole))
    truncateSync(`${cut}.partial`, Math.floor(statSync(whole).size * 0.6))
    await exported([root, '--output', cut, '--resume'])
    expect(readFileSync(cut).equals(readFileSync(whole))).toBe(true)
  })

  it('refuses what is no export', async () => {
    const file = join(temporaryFolder(), `out.${format}`)
    writeFileSync(file, `${'something else '.repeat(40)}\nand more\n`)
    const run = await runCommand(Export, [dir, '--output', file, '--resume'])
    expect(run.exitStatus).toBe(2)
    expect(unwrapped(run.stderr)).toContain('does not hold what an export')
    expect(readFileSync(file, 'utf8')).toContain('and more')
  })
})

describe('damage', () => {
  const dir = join(FIXTURES, 'damaged/flip-mid-segment/before/ledger-0')

  it('leaves what comes before it as .partial, exit 3', async () => {
    const file = join(temporaryFolder(), 'out.ndjson')
    const run = await runCommand(Export, [dir, '--output', file])
    const read = await runCommand(Read, [dir, '--format', 'ndjson'])
    expect([run.exitStatus, existsSync(file)]).toEqual([3, false])
    expect(readFileSync(`${file}.partial`, 'utf8')).toBe(read.stdout)
    const parquet = join(temporaryFolder(), 'out.parquet')
    const other = await runCommand(Export, [dir, '--output', parquet])
    expect([other.exitStatus, existsSync(`${parquet}.partial`)]).toEqual([3, false])
  })

  it('is passed with --skip-damaged', async () => {
    const file = join(temporaryFolder(), 'out.ndjson')
    const run = await runCommand(Export, [dir, '--output', file, '--skip-damaged'])
    const read = await runCommand(Read, [dir, '--format', 'ndjson', '--skip-damaged'])
    expect([run.exitStatus, readFileSync(file, 'utf8')]).toEqual([3, read.stdout])
  })
})

it('stdout has what a file would have', async () => {
  const file = join(temporaryFolder(), 'out.csv')
  await exported([join(ROOT, 'keyed-0'), '--output', file])
  const { stdout } = await runBin(['export', join(ROOT, 'keyed-0'), '--format', 'csv'])
  expect(stdout).toBe(readFileSync(file, 'utf8'))
})

describe('import', () => {
  it('takes any table with values, and tells the record that is wrong', async () => {
    const dir = join(temporaryFolder(), 'plain-0')
    const argv = [dir, '--format', 'csv', '--now', '77']
    const run = await runCommand(Import, argv, { stdin: 'key,value\na,1\n,""\n' })
    expect([run.exitStatus, run.stderr]).toEqual([0, ''])
    expect(await contents(dir)).toEqual([
      [77, 'a', '1', []],
      [77, null, '', []],
    ])
    const stdin = 'value,timestamp\nx,1\ny,soon\n'
    const wrong = await runCommand(Import, [...argv, '--json'], { stdin })
    expect(wrong.exitStatus).toBe(1)
    const { error, result } = JSON.parse(wrong.stdout) as Record<string, Record<string, unknown>>
    expect(error?.['message']).toContain('line 2: timestamp')
    expect(result?.['records']).toBe(1)
  })

  it('changes nothing with --dry-run', async () => {
    const dir = join(temporaryFolder(), 'dry-0')
    const argv = [dir, '--format', 'csv', '--dry-run', '--json']
    const run = await runCommand(Import, argv, { stdin: 'value\na\nb\n' })
    expect(JSON.parse(run.stdout)).toEqual({ dryRun: true, records: 2 })
    expect(existsSync(dir)).toBe(false)
  })

  it('refuses control records', async () => {
    const file = join(temporaryFolder(), 'out.csv')
    await exported([join(ROOT, 'payments-0'), '--output', file, '--control'])
    const run = await runCommand(Import, [join(temporaryFolder(), 'copy-0'), file])
    expect(run.exitStatus).toBe(1)
    expect(run.stderr).toContain('control record')
  })
})

it.each([
  [Export, [join(ROOT, 'keyed-0'), '--format', 'parquet'], 'needs --output'],
  [Export, [join(ROOT, 'keyed-0'), '--output', 'x.parquet', '--resume'], 'Parquet'],
  [Export, [join(ROOT, 'keyed-0'), '--output', 'x.txt'], 'give --format'],
  [Export, [], 'nothing is named'],
  [Import, ['/tmp/notapartition', 'x.csv'], 'topic-partition'],
  [Import, ['/tmp/a-0', '--format', 'parquet'], 'needs FILE'],
  [Import, [], 'nothing is named'],
] as const)('%o %j is wrong usage', async (command, argv, talk) => {
  const run = await runCommand(command, argv)
  expect([run.exitStatus, run.stdout]).toEqual([2, ''])
  expect(unwrapped(run.stderr)).toContain(talk)
})
