const MAX_LENGTH = 249

/**
 * Why a text is no name of a topic, in Kafka's words; undefined where it is one.
 *
 * Kafka: common/internals/Topic.java, validate
 */
export function topicNameFault(name: string): string | undefined {
  const why = reason(name)
  return why === undefined ? undefined : `Topic name is invalid: ${why}`
}

function reason(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return `'${name}' is not allowed`
  if (name.length > MAX_LENGTH) {
    return `the length of '${name}' is longer than the max allowed length ${MAX_LENGTH}`
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return undefined
}
