/**
 * kafkats as a library: send what a fetch found to a socket, as a server would.
 *
 *   npx tsx docs/examples/transfer.ts FOLDER
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { BatchBuilder, KafkatsError, Log, batchesIn, transfer } from '../../src/index.ts'

/** Appends batches, sends them through a socket, and prints what arrived. */
export async function run(folder: string, print: (line: string) => void): Promise<void> {
  const log = Log.open(join(folder, 'sent-0'))
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  try {
    for (const value of ['one', 'two', 'three']) {
      const builder = new BatchBuilder()
      builder.append(BigInt(Date.now()), { key: null, value: Buffer.from(value) })
      const batch = builder.build()
      if (batch !== undefined) log.appendAsLeader(batch)
    }

    // A fetch gives a byte range of a segment. It is not read: the kernel hands it to the socket where it can.
    const { slice } = log.read(1n, { maxBytes: 1024 * 1024 })
    if (slice === undefined) return
    const head = Buffer.alloc(4)
    head.writeInt32BE(slice.length)
    const sent = await transfer({
      to: socket,
      parts: [head, slice],
      signal: AbortSignal.timeout(10_000), // a reader may stall for ever
    })
    print(`${sent.bytesSent - slice.length} bytes of head before ${slice.length} of batches`)

    socket.end()
    const chunks: Buffer[] = []
    for await (const chunk of reader as AsyncIterable<Buffer>) chunks.push(chunk)
    for (const batch of batchesIn(Buffer.concat(chunks).subarray(4))) {
      for (const record of batch.records()) {
        print(`${record.offset} ${record.value?.toString() ?? ''}`)
      }
    }

    // Nobody takes what is sent to a socket that was ended.
    await transfer({ to: socket, parts: [slice] })
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    print(error.code)
  } finally {
    reader.destroy()
    socket.destroy()
    server.close()
    log.close()
  }
}

const [script, folder] = process.argv.slice(1)
if (folder !== undefined && script?.endsWith('transfer.ts') === true) {
  await run(folder, (line) => console.log(line))
}
