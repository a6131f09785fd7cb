import { execFileSync } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  logFiles,
  makePartition,
  makeSparse,
  makeUnclean,
  randomTargets,
  sizeOfLogs,
} from './data.ts'
import type { Peers } from './machine.ts'
import { LineServer, sampleOf, tellOnce, type Answer } from './processes.ts'
import { LATENCY_SHARES, type Sample } from './results.ts'

/** What every measure is given. */
export interface Bench {
  readonly peers: Peers
  /** Where data is, and where runs write. */
  readonly dir: string
  readonly bytes: number
  /** 0: what needs it is left out. */
  readonly bigBytes: number
  /** The log of the data set, which is one segment. */
  readonly source: string
  /** The partition of {@link source}. */
  readonly data: string
  /** Starts a process of the side that stays for the whole group. */
  readonly start: (program: string, args: readonly string[]) => LineServer
}

export interface Case {
  readonly what: string
  readonly run: () => Promise<Sample>
}

/** Cases that are run in turns. */
export interface Group {
  readonly id: string
  readonly title: string
  /** How many times as many runs as asked for: what is short is noisy. */
  readonly times?: number
  /** How many runs of each go first that are not counted; 1 unless given. */
  readonly warmUps?: number
  /** One run of each, whatever was asked for. */
  readonly once?: boolean
  /** Measured only with --big. */
  readonly isBig?: boolean
  readonly cases: (bench: Bench) => Record<string, Case> | Promise<Record<string, Case>>
}

const WIDE_SEGMENTS = 100
const LOOKUPS_INSIDE = 256
const STALLED_READERS = 8
const SMALL_INDEX = fileURLToPath(
  new URL('../../fixtures/broker-4.1.0/payments-0/00000000000000000000.index', import.meta.url),
)

function limitsOf({ peers }: Bench, args: readonly string[]): Promise<Answer> {
  const [program, ...first] = peers.limits
  return tellOnce(program, [...first, ...args])
}

/** Listens on a port until the group is done. */
async function startReader(
  { start, peers }: Bench,
  how: 'copy' | 'drop' | 'stall',
): Promise<{ readonly receiver: LineServer; readonly port: number }> {
  const [program, ...first] = peers.limits
  const receiver = start(program, [...first, 'reader', how])
  const { port = 0 } = await receiver.next()
  return { receiver, port }
}

/** A case that needs hardware CRC-32C, which only C has. */
function onlyInC(bench: Bench, cases: Record<string, Case>): Record<string, Case> {
  return bench.peers.native === 'C' ? cases : {}
}

/** A whole process, from its start to its end; by default its output goes to a pipe that is read. */
function program(bench: Bench, what: string, argv: readonly string[], bytes: number): Case {
  return {
    what,
    run: async () => {
      const answer = await limitsOf(bench, ['run', 'drain', '--', ...argv])
      if (answer.status !== 0) throw new Error(`${what} ended with status ${answer.status}`)
      return { ...sampleOf(answer), bytes }
    },
  }
}

function kafkats(bench: Bench, args: readonly string[], bytes: number): Case {
  const shown = shownAs(args)
  return program(bench, `kafkats ${shown}`, [process.execPath, bench.peers.kafkats, ...args], bytes)
}

/** Without what differs from run to run. */
function shownAs(args: readonly string[]): string {
  return args.map((arg) => (arg.startsWith('/') ? 'PATH' : arg.replace(/:\d+$/, ':PORT'))).join(' ')
}

function dumpLog(bench: Bench, args: readonly string[], bytes: number): Case {
  const shown = shownAs(args)
  return program(
    bench,
    `kafka-dump-log.sh ${shown}`,
    ['java', ...bench.peers.java.dumpLog, ...args],
    bytes,
  )
}

function c(bench: Bench, what: string, args: readonly string[]): Case {
  return {
    what: `${bench.peers.native}: ${what}`,
    run: async () => sampleOf(await limitsOf(bench, args)),
  }
}

function asked(server: LineServer, what: string, command: object): Case {
  return { what, run: () => server.ask(command) }
}

function node(bench: Bench): LineServer {
  return bench.start(process.execPath, bench.peers.side)
}

function jvm(bench: Bench): LineServer {
  return bench.start('java', bench.peers.java.engine)
}

/** Nothing that an earlier run left to be written may disturb this one. */
function settled(each: Case): Case {
  return {
    what: each.what,
    run: () => {
      execFileSync('sync')
      return each.run()
    },
  }
}

function scratch(bench: Bench, name: string): string {
  return join(bench.dir, 'scratch', name)
}

/** Before each run the partition is made unclean again. */
function unclean(bench: Bench, source: string, name: string, of: (dir: string) => Case): Case {
  const dir = scratch(bench, name)
  const each = of(dir)
  return settled({
    what: each.what,
    run: () => {
      makeUnclean(source, dir)
      return each.run()
    },
  })
}

async function streams(bench: Bench, reader: 'copy' | 'drop'): Promise<Record<string, Case>> {
  const { data, source } = bench
  const { receiver, port } = await startReader(bench, reader)
  const side = node(bench)
  const { size } = statSync(source)
  /** The reader's time, from its first byte to its last, and the sender's CPU. */
  const timed = (each: Case): Case => ({
    what: each.what,
    run: async () => {
      const sent = await each.run()
      const { bytes, seconds } = sampleOf(await receiver.next())
      if (bytes !== size) throw new Error(`${each.what}: ${bytes} of ${size} bytes arrived`)
      return { ...sent, bytes, seconds }
    },
  })
  const send = (method: string): Case =>
    timed(asked(side, `kafkats: ${method}`, { cmd: 'send', dir: data, source, method, port }))
  const command = (method: string): Case =>
    timed(
      kafkats(
        bench,
        ['stream', data, '--to', `tcp://127.0.0.1:${port}`, '--method', method],
        bench.bytes,
      ),
    )
  return {
    'command-sendfile': command('sendfile'),
    'command-copy': command('copy'),
    'kafkats-sendfile': send('sendfile'),
    'c-sendfile': timed(c(bench, 'sendfile', ['send', 'sendfile', String(port), source])),
    'kafkats-copy': send('copy'),
    'c-copy': timed(c(bench, 'pread and write', ['send', 'copy', String(port), source])),
    pipe: { ...send('pipe'), what: 'Node: createReadStream().pipe()' },
  }
}

function lookups(bench: Bench): Record<string, Case> {
  const widths = {
    wide: { segments: WIDE_SEGMENTS, dir: makeSparse(join(bench.dir, 'wide-0'), WIDE_SEGMENTS) },
    narrow: { segments: 1, dir: makeSparse(join(bench.dir, 'narrow-0'), 1) },
  }
  const side = node(bench)
  const cases: Record<string, Case> = {}
  for (const what of ['timestamp', 'offset'] as const) {
    for (const [width, { segments, dir }] of Object.entries(widths)) {
      // Always the same places, which the warm-up brings into the page cache: only the partition's size may tell.
      const targets = randomTargets(what, { segments, count: LOOKUPS_INSIDE })
      let next = 0
      const command = (target: string): string[] =>
        what === 'timestamp'
          ? ['offsets', dir, '--timestamp', target]
          : ['read', dir, '--offset', target, '--max-records', '1']
      const size = `${segments} GiB`
      cases[`${what}-process-${width}`] = {
        what: `kafkats ${command('N').join(' ').replace(dir, size)}`,
        run: () => kafkats(bench, command(targets[next++ % targets.length] ?? ''), 0).run(),
      }
      cases[`${what}-inside-${width}`] = {
        what: `one ${what} of ${LOOKUPS_INSIDE} in ${size}`,
        run: async () => {
          const command = { cmd: 'lookup', dir, what, targets }
          const sample = await side.ask(command)
          return { ...sample, seconds: sample.seconds / LOOKUPS_INSIDE }
        },
      }
    }
  }
  return cases
}

/** What may not grow with the data. */
async function memory(
  bench: Bench,
  options: { readonly dir: string; readonly bytes: number; readonly name: string },
): Promise<Record<string, Case>> {
  const { dir, bytes, name } = options
  const { source } = bench
  const { receiver, port } = await startReader(bench, 'drop')
  const write = scratch(bench, `${name}-append-0`)
  const own = (what: string, command: object): Case => ({
    what,
    // a process of its own, so that nobody else's memory counts
    run: async () => {
      const side = new LineServer(process.execPath, bench.peers.side)
      try {
        return await side.ask(command)
      } finally {
        await side.close()
      }
    },
  })
  const printed = ['--format', 'kafka', '--deep-iteration', '--print-data-log']
  const all: Record<string, Case> = {
    verify: kafkats(bench, ['verify', dir], bytes),
    'verify-deep': kafkats(bench, ['verify', '--deep', dir], bytes),
    dump: kafkats(bench, ['dump', ...printed, ...logFiles(dir)], bytes),
    read: kafkats(bench, ['read', dir], bytes),
    recover: unclean(bench, dir, `${name}-recover-0`, (at) =>
      kafkats(bench, ['recover', at], bytes),
    ),
    append: own('append of ready batches, in a program', {
      cmd: 'appendOn',
      dir: write,
      source,
      bytes,
    }),
    'append-records': own('append from records of 100 bytes, in a program', {
      cmd: 'appendRecords',
      dir: write,
      bytes,
      recordSize: 100,
    }),
    'read-library': own('all records, in a program', { cmd: 'read', dir }),
  }
  for (const method of ['sendfile', 'copy'] as const) {
    const each = own(`transfer by ${method}, in a program`, {
      cmd: 'send',
      dir,
      source,
      method,
      port,
    })
    all[method] = {
      what: each.what,
      run: async () => {
        const sample = await each.run()
        await receiver.next()
        return sample
      },
    }
  }
  return all
}

export const GROUPS: readonly Group[] = [
  {
    id: 'limits',
    title: 'limits of the machine',
    cases: (bench) => {
      const { source } = bench
      const file = scratch(bench, 'limit')
      const write = (chunk: number): Case =>
        settled(
          c(bench, `writes of ${chunk / 1024} KiB into the page cache`, [
            'write',
            file,
            String(bench.bytes),
            String(chunk),
          ]),
        )
      return {
        'read-256k': c(bench, 'pread of a hot file, 256 KiB', ['pread', source, '262144']),
        'read-1m': c(bench, 'pread of a hot file, 1 MiB', ['pread', source, '1048576']),
        memory: c(bench, 'memory copy', ['memcpy', String(bench.bytes * 2)]),
        ...onlyInC(bench, { crc: c(bench, 'pread and hardware CRC-32C', ['crc', source]) }),
        'write-16k': write(16384),
        'write-64k': write(65536),
        'write-1m': write(2 ** 20),
      }
    },
  },
  {
    id: 'verify',
    title: 'verify, whole process',
    cases: (bench) => ({
      kafkats: kafkats(bench, ['verify', bench.data], bench.bytes),
      kafka: dumpLog(bench, ['--files', bench.source], bench.bytes),
    }),
  },
  {
    id: 'verify-inside',
    title: 'verify, inside the process',
    cases: (bench) => {
      const { data, source } = bench
      const side = node(bench)
      return {
        'one-thread': asked(side, 'verify, one thread', { cmd: 'verify', dir: data, threads: 1 }),
        ...onlyInC(bench, { 'c-crc': c(bench, 'pread and hardware CRC-32C', ['crc', source]) }),
        'two-threads': asked(side, 'verify, two threads', { cmd: 'verify', dir: data, threads: 2 }),
        'read-sync': asked(side, 'Node: readSync into an aligned buffer', {
          cmd: 'readAligned',
          source,
        }),
      }
    },
  },
  {
    id: 'verify-deep',
    title: 'verify --deep, whole process',
    cases: (bench) => ({
      kafkats: kafkats(bench, ['verify', '--deep', bench.data], bench.bytes),
      kafka: program(
        bench,
        'Kafka: FileRecords, all records (whole JVM)',
        [
          'java',
          ...bench.peers.java.tool,
          JSON.stringify({ cmd: 'iterate', files: [bench.source] }),
        ],
        bench.bytes,
      ),
    }),
  },
  {
    id: 'dump',
    title: 'dump of all records',
    cases: (bench) => {
      const { source, bytes } = bench
      const options = ['--deep-iteration', '--print-data-log']
      return {
        kafkats: kafkats(bench, ['dump', '--format', 'kafka', ...options, source], bytes),
        kafka: dumpLog(bench, [...options, '--files', source], bytes),
      }
    },
  },
  {
    id: 'append',
    title: 'append of ready batches',
    warmUps: 2,
    cases: (bench) => {
      const { bytes, source } = bench
      const command = { cmd: 'append', source, bytes, shares: LATENCY_SHARES }
      const file = scratch(bench, 'writes')
      return {
        kafkats: settled(
          asked(node(bench), 'Log.appendAsLeader', { ...command, dir: scratch(bench, 'ours-0') }),
        ),
        kafka: settled(
          asked(jvm(bench), 'UnifiedLog.appendAsLeader, JVM warmed', {
            ...command,
            dir: scratch(bench, 'theirs-0'),
          }),
        ),
        'c-write': settled(c(bench, 'writes of 16 KiB', ['write', file, String(bytes), '16384'])),
      }
    },
  },
  {
    id: 'append-records',
    title: 'append from records',
    warmUps: 4,
    cases: (bench) => {
      const command = { cmd: 'appendRecords', bytes: Math.ceil(bench.bytes / 4), recordSize: 100 }
      return {
        kafkats: settled(
          asked(node(bench), 'BatchBuilder and Log.appendAsLeader', {
            ...command,
            dir: scratch(bench, 'ours-0'),
          }),
        ),
        kafka: settled(
          asked(jvm(bench), 'MemoryRecordsBuilder and appendAsLeader, JVM warmed', {
            ...command,
            dir: scratch(bench, 'theirs-0'),
          }),
        ),
      }
    },
  },
  {
    id: 'read',
    title: 'all records, inside the process',
    warmUps: 2,
    cases: (bench) => {
      const { data, source } = bench
      const side = node(bench)
      return {
        kafkats: asked(side, 'Log.batches, ensureValid, records', { cmd: 'read', dir: data }),
        kafka: asked(jvm(bench), 'FileRecords, ensureValid, records, JVM warmed', {
          cmd: 'iterate',
          files: [source],
        }),
        'verify-deep': asked(side, 'verify --deep, one thread', {
          cmd: 'verifyDeep',
          dir: data,
          threads: 1,
        }),
      }
    },
  },
  {
    id: 'recover',
    title: 'recovery without indexes',
    cases: (bench) => {
      const { bytes, data, peers } = bench
      const open = (server: LineServer, what: string, name: string): Case =>
        unclean(bench, data, name, (dir) => asked(server, what, { cmd: 'open', dir }))
      return {
        kafkats: unclean(bench, data, 'recover-ours-0', (dir) =>
          kafkats(bench, ['recover', dir], bytes),
        ),
        kafka: unclean(bench, data, 'recover-theirs-0', (dir) =>
          program(
            bench,
            'Kafka: UnifiedLog.create (whole JVM)',
            ['java', ...peers.java.tool, JSON.stringify({ cmd: 'open', dir })],
            bytes,
          ),
        ),
        'kafkats-open': open(node(bench), 'Log.open', 'open-ours-0'),
        'kafka-warm': open(jvm(bench), 'UnifiedLog.create, JVM warmed', 'open-theirs-0'),
      }
    },
  },
  {
    id: 'stream',
    title: 'loopback socket, reader copies',
    cases: (bench) => streams(bench, 'copy'),
  },
  {
    id: 'stream-drop',
    title: 'loopback socket, reader discards',
    cases: (bench) => streams(bench, 'drop'),
  },
  {
    id: 'stalled',
    title: 'readers that do not read',
    cases: async (bench) => {
      const { port } = await startReader(bench, 'stall')
      const side = node(bench)
      const stalled = (method: string): Case =>
        asked(side, `longest delay, ${method} to ${STALLED_READERS} stalled readers`, {
          cmd: 'stall',
          dir: bench.data,
          method,
          port,
          readers: STALLED_READERS,
          ms: 1000,
        })
      return { 'delay-sendfile': stalled('sendfile'), 'delay-copy': stalled('copy') }
    },
  },
  {
    id: 'start',
    title: 'start-up',
    times: 4,
    cases: (bench) => ({
      version: kafkats(bench, ['--version'], 0),
      node: program(bench, 'node -e 0', [process.execPath, '-e', '0'], 0),
      'dump-index': kafkats(bench, ['dump-index', SMALL_INDEX], statSync(SMALL_INDEX).size),
      'kafka-version': dumpLog(bench, ['--version'], 0),
    }),
  },
  { id: 'lookup', title: 'random lookups', times: 4, cases: lookups },
  {
    id: 'memory',
    title: 'memory',
    once: true,
    warmUps: 0,
    cases: (bench) => memory(bench, { dir: bench.data, bytes: bench.bytes, name: 'memory' }),
  },
  {
    id: 'memory-big',
    title: 'memory with more data',
    once: true,
    warmUps: 0,
    isBig: true,
    cases: (bench) => {
      const dir = makePartition(join(bench.dir, 'big-0'), bench.bigBytes)
      return memory(bench, { dir, bytes: sizeOfLogs(dir), name: 'big' })
    },
  },
]

/** What runs left behind. */
export function clearScratch(bench: Bench): void {
  rmSync(scratch(bench, ''), { recursive: true, force: true })
}
