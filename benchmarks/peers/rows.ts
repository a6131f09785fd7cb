import { caseOf, spreadOfCase, UNITS, type Figure, type Results } from './results.ts'
import { median, type Spread } from './statistics.ts'

/** A line of the table: two cases of one group, and how they should stand to each other. */
export interface Row {
  readonly id: string
  readonly group: string
  /** What kafkats does. */
  readonly work: string
  readonly against: string
  /** Case of kafkats. */
  readonly kafkats: string
  /** Case it is compared with; none where only kafkats' own figure counts. */
  readonly peer?: string
  readonly figure: Figure
  /**
   *   faster      how many times as fast as the peer: of rates kafkats by peer, of times peer by kafkats
   *   share       kafkats' figure by the peer's
   *   difference  kafkats' figure less the peer's
   *   itself      kafkats' figure
   */
  readonly compare: 'faster' | 'share' | 'difference' | 'itself'
  /** None: shown to give the others their place. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number }
}

const LIMIT_MB = 200
/** Less is not told from noise. */
const SAME = 1.15

/** The command where the reader copies, the engine's call where it discards: two ways to ask for the same. */
function stream(method: 'sendfile' | 'copy'): Row[] {
  const c = method === 'sendfile' ? 'sendfile(2) in C' : 'pread and write in C'
  return (
    [
      ['stream', `\`stream --method ${method}\`, reader copies`, `command-${method}`],
      ['stream-drop', `\`transfer\` by ${method}, reader discards`, `kafkats-${method}`],
    ] as const
  ).flatMap(([group, work, kafkats]): Row[] => {
    const common = { group, work, kafkats, figure: 'rate', compare: 'faster' } as const
    const pipe = 'createReadStream().pipe()'
    return [
      {
        id: `${group}-${method}`,
        against: c,
        peer: `c-${method}`,
        target: { atLeast: 0.9 },
        ...common,
      },
      {
        id: `${group}-${method}-pipe`,
        against: pipe,
        peer: 'pipe',
        target: { atLeast: 4 },
        ...common,
      },
    ]
  })
}

function lookup(what: 'timestamp' | 'offset', how: 'process' | 'inside'): Row {
  const command = what === 'timestamp' ? '`offsets --timestamp`' : '`read --offset`'
  const call = what === 'timestamp' ? '`Log.offsetForTimestamp`' : '`Log.batches` from an offset'
  return {
    id: `lookup-${what}-${how}`,
    group: 'lookup',
    work: `${how === 'process' ? command : call} at random in 100 GiB`,
    against: 'the same in 1 GiB (time of the large by time of the small)',
    kafkats: `${what}-${how}-wide`,
    peer: `${what}-${how}-narrow`,
    figure: 'time',
    compare: 'share',
    target: { atMost: SAME },
  }
}

export const ROWS: readonly Row[] = [
  {
    id: 'verify',
    group: 'verify',
    work: '`verify`, whole process, two cores',
    against: 'kafka-dump-log.sh without deep iteration',
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'time',
    compare: 'faster',
    target: { atLeast: 5 },
  },
  {
    id: 'verify-one-thread',
    group: 'verify-inside',
    work: '`verify`, one thread, inside the process',
    against: 'C: pread and hardware CRC-32C',
    kafkats: 'one-thread',
    peer: 'c-crc',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 0.55 },
  },
  {
    id: 'verify-two-threads',
    group: 'verify-inside',
    work: '`verify`, two threads, inside the process',
    against: 'C: pread and hardware CRC-32C (one thread)',
    kafkats: 'two-threads',
    peer: 'c-crc',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 0.825 },
  },
  {
    id: 'verify-threads',
    group: 'verify-inside',
    work: '`verify`, two threads, inside the process',
    against: 'itself with one thread',
    kafkats: 'two-threads',
    peer: 'one-thread',
    figure: 'rate',
    compare: 'faster',
  },
  {
    id: 'verify-read-sync',
    group: 'verify-inside',
    work: '`verify`, one thread, inside the process',
    against: '`readSync` into an aligned buffer, no checksum',
    kafkats: 'one-thread',
    peer: 'read-sync',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 0.22 },
  },
  {
    id: 'verify-deep',
    group: 'verify-deep',
    work: '`verify --deep`, whole process',
    against: "Kafka's FileRecords iterating all records, whole JVM",
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'time',
    compare: 'faster',
    target: { atLeast: 2 },
  },
  {
    id: 'verify-deep-inside',
    group: 'read',
    work: '`verify --deep`, one thread, inside the process',
    against: "Kafka's FileRecords iterating all records, JVM warmed",
    kafkats: 'verify-deep',
    peer: 'kafka',
    figure: 'rate',
    compare: 'faster',
  },
  {
    id: 'dump',
    group: 'dump',
    work: '`dump --format kafka --deep-iteration --print-data-log` to a pipe',
    against: 'kafka-dump-log.sh, same output',
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'time',
    compare: 'faster',
    target: { atLeast: 3 },
  },
  {
    id: 'append',
    group: 'append',
    work: 'append of ready batches, leader path',
    against: 'UnifiedLog.appendAsLeader, JVM warmed',
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 2 },
  },
  {
    id: 'append-writes',
    group: 'append',
    work: 'append of ready batches, leader path',
    against: 'C: a bare loop of 16 KiB writes',
    kafkats: 'kafkats',
    peer: 'c-write',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 0.5 },
  },
  {
    id: 'append-records',
    group: 'append-records',
    work: 'append from records of 100 bytes, uncompressed',
    against: 'MemoryRecordsBuilder and appendAsLeader, JVM warmed',
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 1 },
  },
  {
    id: 'read',
    group: 'read',
    work: 'all records through the library',
    against: "Kafka's FileRecords iterating all records, JVM warmed",
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 1 },
  },
  {
    id: 'recover',
    group: 'recover',
    work: '`recover` of an unclean partition without indexes, whole process',
    against: "Kafka's engine opening it, whole JVM",
    kafkats: 'kafkats',
    peer: 'kafka',
    figure: 'time',
    compare: 'faster',
    target: { atLeast: 3 },
  },
  {
    id: 'recover-inside',
    group: 'recover',
    work: '`Log.open` of an unclean partition without indexes',
    against: "Kafka's engine opening it, JVM warmed",
    kafkats: 'kafkats-open',
    peer: 'kafka-warm',
    figure: 'time',
    compare: 'faster',
  },
  ...stream('sendfile'),
  ...stream('copy'),
  {
    id: 'sendfile-rate',
    group: 'stream-drop',
    work: '`transfer`, sendfile, reader discards',
    against: '`transfer`, copy',
    kafkats: 'kafkats-sendfile',
    peer: 'kafkats-copy',
    figure: 'rate',
    compare: 'faster',
    target: { atLeast: 1.2 },
  },
  {
    id: 'sendfile-cpu',
    group: 'stream-drop',
    work: '`transfer`, sendfile, reader discards: CPU for a GiB',
    against: '`transfer`, copy',
    kafkats: 'kafkats-sendfile',
    peer: 'kafkats-copy',
    figure: 'cpu',
    compare: 'share',
    target: { atMost: 0.8 },
  },
  {
    id: 'stalled-readers',
    group: 'stalled',
    work: 'longest delay of the event loop, sendfile to 8 stalled readers',
    against: '–',
    kafkats: 'delay-sendfile',
    figure: 'time',
    compare: 'itself',
    target: { atMost: 10 },
  },
  {
    id: 'start',
    group: 'start',
    work: '`kafkats --version`',
    against: 'kafka-dump-log.sh --version',
    kafkats: 'version',
    peer: 'kafka-version',
    figure: 'time',
    compare: 'faster',
    target: { atLeast: 3 },
  },
  {
    id: 'start-version',
    group: 'start',
    work: '`kafkats --version`: ms more',
    against: '`node -e 0`',
    kafkats: 'version',
    peer: 'node',
    figure: 'time',
    compare: 'difference',
    target: { atMost: 30 },
  },
  {
    id: 'start-dump-index',
    group: 'start',
    work: '`dump-index` of a small file: ms more',
    against: '`node -e 0`',
    kafkats: 'dump-index',
    peer: 'node',
    figure: 'time',
    compare: 'difference',
    target: { atMost: 100 },
  },
  lookup('timestamp', 'process'),
  lookup('timestamp', 'inside'),
  lookup('offset', 'process'),
  lookup('offset', 'inside'),
]

/** A row with what was measured. */
export interface Comparison {
  readonly row: Row
  readonly unit: string
  readonly kafkats: Spread
  readonly peer: Spread | undefined
  /** What {@link Row.compare} says, of the medians. */
  readonly ratio: number
  /** The same of CPU time, all threads together, which other work on the machine disturbs less; undefined where that says nothing. */
  readonly cpuRatio: number | undefined
  /** Undefined without a target. */
  readonly isReached: boolean | undefined
  /** 1 where the target is just reached, more where it is passed, whichever way it points; undefined without a target. */
  readonly toTarget: number | undefined
}

/** Rows whose cases were measured, in the order of {@link ROWS}. */
export function compareAll(results: Results): Comparison[] {
  return ROWS.flatMap((row) => compareRow(results, row) ?? [])
}

function compareRow(results: Results, row: Row): Comparison | undefined {
  const kafkats = spreadOfCase(results, row.group, row.kafkats, row.figure)
  const peer =
    row.peer === undefined ? undefined : spreadOfCase(results, row.group, row.peer, row.figure)
  if (kafkats === undefined || (row.peer !== undefined && peer === undefined)) return undefined
  const ratio = ratioOf(row, kafkats.median, peer?.median ?? Number.NaN)
  const cpuRatio = row.compare === 'faster' ? cpuRatioOf(results, row) : undefined
  return {
    row,
    unit: UNITS[row.figure],
    kafkats,
    peer,
    ratio,
    cpuRatio,
    ...judge(row.target, ratio),
  }
}

/** How many times as little CPU as the peer. */
function cpuRatioOf(results: Results, { group, kafkats, peer = '' }: Row): number | undefined {
  const [own = Number.NaN, other = Number.NaN] = [kafkats, peer].map((name) =>
    median((caseOf(results, group, name)?.samples ?? []).map(({ cpuSeconds }) => cpuSeconds)),
  )
  return own > 0 && other > 0 ? other / own : undefined
}

function ratioOf({ compare, figure }: Row, kafkats: number, peer: number): number {
  switch (compare) {
    case 'faster':
      return figure === 'rate' ? kafkats / peer : peer / kafkats
    case 'share':
      return kafkats / peer
    case 'difference':
      return kafkats - peer
    case 'itself':
      return kafkats
  }
}

function judge(target: Row['target'], ratio: number): Pick<Comparison, 'isReached' | 'toTarget'> {
  if (target === undefined) return { isReached: undefined, toTarget: undefined }
  if ('atLeast' in target) {
    return { isReached: ratio >= target.atLeast, toTarget: ratio / target.atLeast }
  }
  // A difference can be negative: that passes any bound by far.
  return { isReached: ratio <= target.atMost, toTarget: target.atMost / Math.max(ratio, 1e-3) }
}

/** A way of using kafkats and the memory it took, with the usual and with ten times as much data. */
export interface MemoryRow {
  readonly what: string
  readonly megabytes: number
  readonly bigMegabytes: number | undefined
  /** Below 200 MB, and no more with ten times the data than noise; undefined until that was measured. */
  readonly isReached: boolean | undefined
}

/** Largest of all runs. What runs inside one process and is measured only at one size is left out. */
export function memoryRows(results: Results): MemoryRow[] {
  const small = results.groups['memory']?.cases ?? {}
  const big = results.groups['memory-big']?.cases ?? {}
  return Object.entries(small).map(([name, { what, samples }]) => {
    const megabytes = peak(samples)
    const bigCase = big[name]
    if (bigCase === undefined) {
      return { what, megabytes, bigMegabytes: undefined, isReached: undefined }
    }
    const bigMegabytes = peak(bigCase.samples)
    const isReached =
      Math.max(megabytes, bigMegabytes) < LIMIT_MB && bigMegabytes <= megabytes * SAME
    return { what, megabytes, bigMegabytes, isReached }
  })
}

function peak(samples: readonly { readonly maxRssBytes: number }[]): number {
  return Math.max(...samples.map(({ maxRssBytes }) => maxRssBytes)) / 1e6
}
