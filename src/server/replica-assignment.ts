/**
 * Why a partition cannot be on the given brokers, in Kafka's words; undefined where it can, which is on this node alone.
 *
 * Kafka: controller/ReplicationControlManager.java, validateManualPartitionAssignment
 */
export function assignmentFault(brokerIds: readonly number[], nodeId: number): string | undefined {
  if (brokerIds.length === 0) {
    return 'The manual partition assignment includes an empty replica list.'
  }
  const sorted = [...brokerIds].sort((a, b) => a - b)
  for (const [i, id] of sorted.entries()) {
    if (id !== nodeId) {
      return `The manual partition assignment includes broker ${id}, but no such broker is registered.`
    }
    if (i > 0) return `The manual partition assignment includes the broker ${id} more than once.`
  }
  return undefined
}
