import { join } from 'node:path'
import {
  diskFileSystem,
  META_PROPERTIES_NAME,
  randomUuid,
  readMetaProperties,
  type FileSystem,
} from '../../storage/index.ts'
import type { MetadataImage } from './metadata-image.ts'
import { imageOfLog, readMetadataLog } from './metadata-log.ts'

/**
 * What the metadata log of a data root says, as far as it is sound; undefined where there is none, or nothing was ever
 * written to it. Nothing is changed.
 * @throws KafkatsError for metadata that is damaged before its end
 */
export function readMetadataImage(
  root: string,
  fs: FileSystem = diskFileSystem,
): MetadataImage | undefined {
  const log = readMetadataLog(fs, root)
  if (log === undefined || log.endOffset === 0n) return undefined
  const path = join(root, META_PROPERTIES_NAME)
  const properties = fs.exists(path) ? readMetaProperties(fs, path) : undefined
  // A copy of some folders may lack the file: then any cluster id does, and the voter is the node.
  return imageOfLog(
    log,
    properties?.clusterId ?? randomUuid(),
    properties?.nodeId ?? log.voters[0] ?? 1,
  )
}
