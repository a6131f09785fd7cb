import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSchema, type Schema } from './schema.ts'
import { APIS, GROUP_RECORDS, OTHERS } from './selection.ts'

const SETUP = fileURLToPath(new URL('../../test/interop/oracle/setup.sh', import.meta.url))
const JARS =
  /^kafka-(clients|group-coordinator|transaction-coordinator|metadata|raft)-(\d[\d.]*)\.jar$/

/** The folder of Kafka's jars that the oracle of the tests has. */
export function libsFolder(): string {
  const classPath = execFileSync('bash', [SETUP], { encoding: 'utf8' })
  return classPath.trim().replace(/\/\*:.*$/, '')
}

export interface Schemas {
  /** Of all messages, by name. */
  readonly all: ReadonlyMap<string, Schema>
  /** Those that get a codec, in the order of selection.ts. */
  readonly selected: readonly Schema[]
  /** Of Kafka. */
  readonly version: string
}

/** The schemas in the jars of `libs`. Needs a JDK, whose `jar` opens them. */
export function readSchemas(libs: string): Schemas {
  const all = new Map<string, Schema>()
  const folder = mkdtempSync(join(tmpdir(), 'kafkats-schemas-'))
  let version = ''
  try {
    for (const jar of readdirSync(libs)) {
      const match = JARS.exec(jar)
      if (match === null) continue
      version = match[2] ?? ''
      execFileSync('jar', ['xf', join(libs, jar), 'common/message', 'common/metadata'], {
        cwd: folder,
      })
    }
    const files = readdirSync(join(folder, 'common'), { recursive: true, encoding: 'utf8' })
    for (const file of files.filter((name) => name.endsWith('.json'))) {
      const schema = parseSchema(readFileSync(join(folder, 'common', file), 'utf8'))
      if (schema !== undefined) all.set(schema.name, schema)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  const schemaOf = (name: string): Schema => {
    const schema = all.get(name)
    if (schema === undefined) throw new Error(`Kafka ${version} has no message ${name}`)
    return schema
  }
  const selected = [
    ...APIS.flatMap((api) => [schemaOf(`${api}Request`), schemaOf(`${api}Response`)]),
    ...GROUP_RECORDS.flatMap((name) => [schemaOf(`${name}Key`), schemaOf(`${name}Value`)]),
    ...OTHERS.map(schemaOf),
    ...[...all.values()]
      .filter(({ type }) => type === 'metadata')
      .sort((a, b) => a.apiKey - b.apiKey),
  ]
  return { all, selected, version }
}
