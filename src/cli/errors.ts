import { Errors } from '@oclif/core'
import { inspect } from 'node:util'
import {
  CompressionFailedError,
  CorruptBatchError,
  CorruptCheckpointError,
  CorruptIndexError,
  CorruptSnapshotError,
  InvalidArgumentError,
  InvalidConfigError,
  InvalidRecordError,
  KafkatsError,
  UnsupportedCompressionError,
  UnsupportedVersionError,
} from '../errors.ts'
import { paint } from './color.ts'
import { wrap } from './wrap.ts'

/** How a command ends. Scripts look at these, so they are a contract. */
export const EXIT = { ok: 0, failed: 1, usage: 2, corrupt: 3, different: 4 } as const

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT]

const DATA_ERRORS = [
  CorruptBatchError,
  InvalidRecordError,
  CorruptIndexError,
  CorruptSnapshotError,
  CorruptCheckpointError,
  CompressionFailedError,
  UnsupportedVersionError,
  UnsupportedCompressionError,
]

/**
 * The exit status for an error of a command that reads. A command for which the same error means that something was
 * refused (an append) has its own `exitStatusOf`.
 */
export function exitStatusFor(error: unknown): ExitStatus {
  if (error instanceof Errors.CLIError) return error.oclif.exit === 1 ? EXIT.failed : EXIT.usage
  if (error instanceof InvalidArgumentError || error instanceof InvalidConfigError) {
    // An error that names a line is about the input, and the command line was right.
    return 'lineNumber' in error ? EXIT.failed : EXIT.usage
  }
  if (DATA_ERRORS.some((kind) => error instanceof kind)) return EXIT.corrupt
  return EXIT.failed
}

/** What `--json` prints as `error`; fields that are not known are absent. */
export interface ErrorJson {
  readonly code: string
  readonly kafkaError?: string
  readonly message: string
  readonly file?: string
  readonly position?: number
  readonly offset?: bigint
  readonly hint?: string
}

export function errorToJson(error: unknown): ErrorJson {
  const { code, kafkaError, message, file, position, offset, hint } = describe(error)
  return {
    code,
    ...(kafkaError !== undefined && { kafkaError }),
    message,
    ...(file !== undefined && { file }),
    ...(position !== undefined && { position }),
    ...(offset !== undefined && { offset }),
    ...(hint !== undefined && { hint }),
  }
}

/** The error as people read it: the fact and its place, Kafka's name for it, and on a line of its own what to do. */
export function renderError(
  error: unknown,
  options: { readonly color?: boolean; readonly width?: number; readonly debug?: boolean } = {},
): string {
  const { color = false, width = 80, debug = false } = options
  const { kafkaError, message, file, position, offset, hint } = describe(error)
  const place = [
    file !== undefined && !message.includes(file) ? file : undefined,
    position === undefined ? undefined : `byte ${position}`,
    offset === undefined ? undefined : `offset ${offset.toString()}`,
  ].filter((part) => part !== undefined && !holds(message, part))
  let fact = `Error: ${message}`
  if (place.length > 0) fact += ` (${place.join(', ')})`
  if (kafkaError !== undefined) fact += ` [${kafkaError}]`
  let text = wrap(fact, width).replace(/^Error:/, paint('red', 'Error:', color))
  if (hint !== undefined) {
    text += `\n${wrap(`Hint: ${hint}`, width).replace(/^Hint:/, paint('cyan', 'Hint:', color))}`
  }
  if (debug) text += `\n${inspect(error, { colors: color })}`
  return `${text}\n`
}

/** Whether `text` names `part` already, and not only the beginning of a longer number. */
function holds(text: string, part: string): boolean {
  const at = text.indexOf(part)
  return at !== -1 && !/\d/.test(text.charAt(at + part.length))
}

interface Description {
  readonly code: string
  readonly kafkaError?: string | undefined
  readonly message: string
  readonly file?: string | undefined
  readonly position?: number | undefined
  readonly offset?: bigint | undefined
  readonly hint?: string | undefined
}

function describe(error: unknown): Description {
  if (error instanceof KafkatsError) {
    const { code, kafkaError, file, position, offset, hint } = error
    return { code, kafkaError, message: withoutFrame(error.message), file, position, offset, hint }
  }
  if (error instanceof Errors.CLIError) {
    const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
    return { code: 'KAFKATS_INVALID_ARGUMENT', message: withoutFrame(error.message), hint }
  }
  if (isSystemError(error)) {
    const reason = SYSTEM_REASONS[error.code] ?? error.message
    const subject = error.path ?? error.syscall ?? 'the operating system'
    return {
      code: error.code,
      message: `${subject}: ${reason}`,
      ...(error.path !== undefined && { file: error.path }),
    }
  }
  const message = error instanceof Error ? error.message || error.name : String(error)
  return {
    code: 'KAFKATS_INTERNAL',
    message,
    hint: 'This is unexpected. Run it again with DEBUG=* to see where it happened.',
  }
}

/** oclif wraps what a flag's parser throws in lines of its own. */
function withoutFrame(message: string): string {
  return message
    .replace(/\n*See more help with --help\s*$/, '')
    .replace(/^Parsing (--\S+) *\n\t/, '$1: ')
}

interface SystemError extends Error {
  readonly code: string
  readonly path?: string
  readonly syscall?: string
}

/** Whether this is what the operating system answered, such as ENOENT. */
export function isSystemError(error: unknown): error is SystemError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^E[A-Z0-9]+$/.test(error.code) &&
    'errno' in error
  )
}

/** Whether the reader of our output has gone, as `head` does. */
export function isClosedPipe(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
  )
}

export const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EISDIR: 'this is a folder, not a file',
  ENOTDIR: 'this is not a folder',
  EEXIST: 'it exists already',
  ENOTEMPTY: 'the folder is not empty',
  EMFILE: 'too many open files in this process (ulimit -n)',
  ENFILE: 'too many open files on this machine',
  EIO: 'the disk reported a read or write error',
  EFBIG: 'the file would be larger than allowed',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  EBUSY: 'it is in use',
  EXDEV: 'it lies on another file system',
  EADDRINUSE: 'the address is in use already',
  ECONNREFUSED: 'the connection was refused',
}
