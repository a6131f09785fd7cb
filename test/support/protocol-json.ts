import { structIn, type Schema } from '../../scripts/protocol/schema.ts'

/** Values of messages against the JSON of Kafka's converters, which have `records` and `bytes` in base64. */

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Compares what is in `json` with `value`; empty where they agree, else the path of the first difference. Fields that only
 * `value` has are passed over: they are those of other versions.
 */
export function matches(json: unknown, value: unknown, path = 'value'): string {
  if (Buffer.isBuffer(value)) return json === value.toString('base64') ? '' : path
  if (Array.isArray(json)) {
    if (!Array.isArray(value) || value.length !== json.length) return path
    return firstOf(json.map((item, i) => () => matches(item, value[i], `${path}[${i}]`)))
  }
  if (isObject(json)) {
    if (!isObject(value)) return path
    const keys = Object.entries(json)
    return firstOf(
      keys.map(
        ([key, item]) =>
          () =>
            matches(item, value[key], `${path}.${key}`),
      ),
    )
  }
  const isSame = json === value || (isInteger(json) && isInteger(value) && json == value)
  return isSame ? '' : path
}

/** JSON has no bigints: an int64 is one only where a double cannot hold it. */
function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isInteger(value)
}

function firstOf(comparisons: readonly (() => string)[]): string {
  for (const compare of comparisons) {
    const difference = compare()
    if (difference !== '') return difference
  }
  return ''
}

/**
 * What Kafka's converter can be expected to show of `json`: it prints sizes of records at most, and leaves out tagged
 * fields that have their default.
 */
export function withoutRecords(schema: Schema, json: Record<string, unknown>): unknown {
  const strip = (name: string, value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => strip(name, item))
    const struct = schema.structs.find((each) => each.name === name)
    if (struct === undefined || !isObject(value)) return value
    const shown = struct.fields.filter(
      ({ name: field, type, tag }) =>
        field in value &&
        tag === undefined &&
        !(type.kind === 'primitive' && type.name === 'records'),
    )
    return Object.fromEntries(
      shown.map((field) => [field.name, strip(structIn(field.type) ?? '', value[field.name])]),
    )
  }
  return strip(schema.name, json)
}
