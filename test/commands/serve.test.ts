import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import Serve from '../../src/commands/serve.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../../src/protocol/messages/metadata-response.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { startBroker } from '../../src/server/index.ts'
import { Log } from '../../src/storage/index.ts'
import { RawClient } from '../support/raw-client.ts'
import { runCommand, unwrapped, type CommandRun } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const METADATA = { request: METADATA_REQUEST, response: METADATA_RESPONSE }
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Runs the command in this process; `work` is done with the port when it is ready, then it is told to stop. */
async function served(
  argv: readonly string[],
  work: (port: number) => Promise<void> | void = () => undefined,
): Promise<CommandRun> {
  const ready = join(temporaryFolder(), 'ready')
  const running = runCommand(Serve, [...argv, '--listen', '127.0.0.1:0', '--ready-file', ready])
  try {
    const ended = running.then(({ stderr }) => Promise.reject(new Error(stderr)))
    await Promise.race([
      vi.waitUntil(() => existsSync(ready), { timeout: 10_000, interval: 5 }),
      ended,
    ])
    ended.catch(() => undefined)
    await work(Number(readFileSync(ready, 'utf8').trim().split(':').at(-1)))
  } finally {
    process.emit('SIGTERM')
  }
  const run = await running
  expect(existsSync(ready)).toBe(false)
  return run
}

async function topicsOf(port: number): Promise<string[]> {
  const client = await RawClient.connect(port)
  const { topics } = await client.call(METADATA, 12, {
    topics: null,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })
  client.close()
  return topics.map(({ name }) => name ?? '')
}

describe('kafkats serve', () => {
  it('says where it listens, serves, and stops when it is told to', async () => {
    const dir = join(temporaryFolder(), 'new', 'root')
    const run = await served(
      [dir, '--broker-config', 'num.partitions=3', '--config', 'segment.bytes=1048576'],
      async (port) => {
        const client = await RawClient.connect(port)
        const ask = (): Promise<{ topics: readonly { partitions: readonly unknown[] }[] }> =>
          client.call(METADATA, 12, {
            topics: [{ name: 'orders', topicId: ZERO_UUID }],
            allowAutoTopicCreation: true,
            includeClusterAuthorizedOperations: false,
            includeTopicAuthorizedOperations: false,
          })
        await ask()
        expect((await ask()).topics[0]?.partitions).toHaveLength(3)
        client.close()
      },
    )
    expect(run.exitStatus).toBe(0)
    expect(run.stdout).toMatch(/^listening on 127\.0\.0\.1:\d+\n$/)
    expect(run.stderr).toMatch(/^\S+: 0 topics, 0 partitions; opened in [^\n]+\n$/)
    const again = await served([dir], async (port) => {
      expect(await topicsOf(port)).toEqual(['orders'])
    })
    expect(again.stderr).toMatch(/: 1 topic, 3 partitions; opened in /)
  })

  it('tells what clients did wrong, one line each', async () => {
    const run = await served([temporaryFolder()], async (port) => {
      const client = await RawClient.connect(port)
      client.socket.write(Buffer.from('0000000a03e70000000000010000', 'hex'))
      expect(await client.receive()).toBeUndefined()
    })
    expect(run.stderr).toMatch(/^127\.0\.0\.1:\d+: there is no api with key 999$/m)
  })

  it('tells which logs are offline, and serves the others', async () => {
    const dir = temporaryFolder()
    const broker = await startBroker({ dir, topics: { sound: {}, harmed: {} } })
    await broker.close()
    writeFileSync(join(dir, 'harmed-0', 'partition.metadata'), 'nonsense')
    const run = await served([dir], async (port) => {
      expect((await topicsOf(port)).sort()).toEqual(['harmed', 'sound'])
    })
    expect(run.exitStatus).toBe(0)
    expect(run.stderr).toMatch(/: 2 topics, 1 partition; /)
    expect(run.stderr).toMatch(/^harmed-0 is offline: .*partition\.metadata/m)
  })

  it('says when it had to recover', async () => {
    const dir = temporaryFolder()
    const broker = await startBroker({ dir, topics: { orders: {} } })
    await broker.close()
    unlinkSync(join(dir, '.kafka_cleanshutdown'))
    expect((await served([dir])).stderr).toMatch(/1 partition; no clean stop before, recovered in /)
  })

  it('serves a copy of a folder without writing, up to its high watermark', async () => {
    const dir = temporaryFolder()
    const broker = await startBroker({ dir, topics: { orders: {} } })
    await broker.close()
    writeFileSync(join(dir, 'replication-offset-checkpoint'), '0\n1\norders 0 1\n')
    const log = Log.open(join(dir, 'orders-0'))
    for (let i = 0; i < 3; i++) {
      const builder = new BatchBuilder()
      builder.append(BigInt(Date.now()), { key: null, value: Buffer.from(`${i}`) })
      const batch = builder.build()
      if (batch !== undefined) log.appendAsLeader(batch)
    }
    log.close()
    const run = await served([dir, '--read-only'])
    expect(run.stderr).toMatch(/1 partition; read-only, opened in /)
    expect(run.stderr).toContain('2 offsets of 1 partition lie behind the high watermark')
    expect((await served([dir, '--read-only', '--to-end'])).stderr).not.toContain('watermark')
  })

  it('warns of a file of users that others can read', async () => {
    const users = join(temporaryFolder(), 'users')
    writeFileSync(users, 'alice:secret\n', { mode: 0o644 })
    expect((await served([temporaryFolder(), '--sasl-users', users])).stderr).toContain('chmod 600')
  })
})

describe('kafkats serve refuses', () => {
  const root = temporaryFolder()
  const users = join(root, 'users')
  writeFileSync(users, 'alice\n')
  const partition = join(root, 'orders-0')
  Log.open(partition).close()
  const fresh = join(root, 'fresh')
  it.each([
    ['an address that others can reach, without users', ['--listen', '0.0.0.0:0'], 'nobody would'],
    ['a name that may be any machine', ['--listen', 'kafka.example:0'], 'nobody would'],
    [
      'every address without one to tell clients',
      ['--listen', '[::]:0', '--allow-anonymous'],
      'no address that a client can connect to',
    ],
    ['what is no address', ['--listen', '9092'], 'is no address: give HOST:PORT'],
    ['a setting that no broker has', ['--broker-config', 'nope=1'], 'nope is no setting'],
    ['a setting that no topic has', ['--config', 'nope=1'], 'nope is not a topic setting'],
    ['a key without a certificate', ['--tls-key', users], '--tls-cert'],
    [
      'a certificate that is none',
      ['--tls-key', users, '--tls-cert', users],
      'the certificate and its key cannot be used',
    ],
    ['users that it cannot read', ['--sasl-users', users], 'line 1: a name and a password'],
    ['--to-end where all is served', ['--to-end'], '--read-only'],
  ])('%s', async (_, argv, message) => {
    const run = await runCommand(Serve, [fresh, ...argv])
    expect(unwrapped(run.stderr)).toContain(message)
    expect(run.exitStatus).toBe(2)
    expect(run.stdout).toBe('')
    expect(existsSync(fresh)).toBe(false)
  })

  it('a partition folder', async () => {
    const run = await runCommand(Serve, [partition])
    expect(unwrapped(run.stderr)).toContain('is a partition folder, a data root is needed')
    expect(run.exitStatus).toBe(2)
  })

  it('a folder that is not there, where it may not make it', async () => {
    const run = await runCommand(Serve, [fresh, '--read-only', '--listen', '127.0.0.1:0'])
    expect(run.exitStatus).toBe(1)
    expect(existsSync(fresh)).toBe(false)
  })

  it('an address and a folder that somebody has; the folder is left as after a clean stop', async () => {
    const held = temporaryFolder()
    await using broker = await startBroker({ dir: held })
    const { host, port } = broker.address
    const locked = await runCommand(Serve, [held, '--listen', '127.0.0.1:0'])
    expect(locked.stderr).toContain('a broker is running')
    expect(locked.exitStatus).toBe(1)
    const taken = await runCommand(Serve, [fresh, '--listen', `${host}:${port}`])
    expect(unwrapped(taken.stderr)).toContain(`cannot listen on ${host}:${port}`)
    expect(taken.exitStatus).toBe(1)
    expect(existsSync(join(fresh, '.kafka_cleanshutdown'))).toBe(true)
    expect(existsSync(join(fresh, '.lock'))).toBe(false)
  })
})

it('ends with status 0 at a signal, and at once at the second one', async () => {
  const start = async (): Promise<{
    readonly child: ReturnType<typeof spawn>
    readonly port: number
    readonly dir: string
  }> => {
    const dir = temporaryFolder()
    const child = spawn(
      process.execPath,
      [`${ROOT}bin/dev.js`, 'serve', dir, '--listen', '127.0.0.1:0'],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_ENV: 'production' } },
    )
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    return { child, dir, port: Number(line.toString().trim().split(':').at(-1)) }
  }
  const first = await start()
  first.child.kill('SIGINT')
  expect(await once(first.child, 'exit')).toEqual([0, null])
  expect(existsSync(join(first.dir, '.kafka_cleanshutdown'))).toBe(true)

  const second = await start()
  // A client that does not end its side keeps a stop waiting.
  const client = connect({ port: second.port, allowHalfOpen: true })
  await once(client, 'connect')
  second.child.kill('SIGTERM')
  client.resume()
  await once(client, 'end')
  second.child.kill('SIGTERM')
  expect(await once(second.child, 'exit')).toEqual([null, 'SIGTERM'])
  client.destroy()
  expect(existsSync(join(second.dir, '.kafka_cleanshutdown'))).toBe(false)
}, 60_000)
