/** The engine's public door: what a server and other programs build on. */
export { Log } from './log.ts'
export type {
  Isolation,
  IterateOptions,
  LogAppend,
  LogOptions,
  ReadOptions,
} from './log-options.ts'
export {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  MAX_TIMESTAMP,
  type OffsetForTimestamp,
} from './timestamp-lookup.ts'
export type { AppendInfo } from './append-info.ts'
export type { AppendOutcome } from './log-append.ts'
export { AbortedFilter } from './aborted-filter.ts'
export type { AbortedTransaction, FetchData, OffsetMetadata } from './fetch.ts'
export { diskFileSystem, replaceFile, type FileSystem, type OpenFile } from './file-system.ts'
export { parseLogConfig, type ConfigProperties, type LogConfig } from './log-config.ts'
export type { LoadFinding } from './log-loader.ts'
export type { AppendOrigin } from './producer-append-info.ts'
export type { ProducerStateEntry } from './producer-state-entry.ts'
export type { LogSegment, LogSlice } from './segment.ts'
export {
  canSendfile,
  transfer,
  TRANSFER_METHODS,
  type TransferMethod,
  type TransferOptions,
  type TransferResult,
} from './transfer.ts'
export {
  LogManager,
  type LogManagerOptions,
  type ManagedLog,
  type OfflineLog,
  type TopicPartition,
} from './log-manager.ts'
export {
  isValidTopicName,
  kraftSnapshotFileName,
  logFileName,
  parseFileName,
  PARTITION_METADATA_NAME,
  partitionFolderName,
} from './file-names.ts'
export { randomUuid, ZERO_UUID } from './uuid.ts'
export { BatchScanner } from './batch-scanner.ts'
export {
  META_PROPERTIES_NAME,
  readMetaProperties,
  writeMetaProperties,
  type MetaProperties,
} from './meta-properties.ts'
export { readPartitionMetadata, writePartitionMetadata } from './partition-metadata.ts'
