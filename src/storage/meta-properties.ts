import { CorruptCheckpointError } from '../errors.ts'
import { parseInt32 } from './checkpoint-file.ts'
import type { FileSystem } from './file-system.ts'

/**
 * `meta.properties` of a log root: Java properties, ISO-8859-1, in any order. Only read, for it belongs to the broker.
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
