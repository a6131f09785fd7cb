import fc from 'fast-check'

/** What an append does to itself to be refused. */
export type Damage = 'none' | 'crc' | 'base-offset' | 'count' | 'cut' | 'control' | 'append-time'

/** One call, described so that it makes sense whatever state the log is in when its turn comes. */
export type Operation =
  | {
      readonly op: 'append'
      readonly as: 'leader' | 'follower'
      /** 0: no producer id. */
      readonly producer: number
      readonly sequence: 'next' | 'again' | 'older' | 'gap' | 'zero' | 'wrap'
      readonly epoch: 'same' | 'next' | 'stale'
      readonly isTransactional: boolean
      readonly count: number
      readonly valueBytes: number
      readonly keys: 'all' | 'some'
      /** Every how many records one has no value; 0: none. */
      readonly tombstoneEvery: number
      readonly firstKey: number
      readonly codec: number
      /** Timestamp of each record relative to the clock; undefined: none. */
      readonly timestamps: readonly (number | undefined)[]
      readonly gap: number
      readonly leaderEpoch: 'same' | 'next' | 'stale'
      readonly damage: Damage
    }
  | {
      readonly op: 'marker'
      readonly as: 'leader' | 'follower'
      readonly producer: number
      readonly type: 'COMMIT' | 'ABORT'
      readonly epoch: 'same' | 'next' | 'stale'
      readonly coordinatorEpoch: 'same' | 'next' | 'stale'
    }
  | {
      readonly op: 'legacy'
      readonly as: 'leader' | 'follower'
      readonly magic: 0 | 1
      readonly codec: number
      readonly count: number
      readonly valueBytes: number
      readonly timestamp: number
    }
  | { readonly op: 'roll' }
  | { readonly op: 'flush' }
  | { readonly op: 'truncateTo'; readonly at: number }
  | { readonly op: 'truncateFullyAndStartAt'; readonly at: number }
  | { readonly op: 'setHighWatermark'; readonly at: number }
  | { readonly op: 'deleteRecordsBefore'; readonly at: number }
  | { readonly op: 'deleteOldSegments' }
  | { readonly op: 'assignEpoch'; readonly ahead: number }
  | { readonly op: 'advanceClock'; readonly ms: number }
  | {
      readonly op: 'read'
      readonly at: number
      readonly maxBytes: number
      readonly isolation: 'LOG_END' | 'HIGH_WATERMARK' | 'TXN_COMMITTED'
      readonly minOneMessage: boolean
    }
  | { readonly op: 'offsetForTimestamp'; readonly back: number }
  | { readonly op: 'endOffsetForEpoch'; readonly epoch: number }
  | { readonly op: 'collectAborted'; readonly from: number; readonly to: number }
  | { readonly op: 'compact'; readonly isFirst: boolean }
  | { readonly op: 'reopen'; readonly clean: boolean; readonly recoverFrom: number }

/** A place in the log as a fraction of it; a little below 0 and above 1 lie outside. */
const place = fc.double({ min: -0.05, max: 1.08, noNaN: true })
const appendedAs = fc.constantFrom<'leader' | 'follower'>('leader', 'leader', 'leader', 'follower')
const epoch = fc.constantFrom<'same' | 'next' | 'stale'>(
  ...(Array(12).fill('same') as 'same'[]),
  'next',
  'stale',
)
const timestamp = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -5000, max: 5000 }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom(4_000_000, -80_000_000, 3_600_000, 3_600_001) },
)

export const append = fc.record({
  op: fc.constant('append' as const),
  as: appendedAs,
  producer: fc.nat(4),
  sequence: fc.constantFrom<'next' | 'again' | 'older' | 'gap' | 'zero' | 'wrap'>(
    ...(Array(14).fill('next') as 'next'[]),
    'again',
    'older',
    'gap',
    'zero',
    'wrap',
  ),
  epoch,
  isTransactional: fc.boolean(),
  count: fc.integer({ min: 1, max: 6 }),
  valueBytes: fc.integer({ min: 0, max: 300 }),
  keys: fc.constantFrom<'all' | 'some'>('all', 'all', 'all', 'some'),
  tombstoneEvery: fc.constantFrom(0, 0, 0, 1, 2, 3),
  firstKey: fc.nat(7),
  codec: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4),
  timestamps: fc.array(timestamp, { minLength: 1, maxLength: 6 }),
  gap: fc.constantFrom(0, 0, 0, 0, 0, 1, 17),
  leaderEpoch: epoch,
  damage: fc.constantFrom<Damage>(
    ...(Array(20).fill('none') as 'none'[]),
    'crc',
    'base-offset',
    'count',
    'cut',
    'control',
    'append-time',
  ),
})

export const marker = fc.record({
  op: fc.constant('marker' as const),
  as: appendedAs,
  producer: fc.integer({ min: 1, max: 4 }),
  type: fc.constantFrom<'COMMIT' | 'ABORT'>('COMMIT', 'ABORT'),
  epoch,
  coordinatorEpoch: epoch,
})

const legacy = fc.record({
  op: fc.constant('legacy' as const),
  as: fc.constantFrom<'leader' | 'follower'>('leader', 'follower'),
  magic: fc.constantFrom<0 | 1>(0, 1),
  codec: fc.constantFrom(0, 0, 1, 2, 3),
  count: fc.integer({ min: 1, max: 4 }),
  valueBytes: fc.integer({ min: 0, max: 200 }),
  timestamp: fc.integer({ min: -5000, max: 5000 }),
})

const compact = fc.record({ op: fc.constant('compact' as const), isFirst: fc.boolean() })

const withoutCompaction: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 30, arbitrary: append },
  { weight: 8, arbitrary: marker },
  { weight: 2, arbitrary: legacy },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('roll' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('truncateTo' as const), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('truncateFullyAndStartAt' as const), at: place }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('setHighWatermark' as const), at: place }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('deleteRecordsBefore' as const), at: place }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('deleteOldSegments' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('assignEpoch' as const),
      ahead: fc.integer({ min: -1, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('advanceClock' as const),
      ms: fc.constantFrom(1, 1000, 20_000, 90_000, 50_000_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      at: place,
      maxBytes: fc.constantFrom(0, 1, 100, 1000, 4096, 1 << 20),
      isolation: fc.constantFrom<'LOG_END' | 'HIGH_WATERMARK' | 'TXN_COMMITTED'>(
        'LOG_END',
        'HIGH_WATERMARK',
        'TXN_COMMITTED',
        'TXN_COMMITTED',
      ),
      minOneMessage: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('offsetForTimestamp' as const),
      back: fc.oneof(
        fc.integer({ min: -6000, max: 10_000 }),
        fc.constantFrom(-1, -2, -3, -4, -5).map((n) => n * 1e15),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('endOffsetForEpoch' as const),
      epoch: fc.integer({ min: -1, max: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('collectAborted' as const), from: place, to: place }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('reopen' as const),
      clean: fc.boolean(),
      recoverFrom: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
)

/** Random calls, appends being the most frequent; compaction in some runs, codecs in the others. */
export const operations: fc.Arbitrary<Operation[]> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(withoutCompaction, { minLength: 1, maxLength: 60, size: 'max' }),
  },
  {
    weight: 1,
    arbitrary: fc.array(
      fc.oneof({ weight: 15, arbitrary: withoutCompaction }, { weight: 1, arbitrary: compact }),
      { minLength: 1, maxLength: 60, size: 'max' },
    ),
  },
)

/** A compacted topic over some time: keyed appends with tombstones and transactions, rolls, and passes of the cleaner. */
export const compactedTopic: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    {
      weight: 20,
      arbitrary: append.map((op) => ({
        ...op,
        keys: 'all' as const,
        damage: 'none' as const,
        as: 'leader' as const,
      })),
    },
    { weight: 6, arbitrary: marker.map((op) => ({ ...op, as: 'leader' as const })) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('roll' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant('advanceClock' as const),
        ms: fc.constantFrom(1000, 60_000, 90_000_000),
      }),
    },
    { weight: 4, arbitrary: compact },
    {
      weight: 1,
      arbitrary: fc.record({
        op: fc.constant('reopen' as const),
        clean: fc.constant(true),
        recoverFrom: fc.constant(1),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('read' as const),
        at: fc.constantFrom(0, 0.3, 0.6),
        maxBytes: fc.constant(1 << 20),
        isolation: fc.constantFrom<'LOG_END' | 'TXN_COMMITTED'>('LOG_END', 'TXN_COMMITTED'),
        minOneMessage: fc.constant(true),
      }),
    },
  ),
  { minLength: 20, maxLength: 80, size: 'max' },
)

/** Calls that make no difference between lengths: codecs of all kinds, also to be built anew, and the cleaner. */
export const recompressing: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .tuple(append, fc.integer({ min: 0, max: 4 }))
        .map(([op, codec]) => ({ ...op, codec, keys: 'all' as const })),
    },
    { weight: 4, arbitrary: marker },
    { weight: 6, arbitrary: legacy },
    { weight: 3, arbitrary: compact },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('roll' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('advanceClock' as const),
        ms: fc.constantFrom(1000, 90_000_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('reopen' as const),
        clean: fc.boolean(),
        recoverFrom: fc.constant(0),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('truncateTo' as const), at: place }) },
  ),
  { minLength: 5, maxLength: 50, size: 'max' },
)

/** Small segments and indexes, so that every kind of roll comes up; retention that bites; both timestamp types. */
export const config: fc.Arbitrary<Record<string, string>> = fc
  .record({
    segmentBytes: fc.constantFrom(700, 2048, 8192, 100_000),
    indexIntervalBytes: fc.constantFrom(0, 100, 512, 4096),
    segmentIndexBytes: fc.constantFrom(64, 256, 1024, 10_240),
    segmentMs: fc.constantFrom(3000, 60_000, 604_800_000),
    retentionMs: fc.constantFrom(-1, 10_000, 604_800_000),
    retentionBytes: fc.constantFrom(-1, 1000, 5000),
    cleanupPolicy: fc.constantFrom('delete', 'delete', 'compact', 'compact,delete'),
    maxMessageBytes: fc.constantFrom(400, 1_048_588),
    timestampType: fc.constantFrom('CreateTime', 'CreateTime', 'CreateTime', 'LogAppendTime'),
    beforeMaxMs: fc.constantFrom('9223372036854775807', '10000000'),
    compressionType: fc.constantFrom('producer', 'producer', 'producer', 'uncompressed'),
    flushMessages: fc.constantFrom('9223372036854775807', '7'),
  })
  .map((c) => ({
    'internal.segment.bytes': String(c.segmentBytes),
    'index.interval.bytes': String(c.indexIntervalBytes),
    // One append of several legacy messages may need several entries, and a full index in its middle breaks Kafka's log.
    'segment.index.bytes': String(
      c.indexIntervalBytes < 512 ? Math.max(c.segmentIndexBytes, 256) : c.segmentIndexBytes,
    ),
    'segment.ms': String(c.segmentMs),
    'retention.ms': String(c.retentionMs),
    'retention.bytes': String(c.retentionBytes),
    'cleanup.policy': c.cleanupPolicy,
    'max.message.bytes': String(c.maxMessageBytes),
    'message.timestamp.type': c.timestampType,
    'message.timestamp.before.max.ms': c.beforeMaxMs,
    'compression.type': c.compressionType,
    'flush.messages': c.flushMessages,
  }))
