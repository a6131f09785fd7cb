import type { RecordsSlice } from '../protocol/protocol-writer.ts'
import type { LogSlice } from '../storage/index.ts'

/** Records of a response that stay in their file until they are sent. */
export class FileRecords implements RecordsSlice {
  readonly slice: LogSlice

  constructor(slice: LogSlice) {
    this.slice = slice
  }

  get sizeInBytes(): number {
    return this.slice.length
  }
}
