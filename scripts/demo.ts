/**
 * A short tour, `npm run demo`: real commands over a temporary folder and over files that a real Kafka wrote. Each
 * command is shown before its output, and nothing is left behind. Ends with status 1 where a command does not end as
 * it should.
 */
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { paint, wantsColor } from '../src/cli/color.ts'
import { runCli } from '../src/cli/run-cli.ts'

interface Step {
  /** What is to be seen. */
  readonly text?: string
  /** Folders that are copied first, as `cp -r` does. */
  readonly copy?: readonly [from: string, to: string]
  /** The words behind `kafkats`. */
  readonly argv: readonly string[]
  /** File that stdout goes to, instead of the terminal. */
  readonly into?: string
  /** 0 unless given. */
  readonly status?: number
}

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url))
const color = wantsColor(process.stdout)

const FILES = {
  'fruits.txt': 'apple:green\nbanana:yellow\ncherry:red\n',
  'orders.ndjson': [
    '{"key":"ada","value":"{\\"order\\":1,\\"total\\":12.50}","headers":[["source","web"]]}',
    '{"key":"bob","value":"{\\"order\\":2,\\"total\\":7.00}","headers":[["source","app"]]}',
    '{"key":"ada","value":null}\n',
  ].join('\n'),
}

const TOUR: readonly Step[] = [
  {
    text: 'A partition is a folder. Lines become records, with the key before the colon.',
    argv: ['append', 'data/fruits-0', 'fruits.txt', '-K', ':', '--now', '2026-01-01T12:00:00Z'],
  },
  { argv: ['read', 'data/fruits-0'] },
  {
    text: 'JSON has headers and tombstones, too; these batches are compressed with zstd.',
    argv: [
      ...['append', 'data/orders-0', 'orders.ndjson', '--input', 'ndjson'],
      ...['--compression', 'zstd', '--now', '2026-01-01T12:00:00Z'],
    ],
  },
  { argv: ['read', 'data/orders-0', '--format', 'ndjson', '-n', '1'] },
  {
    text: 'What a real Kafka wrote: two producers, transactions committed and aborted.',
    argv: [
      ...['read', 'fixtures/broker-4.1.0/payments-0', '--isolation', 'read_committed'],
      ...['--offset', '20', '-n', '4', '--template', '%o  %T  %k  %h\n'],
    ],
  },
  {
    text: 'Its indexes beside the log, each entry checked against the batch it points to.',
    argv: ['dump-index', 'fixtures/broker-4.1.0/payments-0/20', '--check'],
  },
  {
    text: 'Segments of another of its topics.',
    argv: ['segments', 'fixtures/broker-4.1.0/orders-zstd-0'],
  },
  {
    text: 'A copy of it, record by record, in segments of 64 KiB with lz4.',
    argv: ['read', 'fixtures/broker-4.1.0/orders-zstd-0', '--format', 'ndjson'],
    into: 'orders.copy',
  },
  {
    argv: [
      ...['append', 'data/copy-0', 'orders.copy', '--input', 'ndjson'],
      ...['--compression', 'lz4', '--config', 'segment.bytes=65536'],
    ],
  },
  {
    text: 'Every byte, checksum and relation between the files: of ours, and of Kafka.',
    argv: ['verify', 'data/copy-0', 'data/orders-0', 'data/fruits-0'],
  },
  { argv: ['verify', 'fixtures/broker-4.1.0/orders-none-0', '--deep'] },
  {
    text: 'A flipped bit is found and named, and the exit status is 3.',
    argv: ['verify', 'fixtures/damaged/flip-mid-segment/before/ledger-0'],
    status: 3,
  },
  {
    text: 'Mended in a copy, as a broker does when it starts; what is cut is kept.',
    copy: ['fixtures/damaged/flip-mid-segment/before/ledger-0', 'data/ledger-0'],
    // The records are of that day: seen from today, their producers would have expired.
    argv: ['recover', 'data/ledger-0', '--now', '2026-01-01T00:00:00Z'],
  },
  { argv: ['verify', 'data/ledger-0'] },
  {
    text: 'How fast this machine appends what a broker gets from a producer.',
    argv: ['bench', 'write', '--from', 'batches', '--compression', 'none,zstd', '--size', '32MiB'],
  },
]

/** Puts what is written to stdout into `chunks`, until the function it returns is called. */
function catchStdout(chunks: Uint8Array[]): () => void {
  const { stdout } = process
  const original = stdout.write.bind(stdout)
  const take = (chunk: Uint8Array | string, ...rest: unknown[]): boolean => {
    // A copy: the command fills its buffer again once the write is done.
    chunks.push(Buffer.from(typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
    const done = rest.at(-1)
    if (typeof done === 'function') queueMicrotask(() => (done as () => void)())
    return true
  }
  stdout.write = take
  return () => {
    stdout.write = original
  }
}

/** The command as a shell takes it. */
function shown(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll('\n', '\\n')}'`))
    .join(' ')
}

/** Broken at 80 columns as a shell allows. */
function prompt(command: string): string {
  const lines: string[] = []
  let line = '$'
  for (const word of command.split(' ')) {
    if (line.length + word.length + 3 > 80) {
      lines.push(`${line} \\`)
      line = '   '
    }
    line += ` ${word}`
  }
  return [...lines, line].map((each) => paint('bold', each, color)).join('\n')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function show({ text, copy, argv, into, status = 0 }: Step): Promise<boolean> {
  if (text !== undefined) say(`\n${paint('cyan', `# ${text}`, color)}`)
  if (copy !== undefined) {
    say(`\n${prompt(shown(['cp', '-r', ...copy]))}`)
    cpSync(...copy, { recursive: true })
  }
  say(`\n${prompt(shown(['kafkats', ...argv]) + (into === undefined ? '' : ` > ${into}`))}`)
  const chunks: Uint8Array[] = []
  const release = into === undefined ? undefined : catchStdout(chunks)
  process.exitCode = undefined
  try {
    await runCli([...argv], { commands: './src/commands' })
  } finally {
    release?.()
  }
  if (into !== undefined) writeFileSync(into, Buffer.concat(chunks))
  const ended = Number(process.exitCode ?? 0)
  process.exitCode = undefined
  if (ended === status) return true
  process.stderr.write(`The command ended with status ${ended}, expected was ${status}.\n`)
  return false
}

const folder = mkdtempSync(join(tmpdir(), 'kafkats-demo-'))
let ok = true
const leave = (): void => {
  process.chdir('/')
  rmSync(folder, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    leave()
    process.kill(process.pid, signal)
  })
}
try {
  process.chdir(folder)
  symlinkSync(FIXTURES, 'fixtures')
  for (const [name, text] of Object.entries(FILES)) {
    writeFileSync(name, text)
    say(`${prompt(`cat ${name}`)}\n${text}`)
  }
  for (const step of TOUR) {
    ok = await show(step)
    if (!ok) break
  }
} finally {
  leave()
}
say(ok ? `\n${paint('green', 'Done; nothing is left behind.', color)}` : '\nThe tour failed.')
process.exitCode = ok ? 0 : 1
