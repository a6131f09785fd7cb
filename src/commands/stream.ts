import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../cli/base-command.ts'
import { parseEndpoint, type Endpoint } from '../cli/endpoint.ts'
import { isClosedPipe } from '../cli/errors.ts'
import { sizeFlag } from '../cli/flags.ts'
import { formatBytes, formatDuration } from '../cli/format.ts'
import { parseOffset } from '../cli/parse.ts'
import { startProgress } from '../cli/progress.ts'
import { ConnectionLostError, InvalidArgumentError, NotAPartitionError } from '../errors.ts'
import { resolvePath, type PartitionPath } from '../inspect/partition-path.ts'
import { planStream, type StreamPlan } from '../inspect/stream-plan.ts'
import { connectTo, sayGoodbye, sendPlan, type StreamResult } from '../inspect/stream.ts'
import { hasLiveWriter } from '../storage/data-root-guard.ts'
import { offsetOfFileName } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { TRANSFER_METHODS, type TransferMethod } from '../storage/transfer.ts'

export default class Stream extends BaseCommand<StreamResult | undefined> {
  static override summary = "Send a partition's batches as they are."
  static override description = `Sends the raw bytes of a partition's segments, one behind the other, from the batch that holds the \
offset to the log end, and closes the connection. The bytes are not looked at: whoever reads them checks \
their checksums. The folder is opened for reading only and may belong to a running broker.

On Linux a socket gets them by sendfile, without a copy through this process, from a thread of its \
own; elsewhere, to stdout, and below 256 KiB, where that is quicker, they are copied. The line on stderr says which it was.

The exit status is 1 where nobody listens, or the reader goes before it has everything, and 3 \
where the log is damaged behind what was sent. A log that ends inside a batch is damaged too, \
unless somebody is writing it right now.`
  static override examples = [
    {
      description: 'To whoever listens on a port.',
      command: '<%= config.bin %> stream fixtures/broker-4.1.0/keyed-0 --to tcp://127.0.0.1:9000',
    },
    {
      description: 'A copy of what comes from offset 1000 on.',
      command:
        '<%= config.bin %> stream fixtures/broker-4.1.0/orders-zstd-0 --offset 1000 --to - > batches',
    },
  ]
  static override enableJsonFlag = true
  static override args = {
    path: Args.string({
      description: 'A partition folder, or a .log file of one.',
      required: true,
      ignoreStdin: true,
    }),
  }
  static override flags = {
    to: Flags.custom<Endpoint>({
      summary: 'Where they go; - is stdout.',
      helpValue: 'tcp://HOST:PORT|unix:PATH|-',
      required: true,
      parse: (text) => Promise.resolve(parseEndpoint(text)),
    })(),
    offset: Flags.custom<bigint | 'earliest' | 'latest'>({
      summary: 'Begin with the batch that holds this offset [default: earliest].',
      helpValue: 'N|earliest|latest',
      noCacheDefault: true,
      parse: (text) =>
        Promise.resolve(text === 'earliest' || text === 'latest' ? text : parseOffset(text)),
    })(),
    'max-bytes': sizeFlag({
      summary:
        'End after so many bytes, as a fetch does: the last batch may be cut, the first not.',
    }),
    method: Flags.option({
      summary: 'How they are sent.',
      options: TRANSFER_METHODS,
      default: 'auto' as const,
    })(),
  }

  override async run(): Promise<StreamResult | undefined> {
    const { args, flags } = await this.parse(Stream)
    const { to, method } = flags
    if (to.kind === 'stdout' && this.jsonEnabled()) {
      throw new InvalidArgumentError('--json and --to - both want stdout')
    }
    if (to.kind === 'stdout' && method === 'sendfile') {
      throw new InvalidArgumentError('--method sendfile needs a socket; stdout is copied to')
    }
    const { partition, segment } = targetOf(args.path)
    const plan = planStream(partition, {
      offset: flags.offset,
      maxBytes: flags['max-bytes'],
      segment,
    })
    if (plan.firstOffset < plan.offset) {
      note(`offset ${plan.offset} lies inside a batch, which begins with ${plan.firstOffset}`)
    }
    const result = await this.#send(plan, to, method, partition)
    if (result === undefined) return undefined
    if (!this.jsonEnabled()) process.stderr.write(`${summaryOf(result, partition)}\n`)
    this.#tellEnd(plan, partition)
    return result
  }

  /** Undefined where stdout was closed by its reader. */
  async #send(
    plan: StreamPlan,
    to: Endpoint,
    method: TransferMethod,
    partition: PartitionPath,
  ): Promise<StreamResult | undefined> {
    const socket = to.kind === 'stdout' ? undefined : await connectTo(to)
    const progress = await startProgress({
      text: `Streaming ${partition.name}`,
      totalBytes: plan.bytes,
    })
    try {
      const result = await sendPlan(plan, {
        to: socket ?? process.stdout,
        // A stdout that is a socket may be written to by others, too.
        method: socket === undefined ? 'copy' : method,
        onProgress: (doneBytes) => {
          progress.update(doneBytes)
        },
      })
      if (socket !== undefined) await sayGoodbye(socket, result.bytes)
      return result
    } catch (error) {
      // What else keeps stdout from being written is told where its errors are.
      if (socket !== undefined || !(error instanceof ConnectionLostError)) throw error
      if (isClosedPipe(error.cause)) return undefined
      throw error
    } finally {
      progress.stop()
      socket?.destroy()
    }
  }

  #tellEnd({ end }: StreamPlan, { dir, root }: PartitionPath): void {
    if (end === undefined) return
    const { error, kind } = end
    if (kind === 'damage' || !hasLiveWriter(diskFileSystem, dir, root?.root)) throw error
    note(
      `the log ends inside a batch, which is being written: ${error.file ?? ''}, byte ${error.position ?? 0}`,
    )
  }
}

function note(text: string): void {
  process.stderr.write(`Note: ${text}\n`)
}

function summaryOf(result: StreamResult, { name }: PartitionPath): string {
  const { bytes, seconds, mibPerSecond, method, firstOffset, logEndOffset } = result
  if (bytes === 0) return `Nothing to send: ${name} ends at offset ${logEndOffset}`
  const rate = mibPerSecond.toFixed(1)
  return `${formatBytes(bytes)} of ${name} from offset ${firstOffset} on, in ${formatDuration(seconds * 1000)} (${rate} MiB/s, ${method})`
}

function targetOf(path: string): {
  readonly partition: PartitionPath
  readonly segment: bigint | undefined
} {
  const resolved = resolvePath(path)
  switch (resolved.kind) {
    case 'partition':
      return { partition: resolved, segment: undefined }
    case 'data-root':
      throw new InvalidArgumentError(`${path} is a data root, one partition folder is needed`, {
        file: path,
      })
    case 'file': {
      const segment = offsetOfFileName(resolved.name)
      if (!resolved.name.endsWith('.log') || segment === undefined) {
        throw new NotAPartitionError(`${path} holds no batches`, { file: path })
      }
      return { partition: resolved.partition, segment }
    }
  }
}
