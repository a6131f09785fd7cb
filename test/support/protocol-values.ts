import {
  structIn,
  type Field,
  type FieldType,
  type Schema,
  type Struct,
} from '../../scripts/protocol/schema.ts'

/**
 * Random values of Kafka's messages, made from their schemas. Each comes in two forms: `value` as a codec of kafkats takes
 * it, with every field, and `json` as Kafka's JSON converters take it, with the fields of the version alone.
 */

export interface RandomValue {
  readonly version: number
  readonly value: Record<string, unknown>
  readonly json: Record<string, unknown>
}

export interface RandomOptions {
  readonly seed: number
  /** One element in every array, short strings, no null and no field left at its default. */
  readonly small?: boolean
}

/** Every version of the message once. */
export function* randomValues(schema: Schema, options: RandomOptions): Generator<RandomValue> {
  const { first, last } = schema.versions
  for (let version = first; version <= last; version++) {
    const maker = new Maker(schema, version, options)
    yield { version, ...maker.struct(schema.structs[0]) }
  }
}

/** Small and good enough: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const hash = (text: string): number =>
  [...text].reduce((sum, char) => (Math.imul(sum, 31) + char.charCodeAt(0)) | 0, 7)

const BITS: Readonly<Record<string, number>> = { int8: 8, int16: 16, int32: 32 }
const ZERO = 'AAAAAAAAAAAAAAAAAAAAAA'

interface Both {
  readonly value: unknown
  readonly json: unknown
}

const both = (value: unknown): Both => ({ value, json: value })

class Maker {
  readonly #schema: Schema
  readonly #version: number
  readonly #small: boolean
  readonly #random: () => number
  #count = 0

  constructor(schema: Schema, version: number, options: RandomOptions) {
    this.#schema = schema
    this.#version = version
    this.#small = options.small ?? false
    this.#random = randomFrom(options.seed ^ Math.imul(hash(schema.name), version + 1))
  }

  #chance(of: number): boolean {
    return this.#random() < of
  }

  #integer(below: number): number {
    return Math.floor(this.#random() * below)
  }

  #pick<T>(...from: T[]): T | undefined {
    return from[this.#integer(from.length)]
  }

  #exists({ versions }: Field): boolean {
    return versions.first <= this.#version && this.#version <= versions.last
  }

  struct(struct: Struct): { value: Record<string, unknown>; json: Record<string, unknown> } {
    const value: Record<string, unknown> = {}
    const json: Record<string, unknown> = {}
    for (const field of struct.fields) {
      if (!this.#exists(field)) value[field.name] = this.#default(field)
      else if (field.tag !== undefined && !this.#small && this.#chance(0.4)) {
        value[field.name] = this.#default(field)
      } else {
        const made = this.#field(field)
        value[field.name] = made.value
        json[field.name] = made.json
      }
    }
    return { value, json }
  }

  #structOf(type: FieldType): Struct {
    const found = this.#schema.structs.find(({ name }) => name === structIn(type))
    if (found === undefined) throw new Error(`no struct in ${JSON.stringify(type)}`)
    return found
  }

  #field(field: Field): Both {
    const { nullable, type } = field
    const mayBeNull =
      nullable !== undefined && nullable.first <= this.#version && this.#version <= nullable.last
    if (mayBeNull && !this.#small && this.#chance(0.25)) return both(null)
    if (type.kind !== 'array') return this.#of(type, field.mapKey)
    const length = this.#small ? 1 : this.#integer(4)
    const items = Array.from({ length }, () => this.#of(type.of, false))
    return { value: items.map(({ value }) => value), json: items.map(({ json }) => json) }
  }

  #of(type: FieldType, unique: boolean): Both {
    if (type.kind === 'array') throw new Error('an array of arrays')
    if (type.kind === 'struct') return this.struct(this.#structOf(type))
    const count = ++this.#count
    switch (type.name) {
      case 'bool':
        return both(this.#small || this.#chance(0.5))
      case 'int8':
      case 'int16':
      case 'int32': {
        const bits = BITS[type.name] ?? 0
        const limit = 2 ** (bits - 1)
        if (unique || this.#small) return both(count % limit)
        if (this.#chance(0.3)) return both(this.#pick(-limit, limit - 1, -1, 0))
        return both(this.#integer(2 * limit) - limit)
      }
      case 'uint16':
        return both(this.#chance(0.2) ? 0xffff : this.#integer(0x10000))
      case 'uint32':
        return both(this.#integer(2 ** 32))
      case 'int64': {
        if (this.#chance(0.3)) return both(this.#pick(-(2n ** 63n), 2n ** 63n - 1n, -2n))
        const random = BigInt(this.#integer(2 ** 32)) * 2n ** 32n + BigInt(this.#integer(2 ** 32))
        return both(BigInt.asIntN(64, random))
      }
      case 'float64':
        return both(this.#integer(1000) + 0.5)
      case 'string': {
        if (unique || this.#small) return both(`s${count}`)
        return both(this.#pick('', 'ä €uro 😀', `s${count}`, 'x'.repeat(126 + this.#integer(200))))
      }
      case 'uuid': {
        const value = Buffer.from(Array.from({ length: 16 }, this.#byte)).toString('base64url')
        return both(!unique && !this.#small && this.#chance(0.2) ? ZERO : value)
      }
      case 'bytes':
      case 'records': {
        const length = this.#small ? 3 : (this.#pick(0, 5, 127, 300) ?? 0)
        const value = Buffer.from(Array.from({ length }, this.#byte))
        return { value, json: value.toString('base64') }
      }
    }
  }

  readonly #byte = (): number => this.#integer(256)

  #default(field: Field): unknown {
    const { type, default: text } = field
    if (text === 'null') return null
    if (type.kind === 'array') return []
    if (type.kind === 'struct') {
      const { fields } = this.#structOf(type)
      return Object.fromEntries(fields.map((inner) => [inner.name, this.#default(inner)]))
    }
    switch (type.name) {
      case 'bool':
        return text?.toLowerCase() === 'true'
      case 'string':
        return text ?? ''
      case 'uuid':
        return ZERO
      case 'bytes':
        return Buffer.alloc(0)
      case 'records':
        return null
      case 'int64':
        return BigInt(text ?? 0)
      default:
        return Number(text ?? 0)
    }
  }
}
