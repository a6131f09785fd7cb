import fc from 'fast-check'
import type { MetadataChange, MetadataImage } from '../../src/server/metadata/metadata-image.ts'
import { randomUuid } from '../../src/storage/index.ts'

/** A change drawn without looking at the image; {@link changeFor} makes one of it that fits. */
export interface Draw {
  readonly kind: MetadataChange['kind']
  readonly pick: number
  readonly count: number
  readonly key: string
  readonly value: string | undefined
}

export const draws: fc.Arbitrary<Draw> = fc.record({
  kind: fc.constantFrom(
    'create-topic',
    'create-topic',
    'create-partitions',
    'delete-topic',
    'configure',
    'configure',
    'reserve-producer-ids',
  ),
  pick: fc.nat(1000),
  count: fc.integer({ min: 1, max: 5 }),
  key: fc.constantFrom('segment.bytes', 'retention.ms', 'cleanup.policy'),
  value: fc.option(fc.string({ maxLength: 12 }), { nil: undefined }),
})

/** The change that a draw means for an image; undefined where it has nothing to change. */
export function changeFor(draw: Draw, image: MetadataImage): MetadataChange | undefined {
  const { kind, pick, count, key, value } = draw
  const topic = [...image.topics.values()][pick % Math.max(image.topics.size, 1)]
  if (kind === 'reserve-producer-ids') {
    return { kind, nextProducerId: image.nextProducerId + 1000n }
  }
  if (kind === 'create-topic') {
    const name = `topic-${pick}`
    if (image.topics.has(name)) return undefined
    const configs = new Map(value === undefined ? [] : [[key, value]])
    return { kind, name, topicId: randomUuid(), partitionCount: count, configs }
  }
  if (kind === 'configure' && pick % 3 === 0) {
    const name = pick % 2 === 0 ? '' : String(image.nodeId)
    return { kind, resource: { type: 'broker', name }, values: new Map([[key, value]]) }
  }
  if (topic === undefined) return undefined
  const { topicId, name, partitions } = topic
  if (kind === 'configure') {
    return { kind, resource: { type: 'topic', name }, values: new Map([[key, value]]) }
  }
  if (kind === 'delete-topic') return { kind, topicId }
  return { kind, topicId, partitionCount: partitions.length + count }
}

/** An image as plain values, settings that are gone left out; `raise` is added to the epochs of the partitions. */
export function plainImage(image: MetadataImage, raise = 0): unknown {
  return {
    clusterId: image.clusterId,
    nodeId: image.nodeId,
    nextProducerId: image.nextProducerId,
    features: new Map(image.features),
    brokerConfigs: new Map(image.brokerConfigs),
    configs: new Map([...image.topicConfigs].filter(([, values]) => values.size > 0)),
    topics: new Map(
      Array.from(image.topics.values(), ({ name, topicId, partitions }) => [
        name,
        {
          topicId,
          byId: image.topicsById.get(topicId)?.name,
          partitions: partitions.map(({ leaderEpoch, partitionEpoch }) => [
            leaderEpoch + raise,
            partitionEpoch + raise,
          ]),
        },
      ]),
    ),
  }
}
