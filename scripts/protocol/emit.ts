import {
  covers,
  structIn,
  type Field,
  type FieldType,
  type Primitive,
  type Range,
  type Schema,
  type Struct,
} from './schema.ts'

/**
 * One message as a TypeScript module: an interface for it and for each of its structs, its `Message`, and functions that
 * read and write field by field in the order of the wire.
 */

/** `KRaftVersionRecord` as its words. */
function words(name: string): string[] {
  return name.replace('KRaft', 'Kraft').match(/[A-Z][a-z0-9]*/g) ?? [name]
}

export const fileName = (name: string): string => `${words(name).join('-').toLowerCase()}.ts`
export const constantName = (name: string): string => words(name).join('_').toUpperCase()
const upperFirst = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const TYPES: Readonly<Record<Exclude<Primitive, 'records'>, string>> = {
  bool: 'boolean',
  int8: 'number',
  int16: 'number',
  uint16: 'number',
  int32: 'number',
  uint32: 'number',
  int64: 'bigint',
  float64: 'number',
  string: 'string',
  uuid: 'string',
  bytes: 'Buffer',
}

/** Versions as a condition on `version`, empty where they are all of `within`. */
function condition(versions: Range, within: Range): string {
  if (covers(versions, within)) return ''
  const fromStart = versions.first <= within.first
  const toEnd = versions.last >= within.last
  if (fromStart) return `version <= ${versions.last}`
  if (toEnd) return `version >= ${versions.first}`
  if (versions.first === versions.last) return `version === ${versions.first}`
  return `version >= ${versions.first} && version <= ${versions.last}`
}

function negated(versions: Range, within: Range): string {
  const fromStart = versions.first <= within.first
  const toEnd = versions.last >= within.last
  if (fromStart) return `version > ${versions.last}`
  if (toEnd) return `version < ${versions.first}`
  if (versions.first === versions.last) return `version !== ${versions.first}`
  return `(version < ${versions.first} || version > ${versions.last})`
}

/** In the order of their tags, which is that on the wire. */
function taggedFields(struct: Struct): Field[] {
  return struct.fields
    .filter((field) => field.tag !== undefined)
    .sort((a, b) => (a.tag ?? 0) - (b.tag ?? 0))
}

/** Inside a tag, presence is 0 or 1 instead of −1 or 1. */
const nullableMethod = ({ tag }: Field): string =>
  tag === undefined ? 'nullable' : 'taggedNullable'

class Emitter {
  readonly #schema: Schema
  readonly #structs: ReadonlyMap<string, Struct>
  readonly #readerImports = new Set<string>()
  readonly #writerImports = new Set<string>()
  readonly #defaultsUsed = new Set<string>()
  readonly #comparisonsUsed = new Set<string>()

  constructor(schema: Schema) {
    this.#schema = schema
    this.#structs = new Map(schema.structs.map((struct) => [struct.name, struct]))
  }

  #struct(name: string): Struct {
    const struct = this.#structs.get(name)
    if (struct === undefined) throw new Error(`${this.#schema.name}: no struct ${name}`)
    return struct
  }

  /** A record is put together by hand rarely and read often, a response the other way round. */
  #isOptional(field: Field): boolean {
    const { type } = this.#schema
    const hasDefault = field.tag !== undefined || field.default !== undefined || field.ignorable
    return type === 'response' && hasDefault
  }

  #isNull(field: Field): boolean {
    if (field.default === 'null') return true
    return field.type.kind === 'primitive' && field.type.name === 'records'
  }

  #tsType(type: FieldType): string {
    if (type.kind === 'array') return `readonly ${this.#tsType(type.of)}[]`
    if (type.kind === 'struct') return type.name
    if (type.name !== 'records') return TYPES[type.name]
    if (this.#schema.type !== 'response') return 'Buffer'
    this.#writerImports.add('type Records')
    return 'Records'
  }

  /** Its default as an expression. */
  #default(field: Field): string {
    const { type, default: text } = field
    if (this.#isNull(field)) return 'null'
    if (type.kind === 'array') return '[]'
    if (type.kind === 'struct') {
      this.#defaultsUsed.add(type.name)
      return `DEFAULT_${constantName(type.name)}`
    }
    switch (type.name) {
      case 'bool':
        return String(text?.toLowerCase() === 'true')
      case 'string':
        return `'${text ?? ''}'`
      case 'uuid':
        this.#readerImports.add('ZERO_UUID')
        return 'ZERO_UUID'
      case 'bytes':
        this.#readerImports.add('NO_BYTES')
        return 'NO_BYTES'
      case 'int64': {
        const value = BigInt(text ?? '0')
        return `${value}n`
      }
      case 'int8':
      case 'int16':
      case 'uint16':
      case 'int32':
      case 'uint32':
      case 'float64':
        return String(Number(text ?? '0'))
      case 'records':
        return 'null'
    }
  }

  #interface(struct: Struct): string {
    if (struct.fields.length === 0) {
      return `export type ${struct.name} = Readonly<Record<string, never>>`
    }
    const lines = struct.fields.map((field) => {
      const isNullable = field.nullable !== undefined || this.#isNull(field)
      const type = this.#tsType(field.type) + (isNullable ? ' | null' : '')
      const notes = []
      if (!covers(field.versions, struct.versions)) {
        const { first, last } = field.versions
        if (last >= struct.versions.last) notes.push(`${first}+`)
        else notes.push(first === last ? `${first} only` : `${first}-${last}`)
      }
      if (field.tag !== undefined) notes.push(`tag ${field.tag}`)
      if (field.default !== undefined) notes.push(`default ${this.#defaultNote(field)}`)
      if (field.nullable !== undefined && !covers(field.nullable, field.versions)) {
        notes.push(`null from ${field.nullable.first}`)
      }
      const comment = notes.length === 0 ? '' : ` // ${notes.join(', ')}`
      const optional = this.#isOptional(field)
      return optional
        ? `readonly ${field.name}?: ${type} | undefined${comment}`
        : `readonly ${field.name}: ${type}${comment}`
    })
    return `export interface ${struct.name} {\n${lines.join('\n')}\n}`
  }

  #defaultNote(field: Field): string {
    return field.default === '' ? "''" : (field.default ?? '')
  }

  #elementFunction(verb: 'read' | 'write', type: FieldType): string {
    if (type.kind === 'struct') return `${verb}${type.name}`
    if (type.kind === 'array') throw new Error(`${this.#schema.name}: an array of arrays`)
    const name = `${verb}${upperFirst(type.name)}`
    const imports = verb === 'read' ? this.#readerImports : this.#writerImports
    imports.add(name)
    return name
  }

  #readOnce(field: Field, nullable: boolean): string {
    const { type } = field
    if (type.kind === 'array') {
      const element = this.#elementFunction('read', type.of)
      return `reader.${nullable ? 'nullableArray' : 'array'}(${element}, version)`
    }
    if (type.kind === 'struct') {
      return nullable
        ? `reader.${nullableMethod(field)}(read${type.name}, version)`
        : `read${type.name}(reader, version)`
    }
    if (type.name === 'string' && field.neverFlexible) return 'reader.classicNullableString()'
    const method = type.name === 'bytes' || type.name === 'records' ? 'data' : (type.name as string)
    return `reader.${nullable ? `nullable${upperFirst(method)}` : method}()`
  }

  #readExpression(field: Field, within: Range): string {
    const { nullable } = field
    let expression = this.#readOnce(field, nullable !== undefined)
    if (nullable !== undefined && !covers(nullable, field.versions)) {
      const isNullable = condition(nullable, field.versions)
      expression = `${isNullable} ? ${expression} : ${this.#readOnce(field, false)}`
    }
    const exists = condition(field.versions, within)
    if (exists === '') return expression
    return `${negated(field.versions, within)} ? ${this.#default(field)} : ${expression}`
  }

  #read(struct: Struct, isRoot: boolean): string {
    const within = struct.versions
    const properties = struct.fields.map((field) =>
      field.tag === undefined
        ? `${field.name}: ${this.#readExpression(field, within)},`
        : `${field.name}: ${this.#default(field)},`,
    )
    const literal = `{\n${properties.join('\n')}\n}`
    const tagged = taggedFields(struct)
    const body: string[] = []
    if (isRoot) body.push(`reader.startMessage(${constantName(struct.name)}, version)`)
    if (this.#schema.flexibleFrom > within.last) body.push(`return ${literal}`)
    else if (tagged.length === 0) {
      body.push(`const value: ${struct.name} = ${literal}`, 'reader.skipTags()', 'return value')
    } else {
      this.#readerImports.add('type Mutable')
      body.push(
        `const value: Mutable<${struct.name}> = ${literal}`,
        'for (let left = reader.tagCount(); left > 0; left--) {',
        'const { tag, end } = reader.tag()',
        'switch (tag) {',
        ...tagged.map((field) => {
          const flexible = { ...within, first: Math.max(within.first, this.#schema.flexibleFrom) }
          const check = covers(field.versions, flexible)
            ? ''
            : `if (${negated(field.versions, flexible)}) throw reader.unknownTag(tag)\n`
          const read = this.#readExpression(field, field.versions)
          return `case ${field.tag}:\n${check}value.${field.name} = ${read}\nbreak`
        }),
        'default:\nreader.skip(end - reader.index)',
        '}',
        'reader.endTag(tag, end)',
        '}',
        'return value',
      )
    }
    const text = body.join('\n')
    const version = /(?<!\.)\bversion\b(?!:)/.test(text) ? 'version' : '_version'
    const reader = text.includes('reader') ? 'reader' : '_reader'
    return `function read${struct.name}(${reader}: ProtocolReader, ${version}: number): ${struct.name} {\n${text}\n}`
  }

  /** A condition that holds where `value` is not the default. */
  #differs(field: Field, value: string): string {
    const fallback = this.#default(field)
    if (fallback === 'null') return `${value} !== null`
    const { type } = field
    if (type.kind === 'struct') {
      this.#comparisonsUsed.add(type.name)
      const orNull = field.nullable === undefined ? '' : `${value} === null || `
      return `${orNull}!isDefault${type.name}(${value})`
    }
    if (type.kind === 'array' || type.name === 'bytes') {
      const orNull = field.nullable === undefined ? '' : `${value} === null || `
      return `${orNull}${value}.length > 0`
    }
    if (type.name === 'bool') return fallback === 'false' ? value : `!${value}`
    return `${value} !== ${fallback}`
  }

  #writeOnce(field: Field, value: string, nullable: boolean, writer: string): string {
    const { type } = field
    if (type.kind === 'array') {
      const element = this.#elementFunction('write', type.of)
      return `${writer}.${nullable ? 'nullableArray' : 'array'}(${value}, ${element}, version)`
    }
    if (type.kind === 'struct') {
      if (nullable) {
        return `${writer}.${nullableMethod(field)}(${value}, write${type.name}, version)`
      }
      return field.nullable !== undefined || this.#isNull(field)
        ? `${writer}.struct(${value}, write${type.name}, version)`
        : `write${type.name}(${writer}, ${value}, version)`
    }
    if (type.name === 'string' && field.neverFlexible) {
      return `${writer}.classicNullableString(${value})`
    }
    let method: string = type.name
    if (type.name === 'bytes') method = 'data'
    if (type.name === 'records' && this.#schema.type !== 'response') method = 'data'
    return `${writer}.${nullable ? `nullable${upperFirst(method)}` : method}(${value})`
  }

  #writeStatement(field: Field, value: string, writer: string): string {
    const { nullable } = field
    const statement = this.#writeOnce(field, value, nullable !== undefined, writer)
    if (nullable === undefined || covers(nullable, field.versions)) return statement
    const isNullable = condition(nullable, field.versions)
    return `if (${isNullable}) ${statement}\nelse ${this.#writeOnce(field, value, false, writer)}`
  }

  #write(struct: Struct, isRoot: boolean): string {
    const within = struct.versions
    const { optional, access } = this.#access(struct)
    const body: string[] = []
    if (isRoot) body.push(`writer.startMessage(${constantName(struct.name)}, version)`)
    if (optional !== '') body.push(optional)
    for (const field of struct.fields.filter(({ tag }) => tag === undefined)) {
      const value = access(field)
      const statement = this.#writeStatement(field, value, 'writer')
      const exists = condition(field.versions, within)
      if (exists === '') body.push(statement)
      else {
        const isOne = !statement.includes('\n')
        body.push(`if (${exists}) ${isOne ? statement : `{\n${statement}\n}`}`)
        if (!field.ignorable) {
          body.push(
            `else if (${this.#differs(field, value)}) throw writer.unsupported('${field.name}', version)`,
          )
        }
      }
    }
    if (this.#schema.flexibleFrom <= within.last) body.push(...this.#writeTags(struct, access))
    const text = body.join('\n')
    const version = /(?<!\.)\bversion\b(?!:)/.test(text) ? 'version' : '_version'
    const writer = text.includes('writer') ? 'writer' : '_writer'
    const value = /\bvalue\b/.test(text) ? 'value' : '_value'
    return `function write${struct.name}(${writer}: ProtocolWriter, ${value}: ${struct.name}, ${version}: number): void {\n${text}\n}`
  }

  #writeTags(struct: Struct, access: (field: Field) => string): string[] {
    const tagged = taggedFields(struct)
    if (tagged.length === 0) return ['writer.tagCount(0)']
    const lines: string[] = []
    for (const field of tagged) {
      const differs = this.#differs(field, access(field))
      const exists = condition(field.versions, struct.versions)
      const has = `has${upperFirst(field.name)}`
      if (exists === '' || !field.ignorable) lines.push(`const ${has} = ${differs}`)
      else lines.push(`const ${has} = ${exists} && (${differs})`)
      if (exists !== '' && !field.ignorable) {
        lines.push(
          `if (${has} && ${negated(field.versions, struct.versions)}) throw writer.unsupported('${field.name}', version)`,
        )
      }
    }
    const count = tagged.map((field) => `Number(has${upperFirst(field.name)})`).join(' + ')
    lines.push(`writer.tagCount(${count})`)
    for (const field of tagged) {
      const payload = this.#writeStatement(field, access(field), 'tagged')
      const body = payload.includes('\n') ? `{\n${payload}\n}` : payload
      lines.push(`if (has${upperFirst(field.name)}) writer.tag(${field.tag}, (tagged) => ${body})`)
    }
    return lines
  }

  /** How a function gets at the fields of `value`: those that may be left out take their default first. */
  #access(struct: Struct): { optional: string; access: (field: Field) => string } {
    const optional = struct.fields.filter((field) => this.#isOptional(field))
    for (const { name } of optional) {
      if (['value', 'version', 'writer', 'default', 'tagged'].includes(name)) {
        throw new Error(`${this.#schema.name}: ${name} needs another name in the code`)
      }
    }
    const taken = optional.map((field) => `${field.name} = ${this.#default(field)}`)
    return {
      optional: taken.length === 0 ? '' : `const { ${taken.join(', ')} } = value`,
      access: (field) => (optional.includes(field) ? field.name : `value.${field.name}`),
    }
  }

  #isDefault(struct: Struct): string {
    const { optional, access } = this.#access(struct)
    const differs = struct.fields.map((field) => this.#differs(field, access(field)))
    return `function isDefault${struct.name}(value: ${struct.name}): boolean {\n${optional}\nreturn !(${differs.join(' || ')})\n}`
  }

  #defaultConstant(struct: Struct): string {
    const properties = struct.fields.map((field) => `${field.name}: ${this.#default(field)}`)
    return `const DEFAULT_${constantName(struct.name)}: ${struct.name} = { ${properties.join(', ')} }`
  }

  /** The module; not formatted yet. */
  module(): string {
    const { name, type, apiKey, versions, flexibleFrom, structs } = this.#schema
    const [root] = structs
    const interfaces = structs.map((struct) => this.#interface(struct))
    const functions = structs.flatMap((struct) => [
      this.#read(struct, struct === root),
      this.#write(struct, struct === root),
    ])
    const helpers = this.#helpers()
    const message = [
      `/** Versions ${versions.first}-${versions.last}, ${flexibleFrom === Infinity ? 'none flexible' : `flexible from ${flexibleFrom}`}. */`,
      `export const ${constantName(name)}: Message<${name}> = {`,
      `name: '${name}',`,
      `type: '${type}',`,
      `apiKey: ${apiKey},`,
      `versions: [${versions.first}, ${versions.last}],`,
      `flexibleFrom: ${flexibleFrom},`,
      `read: read${name},`,
      `write: write${name},`,
      '}',
    ].join('\n')
    const imports = [
      "import type { Message } from '../message.ts'",
      this.#import('ProtocolReader', this.#readerImports, '../protocol-reader.ts'),
      this.#import('ProtocolWriter', this.#writerImports, '../protocol-writer.ts'),
    ].join('\n')
    const [rootRead = '', rootWrite = '', ...others] = functions
    return [
      imports,
      ...interfaces,
      message,
      ...helpers,
      `export ${rootRead}`,
      `export ${rootWrite}`,
      ...others,
      '',
    ].join('\n\n')
  }

  /** Defaults of structs and comparisons with them; making one can ask for another. */
  #helpers(): string[] {
    const comparisons = new Map<string, string>()
    for (const name of this.#comparisonsUsed) {
      comparisons.set(name, this.#isDefault(this.#struct(name)))
    }
    const constants = new Map<string, string>()
    for (const name of this.#defaultsUsed) {
      constants.set(name, this.#defaultConstant(this.#struct(name)))
    }
    return [...[...constants.values()].reverse(), ...comparisons.values()]
  }

  #import(type: string, names: ReadonlySet<string>, from: string): string {
    const values = [...names].filter((name) => !name.startsWith('type ')).sort()
    const types = [...names].filter((name) => name.startsWith('type '))
    if (values.length === 0) {
      const all = [type, ...types.map((name) => name.slice(5))].sort()
      return `import type { ${all.join(', ')} } from '${from}'`
    }
    const all = [`type ${type}`, ...types].sort()
    return `import { ${[...values, ...all].join(', ')} } from '${from}'`
  }
}

export function emitModule(schema: Schema): string {
  for (const struct of schema.structs) {
    for (const field of struct.fields) {
      const inner = structIn(field.type)
      if (inner === schema.name) throw new Error(`${schema.name} holds itself`)
    }
  }
  return new Emitter(schema).module()
}
