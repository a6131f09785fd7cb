import { expect, test } from 'vitest'
import { InvalidConfigError } from '../../src/errors.ts'
import { maxSegmentMs, parseLogConfig } from '../../src/storage/log-config.ts'

test("what is not said has Kafka's default", () => {
  expect(parseLogConfig()).toMatchObject({
    segmentBytes: 1_073_741_824,
    segmentMs: 604_800_000n,
    segmentIndexBytes: 10_485_760,
    indexIntervalBytes: 4096,
    maxMessageBytes: 1_048_588,
    retentionMs: 604_800_000n,
    retentionBytes: -1n,
    deleteRetentionMs: 86_400_000n,
    compact: false,
    delete: true,
    compressionType: 'producer',
    messageTimestampType: 'CreateTime',
    messageTimestampAfterMaxMs: 3_600_000n,
  })
})

test('values are read as Kafka reads them', () => {
  expect(parseLogConfig({ 'cleanup.policy': ' compact , delete' })).toMatchObject({
    compact: true,
    delete: true,
  })
  expect(parseLogConfig({ 'compression.type': 'uncompressed' }).compressionType).toBe('none')
  expect(parseLogConfig({ 'internal.segment.bytes': '14' }).segmentBytes).toBe(14)
  expect(parseLogConfig({ preallocate: 'TRUE' }).preallocate).toBe(true)
  expect(parseLogConfig({ 'min.insync.replicas': '2' })).toEqual(parseLogConfig())
})

test.each([
  ['segment.bytes', '13'],
  ['segment.bytes', '2147483648'],
  ['segment.index.bytes', '3'],
  ['retention.ms', '-2'],
  ['index.interval.bytes', '1.5'],
  ['cleanup.policy', 'compress'],
  ['compression.gzip.level', '0'],
  ['compression.type', 'none'],
  ['min.cleanable.dirty.ratio', '1.1'],
  ['preallocate', 'yes'],
  ['max.compaction.lag.ms', '0'],
  ['segment.byte', '100'],
])('%s=%s is refused', (name, value) => {
  expect(() => parseLogConfig({ [name]: value })).toThrow(InvalidConfigError)
})

test('a compacted topic rolls at its largest lag, too', () => {
  const settings = { 'segment.ms': '1000', 'max.compaction.lag.ms': '500' }
  expect(maxSegmentMs(parseLogConfig(settings))).toBe(1000n)
  expect(maxSegmentMs(parseLogConfig({ ...settings, 'cleanup.policy': 'compact' }))).toBe(500n)
})
