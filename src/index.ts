/** kafkats as a library: Kafka's log engine and its record formats. */
export * from './errors.ts'
export type { Batch, ReadRecordsOptions, TimestampType } from './records/batch.ts'
export {
  BatchBuilder,
  buildEndTransactionMarker,
  type BatchBuilderOptions,
} from './records/batch-builder.ts'
export { batchAt, batchesIn, completeBytes } from './records/batches.ts'
export { COMPRESSION_TYPES, type CompressionType } from './records/compression.ts'
export {
  readControlRecordType,
  readEndTransactionMarker,
  type ControlRecordType,
  type EndTransactionMarker,
} from './records/control-record.ts'
export { LegacyBatch } from './records/legacy-message.ts'
export { RecordBatch } from './records/record-batch.ts'
export type { LogRecord, RecordHeader, RecordInput } from './records/record.ts'
export * from './storage/index.ts'
