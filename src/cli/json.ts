import { parse as parseLossless } from 'lossless-json'

/**
 * JSON with int64 values as numbers that have all their digits: a bigint is written as digits, and an integer that a
 * double cannot hold is read as a bigint.
 */

/** Like `JSON.stringify`, with bigints as digits. `undefined` and functions are left out, `toJSON` is honoured. */
export function stringify(value: unknown, indent = 0): string {
  return write(value, indent, '') ?? 'null'
}

function write(value: unknown, indent: number, margin: string): string | undefined {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return write((value.toJSON as () => unknown)(), indent, margin)
  }
  const inner = margin + ' '.repeat(indent)
  const parts: string[] = []
  const isArray = Array.isArray(value)
  if (isArray) {
    for (const item of value) parts.push(write(item, indent, inner) ?? 'null')
  } else {
    const colon = indent > 0 ? ': ' : ':'
    for (const [key, item] of Object.entries(value)) {
      const text = write(item, indent, inner)
      if (text !== undefined) parts.push(JSON.stringify(key) + colon + text)
    }
  }
  const [open, close] = isArray ? '[]' : '{}'
  if (parts.length === 0) return `${open}${close}`
  if (indent === 0) return `${open}${parts.join(',')}${close}`
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}`
}

/** Like `JSON.parse`, with integers beyond ±(2^53-1) as bigints. Throws SyntaxError. */
export function parseJsonExact(text: string): unknown {
  const value: unknown = JSON.parse(text)
  // Only an integer of 16 digits or more can be beyond a double; the exact parser is many times slower.
  if (!/\d{16}/.test(text)) return value
  return parseLossless(text, null, {
    parseNumber: parseExactNumber,
    onDuplicateKey: ({ newValue }) => newValue,
  })
}

function parseExactNumber(text: string): number | bigint {
  const value = Number(text)
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(text)) return value
  return BigInt(text)
}
