/** The types that settings have, and what a client is told of them. Kafka: common/config/ConfigDef.java */
export const CONFIG_TYPES = {
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  SHORT: 4,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
} as const

export type ConfigType = keyof typeof CONFIG_TYPES

export type ConfigValue = boolean | string | bigint | number | readonly string[]

/** A check of a value that has its type. @returns what Kafka says of one that is refused */
export type ConfigCheck = (value: ConfigValue, name: string) => string | undefined

/** What a setting is, apart from its name. */
export interface ConfigKey {
  readonly type: ConfigType
  /** As text; null where there is none. */
  readonly fallback: string | null
  readonly documentation: string
  readonly check?: ConfigCheck | undefined
}

const INT_MAX = 0x7fffffffn
const LONG_MAX = 0x7fffffffffffffffn
const INTEGER = /^[+-]?\d+$/
const DOUBLE = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/**
 * A setting's value from its text. What is refused is refused in Kafka's words, which name the setting.
 * @returns the value, or `error`
 */
export function parseConfigValue(
  name: string,
  key: ConfigKey,
  text: string,
): { readonly value: ConfigValue } | { readonly error: string } {
  const value = valueOf(key.type, text.trim())
  if (value === undefined) {
    const wanted =
      key.type === 'BOOLEAN'
        ? 'Expected value to be either true or false'
        : `Not a number of type ${key.type}`
    return { error: `Invalid value ${text} for configuration ${name}: ${wanted}` }
  }
  const error = key.check?.(value, name)
  return error === undefined ? { value } : { error }
}

function valueOf(type: ConfigType, text: string): ConfigValue | undefined {
  switch (type) {
    case 'BOOLEAN': {
      const lower = text.toLowerCase()
      return lower === 'true' || (lower === 'false' ? false : undefined)
    }
    case 'STRING':
      return text
    case 'LIST':
      return text === '' ? [] : text.split(/\s*,\s*/)
    case 'DOUBLE':
      return DOUBLE.test(text) ? Number(text) : undefined
    case 'SHORT':
    case 'INT':
    case 'LONG': {
      if (!INTEGER.test(text)) return undefined
      const value = BigInt(text.replace(/^\+/, ''))
      const max = { SHORT: 0x7fffn, INT: INT_MAX, LONG: LONG_MAX }[type]
      return value > max || value < -max - 1n ? undefined : value
    }
  }
}

/** A value as Kafka prints it: without the blanks and the odd case that its text may have. */
export function printConfigValue(value: ConfigValue): string {
  if (typeof value === 'number') return printDouble(value)
  return typeof value === 'object' ? value.join(',') : String(value)
}

/** As Java prints a double. */
function printDouble(value: number): string {
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) {
    const [digits = '', exponent = ''] = value.toExponential().split('e')
    return `${digits.includes('.') ? digits : `${digits}.0`}E${Number(exponent)}`
  }
  return Number.isInteger(value) ? `${value}.0` : String(value)
}

function refused(name: string, value: ConfigValue, why: string): string {
  const shown = typeof value === 'object' ? `[${value.join(', ')}]` : printConfigValue(value)
  return `Invalid value ${shown} for configuration ${name}: ${why}`
}

function isBelow(value: ConfigValue, limit: number): boolean {
  return (typeof value === 'bigint' || typeof value === 'number') && value < limit
}

function isAbove(value: ConfigValue, limit: number): boolean {
  return (typeof value === 'bigint' || typeof value === 'number') && value > limit
}

export function atLeast(min: number): ConfigCheck {
  return (value, name) =>
    isBelow(value, min) ? refused(name, value, `Value must be at least ${min}`) : undefined
}

export function between(min: number, max: number): ConfigCheck {
  return (value, name) =>
    atLeast(min)(value, name) ??
    (isAbove(value, max) ? refused(name, value, `Value must be no more than ${max}`) : undefined)
}

/** A level of compression: in a range, or the one that stands for the codec's own default. */
export function levelOrDefault(min: number, max: number, fallback: number): ConfigCheck {
  return (value, name) =>
    value === BigInt(fallback) || !(isBelow(value, min) || isAbove(value, max))
      ? undefined
      : refused(name, value, `Value must be between ${min} and ${max} or equal to ${fallback}`)
}

/** One of several words, or a list of such. */
export function oneOf(...choices: readonly string[]): ConfigCheck {
  return (value, name) => {
    const words = typeof value === 'object' ? value : [String(value)]
    const wrong = words.find((word) => !choices.includes(word))
    return wrong === undefined
      ? undefined
      : refused(name, wrong, `String must be one of: ${choices.join(', ')}`)
  }
}

/** Kafka: server/config/... ThrottledReplicaListValidator */
export function throttledReplicas(value: ConfigValue, name: string): string | undefined {
  const words = typeof value === 'object' ? value.map((word) => word.trim()) : []
  const isValid = words.every((word) => word === '*' || /^\d+:\d+$/.test(word))
  return isValid
    ? undefined
    : refused(
        name,
        value,
        `${name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`,
      )
}
