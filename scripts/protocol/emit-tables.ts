import { constantName, fileName } from './emit.ts'
import type { Schema } from './schema.ts'

/** Tables over all messages of a kind. */

/** Clients older than 3 derive features from the first version of Produce, so brokers go on to advertise it. */
const PRODUCE_ADVERTISED_FIRST = 0

export function emitApiKeys(schemas: readonly Schema[]): string {
  const requests = schemas
    .filter(({ type }) => type === 'request')
    .sort((a, b) => a.apiKey - b.apiKey)
  const rows = requests.map((request) => {
    const name = request.name.replace(/Request$/, '')
    const response = schemas.find((schema) => schema.name === `${name}Response`)
    if (response === undefined) throw new Error(`${name} has no response`)
    if (
      response.flexibleFrom !== request.flexibleFrom ||
      response.versions.last !== request.versions.last
    ) {
      throw new Error(`${name}: request and response differ in their versions`)
    }
    const { first, last } = request.versions
    const advertised = [
      name === 'Produce' ? PRODUCE_ADVERTISED_FIRST : first,
      request.latestUnstable ? last - 1 : last,
    ]
    return `  ${name}: { name: '${name}', key: ${request.apiKey}, versions: [${first}, ${last}], advertised: [${advertised.join(', ')}], flexibleFrom: ${request.flexibleFrom}, forClients: ${request.listeners.includes('broker')} },`
  })
  return `/** One api of Kafka's protocol. */
export interface Api {
  readonly name: string
  readonly key: number
  /** First and last version with a schema, both included. */
  readonly versions: readonly [first: number, last: number]
  /** What Kafka's ApiVersions names: without an unstable last version; Produce starts at 0, which is not served. */
  readonly advertised: readonly [first: number, last: number]
  /** First version with request header 2 and response header 1, see frame.ts. */
  readonly flexibleFrom: number
  /** Served on the listeners of clients, not only between brokers and controllers. */
  readonly forClients: boolean
}

/** Kafka: common/protocol/ApiKeys.java */
// prettier-ignore
export const APIS = {
${rows.join('\n')}
} as const satisfies Readonly<Record<string, Api>>

export type ApiName = keyof typeof APIS

const BY_KEY: ReadonlyMap<number, Api> = new Map(Object.values(APIS).map((api: Api) => [api.key, api]))

/** The api with this key, undefined for none. */
export function apiByKey(key: number): Api | undefined {
  return BY_KEY.get(key)
}
`
}

function importOf({ name }: Schema): string {
  return `import { ${constantName(name)}, type ${name} } from './${fileName(name)}'`
}

export function emitMetadataRecords(records: readonly Schema[]): string {
  const union = records.map(({ name }) => `| { readonly type: '${name}'; readonly value: ${name} }`)
  const rows = records.map(({ name }) => `${name}: ${constantName(name)},`)
  return `${records.map(importOf).join('\n')}

/** A record of \`__cluster_metadata\`, told apart by \`type\`. */
export type MetadataRecord =
${union.join('\n')}

/** Codecs of all metadata records, by name; \`apiKey\` is the record's type on disk. */
export const METADATA_RECORDS = {
${rows.join('\n')}
} as const
`
}

export function emitGroupRecords(names: readonly string[]): string {
  const imports = names.flatMap((name) =>
    [`${name}Key`, `${name}Value`].map(
      (each) => `import { ${constantName(each)}, type ${each} } from './${fileName(each)}'`,
    ),
  )
  const union = names.map(
    (name) =>
      `| { readonly type: '${name}'; readonly key: ${name}Key; readonly value: ${name}Value | null }`,
  )
  const rows = names.map(
    (name) =>
      `${name}: { key: ${constantName(`${name}Key`)}, value: ${constantName(`${name}Value`)} },`,
  )
  return `${imports.join('\n')}

/** A record of \`__consumer_offsets\`, told apart by \`type\`; a null value deletes what the key names. */
export type GroupRecord =
${union.join('\n')}

/** Codecs of the records of \`__consumer_offsets\`, by name; \`apiKey\` is the type in front of the key. */
export const GROUP_RECORDS = {
${rows.join('\n')}
} as const
`
}
