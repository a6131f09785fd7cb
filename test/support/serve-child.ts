/**
 * A broker of kafkats in a process of its own, which a test can kill: `serve-child.ts DIR`. One JSON command a line on
 * standard input, one JSON answer a line on standard output, the first one when it is bound.
 */
import { createInterface } from 'node:readline'
import { Broker } from '../../src/server/broker.ts'

interface Command {
  readonly cmd: 'create' | 'configure' | 'delete' | 'topics' | 'stop'
  readonly topic?: string
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string | null>>
}

const broker = await Broker.start({ dir: process.argv[2] ?? '', port: 0 })
const { host, port } = broker.address
answer({ bootstrap: `${host}:${port}` })

function answer(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

function topics(): unknown {
  const { image } = broker.services.metadata
  return Object.fromEntries(
    Array.from(image.topics.values(), ({ name, topicId, partitions }) => [
      name,
      {
        topicId,
        epochs: partitions.map(({ leaderEpoch }) => leaderEpoch),
        configs: Object.fromEntries(image.topicConfigs.get(name) ?? []),
      },
    ]),
  )
}

for await (const line of createInterface({ input: process.stdin })) {
  const { cmd, topic: name = '', partitions = 1, config = {} } = JSON.parse(line) as Command
  const { topics: manager, metadata } = broker.services
  const topic = metadata.image.topics.get(name)
  if (cmd === 'create') {
    manager.create(
      name,
      partitions,
      new Map(Object.entries(config).map(([key, value]) => [key, value ?? ''])),
    )
  } else if (cmd === 'configure') {
    const values = new Map(Object.entries(config).map(([key, value]) => [key, value ?? undefined]))
    metadata.apply([{ kind: 'configure', resource: { type: 'topic', name }, values }])
  } else if (cmd === 'delete' && topic !== undefined) manager.delete(topic)
  else if (cmd === 'stop') await broker.close()
  answer(cmd === 'topics' ? topics() : {})
  if (cmd === 'stop') process.exit(0)
}
