/**
 * Kafka's message schemas as they are in its jars: JSON with lines of `//` comments, names with either capitalisation.
 * Here they become what the emitter needs: every field with the versions it exists in, cut with those of what it is in.
 *
 * Kafka: clients/src/main/resources/common/message/README.md, generator/.../FieldSpec.java
 */

/** First and last version, both included; Infinity where there is no last. */
export interface Range {
  readonly first: number
  readonly last: number
}

export type Primitive =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'string'
  | 'uuid'
  | 'bytes'
  | 'records'

export type FieldType =
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'struct'; readonly name: string }
  | { readonly kind: 'array'; readonly of: FieldType }

export interface Field {
  /** In camel case. */
  readonly name: string
  readonly type: FieldType
  readonly versions: Range
  /** Versions in which null may be written; undefined for none. */
  readonly nullable: Range | undefined
  /** As in the schema. */
  readonly default: string | undefined
  readonly ignorable: boolean
  /** Elements of the array it is in differ in it, as far as Kafka's own collections are concerned. */
  readonly mapKey: boolean
  readonly tag: number | undefined
  /** The int16 length of strings stays in flexible versions. */
  readonly neverFlexible: boolean
}

export interface Struct {
  readonly name: string
  readonly versions: Range
  readonly fields: readonly Field[]
}

export interface Schema {
  readonly name: string
  readonly type: string
  readonly apiKey: number
  readonly versions: Range
  /** Infinity where no version is flexible. */
  readonly flexibleFrom: number
  readonly latestUnstable: boolean
  readonly listeners: readonly string[]
  /** The message itself first, then its structs in the order in which they are met. */
  readonly structs: readonly [Struct, ...Struct[]]
}

interface RawField {
  readonly name: string
  readonly type: string
  readonly versions?: string
  readonly taggedVersions?: string
  readonly nullableVersions?: string
  readonly flexibleVersions?: string
  readonly tag?: number
  readonly default?: string | number | boolean | null
  readonly ignorable?: boolean
  readonly mapKey?: boolean
  readonly fields?: readonly RawField[]
}

interface RawSchema {
  readonly apiKey?: number
  readonly type: string
  readonly name: string
  readonly validVersions: string
  readonly flexibleVersions?: string
  readonly latestVersionUnstable?: boolean
  readonly listeners?: readonly string[]
  readonly fields?: readonly RawField[]
  readonly commonStructs?: readonly {
    readonly name: string
    readonly versions: string
    readonly fields: readonly RawField[]
  }[]
}

const PRIMITIVES: readonly string[] = [
  'bool',
  'int8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float64',
  'string',
  'uuid',
  'bytes',
  'records',
]

function parseRange(text: string): Range | undefined {
  if (text === 'none') return undefined
  const match = /^(\d+)(\+|-(\d+))?$/.exec(text)
  if (match === null) throw new Error(`"${text}" is no range of versions`)
  const first = Number(match[1])
  return { first, last: match[2] === '+' ? Infinity : Number(match[3] ?? first) }
}

/** What two ranges share, undefined for nothing. */
export function intersect(a: Range | undefined, b: Range | undefined): Range | undefined {
  if (a === undefined || b === undefined) return undefined
  const first = Math.max(a.first, b.first)
  const last = Math.min(a.last, b.last)
  return first <= last ? { first, last } : undefined
}

export function covers(outer: Range, inner: Range): boolean {
  return outer.first <= inner.first && outer.last >= inner.last
}

function parseType(text: string): FieldType {
  if (text.startsWith('[]')) return { kind: 'array', of: parseType(text.slice(2)) }
  return PRIMITIVES.includes(text)
    ? { kind: 'primitive', name: text as Primitive }
    : { kind: 'struct', name: text }
}

/** The name of the struct in a type, undefined where it has none. */
export function structIn(type: FieldType): string | undefined {
  if (type.kind === 'array') return structIn(type.of)
  return type.kind === 'struct' ? type.name : undefined
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** The schema in a file of a jar; undefined for a message that no version has any more. */
export function parseSchema(text: string): Schema | undefined {
  const json = text.replaceAll(/^\s*\/\/.*$/gm, '')
  const raw = JSON.parse(json) as RawSchema
  const versions = parseRange(raw.validVersions)
  if (versions === undefined) return undefined
  const flexible = parseRange(raw.flexibleVersions ?? 'none')
  if (flexible !== undefined && flexible.last !== Infinity) {
    throw new Error(`${raw.name}: flexible versions end`)
  }

  const common = new Map((raw.commonStructs ?? []).map((struct) => [struct.name, struct]))
  const structs: Struct[] = []
  const addStruct = (name: string, range: Range, rawFields: readonly RawField[]): void => {
    if (structs.some((struct) => struct.name === name)) return
    const at = structs.push({ name, versions: range, fields: [] }) - 1
    const fields: Field[] = []
    for (const rawField of rawFields) {
      const field = parseField(rawField, range)
      if (field === undefined) continue
      fields.push(field)
      const inner = structIn(field.type)
      if (inner === undefined) continue
      const shared = common.get(inner)
      if (shared === undefined) addStruct(inner, field.versions, rawField.fields ?? [])
      else {
        const sharedRange = intersect(parseRange(shared.versions), versions)
        if (sharedRange === undefined) throw new Error(`${raw.name}: ${inner} is in no version`)
        addStruct(inner, sharedRange, shared.fields)
      }
    }
    structs[at] = { name, versions: range, fields }
  }
  addStruct(raw.name, versions, raw.fields ?? [])
  const [root, ...rest] = structs
  if (root === undefined) throw new Error(`${raw.name}: no struct`)
  return {
    name: raw.name,
    type: raw.type,
    apiKey: raw.apiKey ?? -1,
    versions,
    flexibleFrom: flexible?.first ?? Infinity,
    latestUnstable: raw.latestVersionUnstable ?? false,
    listeners: raw.listeners ?? [],
    structs: [root, ...rest],
  }
}

/** A field in the versions of the struct it stands in; undefined where it is in none of them. */
function parseField(raw: RawField, parent: Range): Field | undefined {
  const spec = raw.versions ?? raw.taggedVersions
  if (spec === undefined) throw new Error(`${raw.name}: no versions`)
  const versions = intersect(parseRange(spec), parent)
  if (versions === undefined) return undefined
  if (raw.tag !== undefined && raw.taggedVersions !== spec) {
    throw new Error(`${raw.name}: tagged in some of its versions only, which is not provided for`)
  }
  return {
    name: lowerFirst(raw.name),
    type: parseType(raw.type),
    versions,
    nullable: intersect(parseRange(raw.nullableVersions ?? 'none'), versions),
    // A null without quotes is no default for Kafka's generator; "null" is (ConsumerGroupMemberMetadataValue has one).
    default: raw.default === undefined || raw.default === null ? undefined : String(raw.default),
    ignorable: raw.ignorable ?? false,
    mapKey: raw.mapKey ?? false,
    tag: raw.tag,
    neverFlexible: raw.flexibleVersions === 'none',
  }
}
