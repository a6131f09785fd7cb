import { fileURLToPath } from 'node:url'
import type { Schema } from '../../scripts/protocol/schema.ts'
import { stringify } from '../../src/cli/json.ts'
import type { KafkaOracle } from './oracle.ts'
import { randomValues } from './protocol-values.ts'

/**
 * fixtures/protocol/golden.ndjson: every message at every version once, as Kafka's own classes write it. A line is
 * `[name, version, bytes in base64, value as JSON]`.
 */
export const GOLDEN_FILE = fileURLToPath(
  new URL('../../fixtures/protocol/golden.ndjson', import.meta.url),
)
const GOLDEN_SEED = 41

/** The file's contents, made by Kafka. */
export async function goldenText(kafka: KafkaOracle, schemas: readonly Schema[]): Promise<string> {
  const lines: string[] = []
  for (const schema of schemas) {
    const { name } = schema
    const made = [...randomValues(schema, { seed: GOLDEN_SEED, small: true })]
    const { items } = await kafka.ask({
      cmd: 'encode',
      name,
      items: made.map(({ version, json }) => ({ version, value: json })),
    })
    for (const [i, { version, json }] of made.entries()) {
      const { bytes } = (items as { readonly bytes: string }[])[i] ?? {}
      lines.push(stringify([name, version, bytes, json]))
    }
  }
  return `${lines.join('\n')}\n`
}
