import { KafkaJsClient } from './kafkajs-client.ts'
import type { MatrixClient } from './matrix-client.ts'
import { PlatformaticClient } from './platformatic-client.ts'
import { ProgramClient } from './program-client.ts'

/** How each client of the matrix is started. A client that cannot be fetched rejects, and so fails its own tests alone. */
export const CLIENTS: Readonly<Record<string, () => Promise<MatrixClient>>> = {
  java: () => ProgramClient.java(),
  'kafka-python': () => ProgramClient.python('kafka-python'),
  'confluent-kafka': () => ProgramClient.python('confluent-kafka'),
  kafkajs: () => Promise.resolve(new KafkaJsClient()),
  platformatic: () => Promise.resolve(new PlatformaticClient()),
}
