import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { apiByKey } from '../../src/protocol/api-keys.ts'
import { API_VERSIONS_REQUEST } from '../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../src/protocol/messages/api-versions-response.ts'
import { startBroker } from '../../src/server/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const PAGE = new URL('../../docs/broker.md', import.meta.url)
const TABLE = /(?<=<!-- apis:begin -->\n)[\s\S]*?(?=<!-- apis:end -->)/

/** With WRITE_DOCS=1 the page is written instead of compared. */
it('the page lists the apis that a broker answers with', async () => {
  const broker = await startBroker({ dir: temporaryFolder(), port: 0 })
  const client = await RawClient.connect(broker.address.port)
  const { apiKeys } = await client.call(
    { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE },
    4,
    { clientSoftwareName: 'docs', clientSoftwareVersion: '1' },
  )
  client.close()
  await broker.close()
  const rows = apiKeys.map(({ apiKey, minVersion, maxVersion }) => [
    apiByKey(apiKey)?.name ?? expect.fail(`no api ${apiKey}`),
    String(apiKey),
    minVersion === maxVersion ? String(minVersion) : `${minVersion} to ${maxVersion}`,
  ])
  const head = ['api', 'key', 'versions']
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`
  const table = `\n${[head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('')}\n`
  const page = readFileSync(PAGE, 'utf8')
  if (process.env['WRITE_DOCS'] === '1') writeFileSync(PAGE, page.replace(TABLE, table))
  else expect(TABLE.exec(page)?.[0]).toBe(table)
})
