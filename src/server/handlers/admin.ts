import type { ApiHandler } from '../api-handler.ts'
import type { BrokerServices } from '../broker-services.ts'
import { alterConfigsHandler } from './alter-configs.ts'
import { createPartitionsHandler } from './create-partitions.ts'
import { createTopicsHandler } from './create-topics.ts'
import { deleteRecordsHandler } from './delete-records.ts'
import { deleteTopicsHandler } from './delete-topics.ts'
import { describeAclsHandler } from './describe-acls.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { describeConfigsHandler } from './describe-configs.ts'
import { describeLogDirsHandler } from './describe-log-dirs.ts'
import { describeProducersHandler } from './describe-producers.ts'
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts'
import { describeTransactionsHandler } from './describe-transactions.ts'
import { electLeadersHandler } from './elect-leaders.ts'
import { incrementalAlterConfigsHandler } from './incremental-alter-configs.ts'
import { listConfigResourcesHandler } from './list-config-resources.ts'
import { listTransactionsHandler } from './list-transactions.ts'
import {
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
} from './partition-reassignments.ts'

/** The apis of administration. A mount has only those that tell. */
export function adminHandlers(services: BrokerServices): readonly ApiHandler[] {
  const telling: ApiHandler[] = [
    describeAclsHandler(),
    describeClusterHandler(services),
    describeConfigsHandler(services),
    describeLogDirsHandler(services),
    describeProducersHandler(services),
    describeTopicPartitionsHandler(services),
    describeTransactionsHandler(),
    listConfigResourcesHandler(services),
    listPartitionReassignmentsHandler(),
    listTransactionsHandler(),
  ]
  if (services.readOnly) return telling
  return [
    ...telling,
    alterConfigsHandler(services),
    alterPartitionReassignmentsHandler(services),
    createPartitionsHandler(services),
    createTopicsHandler(services),
    deleteRecordsHandler(services),
    deleteTopicsHandler(services),
    electLeadersHandler(services),
    incrementalAlterConfigsHandler(services),
  ]
}
