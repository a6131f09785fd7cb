import { bar, formatBytes, formatCount, formatTime, renderTable } from './table.ts'

interface Sizes {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly max: number
  readonly histogram: readonly { readonly upTo: number; readonly count: number }[]
}

interface Count {
  readonly count: number
  readonly approximate: boolean
}

/** A partition as `stats` shows it. */
export interface ShownStats {
  readonly partition: string
  readonly segments: number
  readonly bytes: number
  readonly batches: number
  readonly records: number
  readonly firstTimestamp: bigint | null
  readonly lastTimestamp: bigint | null
  readonly batchBytes: Sizes | null
  readonly recordBytes: Sizes | null
  readonly keyBytes: Sizes | null
  readonly valueBytes: Sizes | null
  readonly nullKeys: number
  readonly nullValues: number
  readonly keys: Count
  readonly producers: Count
  readonly compression: object
}

interface Codec {
  readonly batches: number
  readonly bytes: number
  readonly uncompressedBytes: number
  readonly ratio: number
}

const BAR = 24

/** One partition as text: sums, codecs, and sizes with bars. */
export function statsText(stats: ShownStats, options: { readonly width: number }): string {
  const parts = [sumsText(stats), codecTable(stats, options.width)]
  parts.push(sizeTable(stats, options.width))
  for (const [name, sizes] of [
    ['batches', stats.batchBytes],
    ['records', stats.recordBytes],
  ] as const) {
    if (sizes !== null) parts.push(histogramTable(name, sizes, options.width))
  }
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function sumsText(stats: ShownStats): string {
  const { firstTimestamp: first, lastTimestamp: last } = stats
  const plural = (n: number, noun: string): string =>
    `${formatCount(n)} ${noun}${n === 1 ? '' : 's'}`
  const counted = ({ count, approximate }: Count): string =>
    `${approximate ? 'about ' : ''}${formatCount(count)}`
  return [
    `${stats.partition}: ${formatBytes(stats.bytes)} in ${plural(stats.segments, 'segment')}, ${stats.batches === 1 ? '1 batch' : `${formatCount(stats.batches)} batches`}, ${plural(stats.records, 'record')}`,
    ...(first === null || last === null
      ? []
      : [`from ${formatTime(first)} to ${formatTime(last)}`]),
    `different keys ${counted(stats.keys)}, producers ${counted(stats.producers)}, null keys ${formatCount(stats.nullKeys)}, null values ${formatCount(stats.nullValues)}`,
  ].join('\n')
}

function codecTable({ compression }: ShownStats, width: number): string {
  const codecs = Object.entries(compression) as [string, Codec][]
  if (codecs.length === 0) return ''
  return renderTable({
    width,
    head: ['codec', 'batches', 'on disk', 'uncompressed', 'ratio'],
    align: ['left', 'right', 'right', 'right', 'right'],
    rows: codecs.map(([name, { batches, bytes, uncompressedBytes, ratio }]) => [
      name,
      formatCount(batches),
      formatBytes(bytes),
      formatBytes(uncompressedBytes),
      `${ratio}x`,
    ]),
  })
}

function sizeTable(stats: ShownStats, width: number): string {
  const { batchBytes, recordBytes, keyBytes, valueBytes } = stats
  const rows = Object.entries({
    batch: batchBytes,
    record: recordBytes,
    key: keyBytes,
    value: valueBytes,
  })
  if (batchBytes === null) return ''
  return renderTable({
    width,
    head: ['size of a', 'min', 'mean', 'max'],
    align: ['left', 'right', 'right', 'right'],
    rows: rows.flatMap(([name, sizes]) =>
      sizes === null ? [] : [[name, ...[sizes.min, sizes.mean, sizes.max].map(formatBytes)]],
    ),
  })
}

function histogramTable(name: string, { count, histogram }: Sizes, width: number): string {
  const most = Math.max(...histogram.map((bucket) => bucket.count))
  return renderTable({
    width,
    head: ['up to', name, '', 'share'],
    align: ['right', 'right', 'left', 'right'],
    rows: histogram.map((bucket) => [
      formatBytes(bucket.upTo),
      formatCount(bucket.count),
      bar(bucket.count, most, BAR).padEnd(BAR),
      `${((bucket.count / count) * 100).toFixed(1)} %`,
    ]),
  })
}
