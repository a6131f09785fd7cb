import { statfsSync } from 'node:fs'
import { APIS } from '../../protocol/api-keys.ts'
import { ERROR_CODES } from '../../protocol/error-codes.ts'
import { DESCRIBE_LOG_DIRS_REQUEST } from '../../protocol/messages/describe-log-dirs-request.ts'
import {
  DESCRIBE_LOG_DIRS_RESPONSE,
  type DescribeLogDirsPartition,
} from '../../protocol/messages/describe-log-dirs-response.ts'
import { serveApi, type ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { partitionKey } from '../partition.ts'

/** First version that tells the size of the disk. */
const DISK_VERSION = 4

/** Kafka: core/server/ReplicaManager.scala, describeLogDirs */
export function describeLogDirsHandler({ logs }: BrokerServices): ApiHandler {
  return serveApi({
    api: APIS.DescribeLogDirs,
    request: DESCRIBE_LOG_DIRS_REQUEST,
    response: DESCRIBE_LOG_DIRS_RESPONSE,
    handle: (request, { apiVersion }) => {
      const wanted =
        request.topics === null
          ? undefined
          : new Set(
              request.topics.flatMap(({ topic, partitions }) =>
                partitions.map((partition) => partitionKey(topic, partition)),
              ),
            )
      const topics = new Map<string, DescribeLogDirsPartition[]>()
      for (const [key, { topic, partition, log }] of logs.logs) {
        if (wanted !== undefined && !wanted.has(key)) continue
        const partitions = topics.get(topic) ?? []
        topics.set(topic, partitions)
        partitions.push({
          partitionIndex: partition,
          partitionSize: BigInt(log.sizeInBytes),
          offsetLag:
            log.logEndOffset > log.highWatermark ? log.logEndOffset - log.highWatermark : 0n,
          isFutureKey: false,
        })
      }
      return {
        throttleTimeMs: 0,
        results: [
          {
            errorCode: ERROR_CODES.NONE,
            logDir: logs.root,
            topics: Array.from(topics, ([name, partitions]) => ({ name, partitions })),
            ...(apiVersion >= DISK_VERSION && diskOf(logs.root)),
          },
        ],
      }
    },
  })
}

function diskOf(root: string): { readonly totalBytes: bigint; readonly usableBytes: bigint } {
  const { blocks, bavail, bsize } = statfsSync(root, { bigint: true })
  return { totalBytes: blocks * bsize, usableBytes: bavail * bsize }
}
