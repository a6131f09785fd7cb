import { CorruptCheckpointError } from '../errors.ts'
import { parseInt32 } from './checkpoint-file.ts'
import { replaceFile, type FileSystem } from './file-system.ts'

/**
 * `meta.properties` of a log root: Java properties, ISO-8859-1, in any order.
 *
 *   version       0 when absent
 *   cluster.id    required from version 1 on
 *   node.id       required from version 1 on; broker.id in version 0
 *   directory.id  optional
 *
 * Kafka: metadata/properties/MetaProperties.java, PropertiesUtils.java
 */
export interface MetaProperties {
  readonly version: number
  readonly clusterId: string | undefined
  readonly nodeId: number | undefined
  readonly directoryId: string | undefined
}

export const META_PROPERTIES_NAME = 'meta.properties'
const MAX_META_PROPERTIES_BYTES = 1024 * 1024

/**
 * @throws CorruptCheckpointError when a required property is absent, or a number is none
 * @throws StorageIoError when there is no such file
 */
export function readMetaProperties(fileSystem: FileSystem, path: string): MetaProperties {
  const text = fileSystem.readFile(path, MAX_META_PROPERTIES_BYTES).toString('latin1')
  const properties = parseProperties(text)
  const fail = (message: string): CorruptCheckpointError =>
    new CorruptCheckpointError(message, { file: path })
  const numberOf = (key: string): number | undefined => {
    const value = properties.get(key)
    if (value === undefined) return undefined
    const number = parseInt32(value)
    if (number === undefined) throw fail(`${key} is ${JSON.stringify(value)}, not a number`)
    return number
  }
  const version = numberOf('version') ?? 0
  const clusterId = properties.get('cluster.id')
  const nodeId = numberOf(version === 0 ? 'broker.id' : 'node.id')
  if (version > 0 && clusterId === undefined) throw fail('cluster.id is missing')
  if (version > 0 && nodeId === undefined) throw fail('node.id is missing')
  return { version, clusterId, nodeId, directoryId: properties.get('directory.id') }
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

/** Java's properties format: comments, three kinds of separators, lines continued by a backslash, escapes. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  const lines = text.split(/\r\n|\n|\r/)
  for (let i = 0; i < lines.length; i++) {
    let line = (lines[i] ?? '').replace(/^[ \t\f]+/, '')
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue
    while (/(?:^|[^\\])(?:\\\\)*\\$/.test(line) && i + 1 < lines.length) {
      i++
      line = line.slice(0, -1) + (lines[i] ?? '').replace(/^[ \t\f]+/, '')
    }
    const parts =
      /^(?<key>(?:\\.|[^\\:= \t\f])*)(?:[ \t\f]*[:=]?[ \t\f]*)(?<value>.*)$/s.exec(line)?.groups ??
      {}
    properties.set(unescape(parts['key'] ?? ''), unescape(parts['value'] ?? ''))
  }
  return properties
}

function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gs, (_, hex?: string, letter?: string) =>
    hex === undefined
      ? (ESCAPES[letter ?? ''] ?? letter ?? '')
      : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/**
 * Replaces the file, durably and as a whole, with version 1 as `kafka-storage format` writes it, line for line.
 * @param nowMs milliseconds since 1970, for the comment
 */
export function writeMetaProperties(
  fileSystem: FileSystem,
  path: string,
  properties: {
    readonly clusterId: string
    readonly nodeId: number
    readonly directoryId: string
  },
  nowMs: number,
): void {
  const lines = [
    '#',
    `#${javaDate(nowMs)}`,
    `node.id=${properties.nodeId}`,
    `directory.id=${escaped(properties.directoryId)}`,
    'version=1',
    `cluster.id=${escaped(properties.clusterId)}`,
  ]
  replaceFile(fileSystem, path, Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
}

/** As `Date.toString` of a JVM in UTC: `Sat Nov 21 02:33:23 UTC 2026`. */
function javaDate(ms: number): string {
  const [day, date, month, year, time] = new Date(ms).toUTCString().replace(',', '').split(' ')
  return `${day} ${month} ${date} ${time} UTC ${year}`
}

/** A value as Java's `Properties.store` writes it, with escapes for what Latin-1 has not. */
function escaped(value: string): string {
  return value
    .replace(/[\\:=#!]/g, (letter) => `\\${letter}`)
    .replace(
      /[\t\n\r\f]/g,
      (letter) => ({ '\t': '\\t', '\n': '\\n', '\r': '\\r' })[letter] ?? '\\f',
    )
    .replace(/^ /, '\\ ')
    .replace(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
    )
}
