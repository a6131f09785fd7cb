import { dirname, join } from 'node:path'
import { KafkatsError } from '../errors.ts'
import { osErrorCode, type FileSystem } from '../storage/file-system.ts'
import { PARTITION_LOCK_NAME } from '../storage/partition-lock.ts'

const MAX_LOCK_BYTES = 4096

/** Whether the `.lock` beside a file names a process that lives; then the end of a log may be half a batch. */
export function isBeingWritten(fs: FileSystem, path: string): boolean {
  const lock = join(dirname(path), PARTITION_LOCK_NAME)
  if (!fs.exists(lock)) return false
  try {
    const owner: unknown = JSON.parse(fs.readFile(lock, MAX_LOCK_BYTES).toString('utf8'))
    const pid =
      typeof owner === 'object' && owner !== null && 'pid' in owner ? owner.pid : undefined
    return typeof pid === 'number' && isAlive(pid)
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof KafkatsError) return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return osErrorCode(error) === 'EPERM'
  }
}
