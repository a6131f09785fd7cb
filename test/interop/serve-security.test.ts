import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  formatScramVerifier,
  parseUsers,
  scramVerifier,
  startBroker,
  type Broker,
} from '../../src/server/index.ts'
import { makeCertificate } from '../support/certificate.ts'
import { classPath } from '../support/oracle.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** Kafka's own console tools against a broker that asks who they are. */
const folder = temporaryFolder()
const { cert, key, certFile } = makeCertificate(folder)
const verifier = formatScramVerifier('SCRAM-SHA-512', await scramVerifier('SCRAM-SHA-512', 'pw2'))
const users = parseUsers(`alice:secret,=1\nbob:${verifier}\n`, 'users')
const LOGIN = {
  PLAIN: 'org.apache.kafka.common.security.plain.PlainLoginModule',
  SCRAM: 'org.apache.kafka.common.security.scram.ScramLoginModule',
}
const running: Broker[] = []
afterAll(async () => {
  for (const broker of running) await broker.close()
})

async function start(tls: boolean): Promise<Broker> {
  const broker = await startBroker({
    tls: tls ? { cert, key } : undefined,
    sasl: { users },
    topics: { orders: {} },
  })
  running.push(broker)
  return broker
}

function properties(options: {
  readonly tls: boolean
  readonly mechanism: string
  readonly user: string
  readonly password: string
}): string {
  const { tls, mechanism, user, password } = options
  const module = mechanism === 'PLAIN' ? LOGIN.PLAIN : LOGIN.SCRAM
  const path = join(folder, `${mechanism}-${user}-${password.length}-${tls}.properties`)
  const lines = [
    `security.protocol=${tls ? 'SASL_SSL' : 'SASL_PLAINTEXT'}`,
    `sasl.mechanism=${mechanism}`,
    `sasl.jaas.config=${module} required username="${user}" password="${password}";`,
    ...(tls ? ['ssl.truststore.type=PEM', `ssl.truststore.location=${certFile}`] : []),
    'enable.idempotence=true',
    'max.block.ms=20000',
  ]
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

async function tool(
  name: string,
  argv: readonly string[],
  input = '',
): Promise<{ readonly stdout: string; readonly stderr: string; readonly status: number | null }> {
  const child = spawn('java', [
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    await classPath(),
    `org.apache.kafka.tools.${name}`,
    ...argv,
  ])
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [status] = (await once(child, 'close')) as [number | null]
  return { stdout, stderr, status }
}

const bootstrap = ({ address: { port } }: Broker): string => `localhost:${port}`

describe.each([
  ['SASL_SSL and SCRAM-SHA-256', true, 'SCRAM-SHA-256', 'alice', 'secret,=1'],
  ['SASL_SSL and SCRAM-SHA-512, from a verifier', true, 'SCRAM-SHA-512', 'bob', 'pw2'],
  ['SASL_SSL and PLAIN', true, 'PLAIN', 'alice', 'secret,=1'],
  ['SASL_PLAINTEXT and SCRAM-SHA-256', false, 'SCRAM-SHA-256', 'alice', 'secret,=1'],
])('%s', (_, tls, mechanism, user, password) => {
  it('a Java producer writes, a Java consumer reads', async () => {
    const broker = await start(tls)
    const config = properties({ tls, mechanism, user, password })
    const to = ['--bootstrap-server', bootstrap(broker), '--topic', 'orders']
    const written = await tool('ConsoleProducer', [...to, '--producer.config', config], 'a\nb\nc\n')
    expect(written.stderr).not.toMatch(/ERROR|Exception/)
    const read = await tool('consumer.ConsoleConsumer', [
      ...to,
      ...['--consumer.config', config, '--from-beginning', '--max-messages', '3'],
      ...['--timeout-ms', '30000', '--group', 'readers'],
    ])
    expect(read.stdout).toBe('a\nb\nc\n')
  })
})

describe('who has no right to', () => {
  it.each([
    ['a wrong password', true, 'SCRAM-SHA-256', 'alice', 'wrong', 'invalid credentials'],
    ['a wrong password by PLAIN', true, 'PLAIN', 'alice', 'wrong', 'Invalid username or password'],
    ['PLAIN without TLS', false, 'PLAIN', 'alice', 'secret,=1', 'UnsupportedSaslMechanism'],
  ])('%s', async (_, tls, mechanism, user, password, message) => {
    const broker = await start(tls)
    const config = properties({ tls, mechanism, user, password })
    const argv = ['--bootstrap-server', bootstrap(broker), '--command-config', config]
    const { stdout, stderr, status } = await tool('GetOffsetShell', [...argv, '--topic', 'orders'])
    expect(`${stdout}${stderr}`).toContain(message)
    expect(status).not.toBe(0)
  })
})
