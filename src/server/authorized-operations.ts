/**
 * What a client may do where nobody is refused anything, as a set of bits by operation.
 *
 * Kafka: core/server/AuthHelper.scala, authorizedOperations; security/authorizer/AclEntry.java, supportedOperations
 */
const OPERATIONS = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const

function bits(...operations: readonly (keyof typeof OPERATIONS)[]): number {
  return operations.reduce((set, operation) => set | (1 << OPERATIONS[operation]), 0)
}

export const TOPIC_OPERATIONS = bits(
  'read',
  'write',
  'create',
  'describe',
  'delete',
  'alter',
  'describeConfigs',
  'alterConfigs',
)

export const CLUSTER_OPERATIONS = bits(
  'create',
  'clusterAction',
  'describeConfigs',
  'alterConfigs',
  'idempotentWrite',
  'alter',
  'describe',
)
