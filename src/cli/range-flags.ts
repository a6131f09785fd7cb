import { Flags } from '@oclif/core'
import { offsetFlag, timeFlag } from './flags.ts'
import { parseOffset } from './parse.ts'

/** Which records of a partition; spread them into `flags`. */
export const rangeFlags = {
  offset: Flags.custom<bigint | 'earliest' | 'latest'>({
    summary: 'Begin at this offset.',
    helpValue: 'N|earliest|latest',
    noCacheDefault: true,
    exclusive: ['timestamp', 'last'],
    parse: (text) =>
      Promise.resolve(text === 'earliest' || text === 'latest' ? text : parseOffset(text)),
  })(),
  timestamp: timeFlag({
    summary: 'Begin with the first record of this time or later.',
    exclusive: ['last'],
  }),
  last: Flags.integer({ summary: 'Only the last N records.', min: 0, helpValue: 'N' }),
  'until-offset': offsetFlag({ summary: 'End before this offset.' }),
  'until-timestamp': timeFlag({
    summary: 'End before the first record of this time or later.',
  }),
  'max-records': Flags.integer({
    char: 'n',
    summary: 'Print at most N records (batches with --format batches).',
    min: 0,
    helpValue: 'N',
  }),
  isolation: Flags.option({
    summary: 'Whether open and aborted transactions are seen.',
    options: ['read_uncommitted', 'read_committed'] as const,
    default: 'read_uncommitted' as const,
  })(),
  control: Flags.boolean({ summary: 'Control records too, such as transaction markers.' }),
}

/** What the flags select, but for `--max-records`. */
export function selectionOf(flags: {
  readonly offset?: bigint | 'earliest' | 'latest' | undefined
  readonly timestamp?: bigint | undefined
  readonly last?: number | undefined
  readonly 'until-offset'?: bigint | undefined
  readonly 'until-timestamp'?: bigint | undefined
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly control: boolean
  readonly 'max-decompressed-bytes'?: number | undefined
}): RangeSelection {
  return {
    startAt: flags.offset,
    startTimestamp: flags.timestamp,
    last: flags.last,
    endOffset: flags['until-offset'],
    endTimestamp: flags['until-timestamp'],
    isolation: flags.isolation,
    control: flags.control,
    maxDecompressedBytes: flags['max-decompressed-bytes'],
  }
}

export interface RangeSelection {
  readonly startAt: bigint | 'earliest' | 'latest' | undefined
  readonly startTimestamp: bigint | undefined
  readonly last: number | undefined
  readonly endOffset: bigint | undefined
  readonly endTimestamp: bigint | undefined
  readonly isolation: 'read_uncommitted' | 'read_committed'
  readonly control: boolean
  readonly maxDecompressedBytes: number | undefined
}
