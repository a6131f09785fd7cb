import { Args, Flags } from '@oclif/core'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { inspect } from 'node:util'
import { BaseCommand } from '../cli/base-command.ts'
import { errorToJson, isSystemError, SYSTEM_REASONS } from '../cli/errors.ts'
import { configFlag } from '../cli/flags.ts'
import { formatCount, formatDuration } from '../cli/format.ts'
import { formatHostPort, parseHostPort, type HostPort } from '../cli/host-port.ts'
import { LogLines } from '../cli/log-lines.ts'
import { parseConfig } from '../cli/parse.ts'
import { InvalidArgumentError, StorageIoError } from '../errors.ts'
import type { Broker, BrokerOptions, SaslUser } from '../server/index.ts'
import { parsePartitionFolder } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'

const DEFAULT_LISTEN = '127.0.0.1:9092'
/** Logs that could not be opened, told one by one. */
const MAX_OFFLINE_LINES = 50
const READABLE_BY_OTHERS = 0o077

export default class Serve extends BaseCommand {
  static override summary = 'Be a broker over a data root, for every Kafka client.'
  static override description = `Answers Kafka's protocol over the partitions of a folder, which is made where it is not there: produce \
and fetch, topics, consumer groups, idempotent producers. Topics, settings and committed offsets are \
kept in Kafka's own files, so that a Kafka of one node can be started on the folder afterwards. What \
is not there, and where defaults are not Kafka's, stands in docs/serve.md.

When it takes connections, it prints "listening on HOST:PORT" on stdout. SIGTERM and SIGINT stop it \
cleanly; a second one ends it at once, and the next start recovers as after a crash. What was opened and \
what went wrong is told on stderr.

With --read-only nothing is written and no lock is taken: DIR may be a backup, a copy, a read-only \
mount, or a folder with some partitions in it. Records up to the high watermark of its checkpoint are \
served; partitions without one, and all with --to-end, up to their end.

Only programs on this machine can connect unless --listen says otherwise. For others there have \
to be users (--sasl-users), or --allow-anonymous. The users file has a line name:password for each, or \
a SCRAM verifier instead of the password.`
  static override examples = [
    {
      description: 'A broker for tests, on a free port.',
      command: '<%= config.bin %> serve /tmp/kafkats-serve --listen 127.0.0.1:0',
    },
    {
      description: 'What a backup holds, for any consumer.',
      command: '<%= config.bin %> serve fixtures/broker-4.1.0 --read-only --listen 127.0.0.1:19092',
    },
    {
      description: 'For others, with TLS and users.',
      command:
        '<%= config.bin %> serve /srv/kafka --listen 0.0.0.0:9093 --advertise kafka.example:9093 --tls-cert cert.pem --tls-key key.pem --sasl-users users',
    },
  ]
  static override args = {
    dir: Args.string({
      description: 'A data root: a folder of partition folders.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override flags = {
    listen: Flags.custom<HostPort>({
      summary: `Where clients connect; port 0 takes a free one [default: ${DEFAULT_LISTEN}].`,
      helpValue: 'HOST:PORT',
      parse: (text) => Promise.resolve(parseHostPort(text)),
    })(),
    advertise: Flags.custom<HostPort>({
      summary: 'What clients are told to connect to [default: where it listens].',
      helpValue: 'HOST:PORT',
      parse: (text) => Promise.resolve(parseHostPort(text)),
    })(),
    'read-only': Flags.boolean({ summary: 'Write nothing; refuse what would.' }),
    'to-end': Flags.boolean({
      summary: 'Serve what lies behind the high watermark too.',
      dependsOn: ['read-only'],
    }),
    'broker-config': configFlag({
      summary: "A broker's setting by Kafka's name; may be given several times.",
    }),
    config: configFlag({
      summary: "A default of topics by Kafka's name; may be given several times.",
    }),
    'tls-cert': Flags.string({
      summary: 'Certificate chain in PEM: clients connect by TLS.',
      helpValue: 'FILE',
      dependsOn: ['tls-key'],
    }),
    'tls-key': Flags.string({
      summary: 'Its private key in PEM.',
      helpValue: 'FILE',
      dependsOn: ['tls-cert'],
    }),
    'sasl-users': Flags.string({
      summary: 'Who may connect, by SCRAM-SHA-256, SCRAM-SHA-512 or, with TLS, PLAIN.',
      helpValue: 'FILE',
    }),
    'allow-cleartext-passwords': Flags.boolean({
      summary: 'Take PLAIN without TLS too.',
      dependsOn: ['sasl-users'],
    }),
    'allow-anonymous': Flags.boolean({
      summary: 'Let everybody connect who can reach it.',
    }),
    'ready-file': Flags.string({
      summary: 'Write HOST:PORT to this file when ready; it is removed at the end.',
      helpValue: 'PATH',
    }),
  }

  readonly #lines = new LogLines()

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Serve)
    const { listen = parseHostPort(DEFAULT_LISTEN), advertise } = flags
    ensureNoPartition(args.dir)
    const readyFile = flags['ready-file']
    // One of an earlier run would say that this one is ready.
    if (readyFile !== undefined) rmSync(readyFile, { force: true })
    const { tls, users } = await this.#secrets(flags)
    const broker = await start({
      dir: args.dir,
      host: listen.host,
      port: listen.port,
      advertised: advertise,
      readOnly: flags['read-only'],
      toEnd: flags['to-end'],
      brokerConfig: parseConfig(flags['broker-config'] ?? []),
      config: parseConfig(flags.config ?? []),
      tls,
      sasl:
        users === undefined
          ? undefined
          : { users, allowCleartextPasswords: flags['allow-cleartext-passwords'] },
      allowAnonymous: flags['allow-anonymous'],
      onFailure: (error, { socket }) => {
        const { remoteAddress: host = 'a client that is gone', remotePort: port } = socket
        const client = port === undefined ? host : formatHostPort({ host, port })
        this.#lines.say(`${client}: ${reasonOf(error)}`)
      },
      onTaskFailure: (task, error) => this.#lines.say(`${task}: ${reasonOf(error)}`),
    })
    // Before anybody knows that it is there.
    const stopped = signalled()
    tellOpened(broker, flags['read-only'])
    const address = formatHostPort(broker.address)
    if (readyFile !== undefined) {
      writeFileSync(`${readyFile}.tmp`, `${address}\n`)
      renameSync(`${readyFile}.tmp`, readyFile)
    }
    this.print(`listening on ${address}`)
    await stopped
    if (readyFile !== undefined) rmSync(readyFile, { force: true })
    await broker.close()
    this.#lines.end()
  }

  async #secrets(flags: {
    readonly 'tls-cert'?: string | undefined
    readonly 'tls-key'?: string | undefined
    readonly 'sasl-users'?: string | undefined
  }): Promise<{
    readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined
    readonly users: readonly SaslUser[] | undefined
  }> {
    const { 'tls-cert': cert, 'tls-key': key, 'sasl-users': file } = flags
    const tls =
      cert === undefined || key === undefined
        ? undefined
        : { cert: readFileSync(cert), key: readFileSync(key) }
    if (file === undefined) return { tls, users: undefined }
    const { parseUsers } = await import('../server/index.ts')
    const users = parseUsers(readFileSync(file, 'utf8'), file)
    if (process.platform !== 'win32' && (statSync(file).mode & READABLE_BY_OTHERS) !== 0) {
      this.#lines.say(`Note: ${file} is open to other users of this machine (chmod 600)`)
    }
    return { tls, users }
  }
}

/** @throws StorageIoError where the address cannot be had, and what {@link Broker.start} throws */
async function start(options: BrokerOptions): Promise<Broker> {
  // Loaded now: no other command needs it.
  const server = await import('../server/index.ts')
  try {
    return await server.Broker.start(options)
  } catch (error) {
    if (isTlsError(error)) {
      throw new InvalidArgumentError(`the certificate and its key cannot be used: ${error.message}`)
    }
    if (!isSystemError(error) || !LISTEN_CALLS.includes(error.syscall ?? '')) throw error
    const { host = '', port = 0 } = options
    const reason = SYSTEM_REASONS[error.code] ?? error.message
    throw new StorageIoError(`cannot listen on ${formatHostPort({ host, port })}: ${reason}`, {
      kafkaError: undefined,
      hint: 'give another address with --listen; port 0 takes a free one',
      cause: error,
    })
  }
}

const LISTEN_CALLS = ['listen', 'bind', 'getaddrinfo']

function isTlsError(error: unknown): error is Error {
  return (
    error instanceof Error && 'code' in error && /^ERR_(OSSL|TLS|SSL)_/.test(String(error.code))
  )
}

/** A broker in the folder of one partition would make its files between those of the log. */
function ensureNoPartition(dir: string): void {
  if (parsePartitionFolder(basename(resolve(dir))) === undefined || !diskFileSystem.exists(dir))
    return
  if (!diskFileSystem.list(dir).some((name) => name.endsWith('.log'))) return
  throw new InvalidArgumentError(`${dir} is a partition folder, a data root is needed`, {
    file: dir,
    hint: 'give the folder that it stands in',
  })
}

/** Resolves at the first signal to stop. The next one finds nobody who catches it, and ends the process. */
function signalled(): Promise<void> {
  return new Promise((done) => {
    const onSignal = (): void => {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
      done()
    }
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  })
}

function tellOpened(broker: Broker, readOnly: boolean): void {
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  const { root, logs, offline, wasClosedCleanly } = broker.logs
  const topics = broker.services.metadata.image.topics.size
  const opened = readOnly
    ? 'read-only, opened'
    : wasClosedCleanly || logs.size + offline.size === 0
      ? 'opened'
      : 'no clean stop before, recovered'
  say(
    `${root}: ${plural(topics, 'topic')}, ${plural(logs.size, 'partition')}; ${opened} in ${formatDuration(broker.openMs)}`,
  )
  let told = 0
  for (const [name, { error }] of offline) {
    if (++told > MAX_OFFLINE_LINES) break
    say(`${name} is offline: ${reasonOf(error)}`)
  }
  if (offline.size > told) say(`… and ${offline.size - told} more are offline`)
  if (!readOnly) return
  let behind = 0n
  let ending = 0
  for (const { log } of logs.values()) {
    if (log.highWatermark >= log.logEndOffset) continue
    behind += log.logEndOffset - log.highWatermark
    ending++
  }
  if (ending > 0) {
    say(
      `Note: ${formatCount(behind)} offsets of ${plural(ending, 'partition')} lie behind the high watermark and are not served; --to-end serves them`,
    )
  }
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

function reasonOf(error: unknown): string {
  if ((process.env['DEBUG'] ?? '') !== '') return inspect(error)
  const { message, file, kafkaError } = errorToJson(error)
  const place = file === undefined || message.includes(file) ? '' : ` (${file})`
  return `${message}${place}${kafkaError === undefined ? '' : ` [${kafkaError}]`}`
}
