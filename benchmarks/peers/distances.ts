import { spreadOfCase, type Results } from './results.ts'

/** A path through the engine, and what the machine allows of it. */
interface Path {
  readonly what: string
  readonly group: string
  readonly case: string
  readonly limit: { readonly what: string; readonly group: string; readonly case: string }
}

const CRC = { what: 'pread and CRC-32C in C', group: 'limits', case: 'crc' }
const WRITE = { what: 'writes of 16 KiB in C', group: 'limits', case: 'write-16k' }

const PATHS: readonly Path[] = [
  {
    what: 'verify, one thread',
    group: 'verify-inside',
    case: 'one-thread',
    limit: { ...CRC, group: 'verify-inside', case: 'c-crc' },
  },
  {
    what: 'verify, two threads',
    group: 'verify-inside',
    case: 'two-threads',
    limit: { ...CRC, group: 'verify-inside', case: 'c-crc' },
  },
  { what: 'verify --deep, one thread', group: 'read', case: 'verify-deep', limit: CRC },
  { what: 'read all records', group: 'read', case: 'kafkats', limit: CRC },
  { what: 'open after a crash', group: 'recover', case: 'kafkats-open', limit: CRC },
  {
    what: 'append ready batches',
    group: 'append',
    case: 'kafkats',
    limit: { ...WRITE, group: 'append', case: 'c-write' },
  },
  { what: 'append 100-byte records', group: 'append-records', case: 'kafkats', limit: WRITE },
  {
    what: 'stream, sendfile',
    group: 'stream-drop',
    case: 'kafkats-sendfile',
    limit: { what: 'sendfile in C', group: 'stream-drop', case: 'c-sendfile' },
  },
  {
    what: 'stream, copy',
    group: 'stream-drop',
    case: 'kafkats-copy',
    limit: { what: 'pread and write in C', group: 'stream-drop', case: 'c-copy' },
  },
]

export interface Distance {
  readonly what: string
  readonly limit: string
  /** MiB/s. */
  readonly rate: number
  readonly limitRate: number
}

/** Medians; paths that were not measured are left out. */
export function distancesOf(results: Results): Distance[] {
  return PATHS.flatMap(({ what, group, case: name, limit }) => {
    const rate = spreadOfCase(results, group, name, 'rate')?.median
    const limitRate = spreadOfCase(results, limit.group, limit.case, 'rate')?.median
    if (rate === undefined || limitRate === undefined) return []
    return [{ what, limit: limit.what, rate, limitRate }]
  })
}
