import { Flags } from '@oclif/core'
import { sizeFlag } from './flags.ts'
import { breathe, startProgress, type Progress } from './progress.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** What all benchmarks take. */
export const benchFlags = {
  size: sizeFlag({
    summary: 'How much log a round writes or reads.',
    default: 256 * 1024 * 1024,
    defaultHelp: () => Promise.resolve('256MiB'),
  }),
  'record-size': sizeFlag({
    summary: "Bytes of a record's value; there is no key.",
    default: 1024,
    defaultHelp: () => Promise.resolve('1KiB'),
  }),
  'records-per-batch': Flags.integer({
    summary: 'Records in a batch.',
    helpValue: 'N',
    default: 16,
    min: 1,
  }),
  compression: Flags.option({
    summary: 'Codec of the batches; several, with commas, are measured in turn.',
    options: CODECS,
    multiple: true,
    multipleNonGreedy: true,
    delimiter: ',',
    default: ['none'] as (typeof CODECS)[number][],
  })(),
  dir: Flags.string({
    summary: 'Write into this folder, which must be empty or absent; its files stay.',
    helpValue: 'DIR',
  }),
}

/** How often each mode is measured. */
export const roundsFlag = Flags.integer({
  summary: 'Measure so often [default: 5, and less often what takes longer than 10 s].',
  helpValue: 'N',
  min: 1,
})

/** `all` among the values of a flag stands for every one of them; none is taken twice. */
export function withAll<T extends string>(given: readonly (T | 'all')[], every: readonly T[]): T[] {
  return [...new Set(given.flatMap((value) => (value === 'all' ? every : [value])))]
}

/** What a long run looks at: the progress line, and a moment for signals. */
export const benchWatch = {
  start: (text: string, totalBytes: number): Promise<Progress> =>
    startProgress({ text, totalBytes }),
  breathe,
}

/** The sizes, as a run takes them. */
export function benchSizesOf(flags: {
  readonly size: number
  readonly 'record-size': number
  readonly 'records-per-batch': number
}): { readonly size: number; readonly recordSize: number; readonly recordsPerBatch: number } {
  return {
    size: flags.size,
    recordSize: flags['record-size'],
    recordsPerBatch: flags['records-per-batch'],
  }
}
