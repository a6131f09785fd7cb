import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FRAME_SIZE_BYTES, readResponse, writeRequest } from '../../src/protocol/frame.ts'
import type { Message } from '../../src/protocol/message.ts'
import {
  CREATE_TOPICS_REQUEST,
  type CreateTopicsRequest,
} from '../../src/protocol/messages/create-topics-request.ts'
import { CREATE_TOPICS_RESPONSE } from '../../src/protocol/messages/create-topics-response.ts'
import {
  DELETE_TOPICS_REQUEST,
  type DeleteTopicsRequest,
} from '../../src/protocol/messages/delete-topics-request.ts'
import { DELETE_TOPICS_RESPONSE } from '../../src/protocol/messages/delete-topics-response.ts'
import { METADATA_REQUEST } from '../../src/protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../../src/protocol/messages/metadata-response.ts'
import { ZERO_UUID } from '../../src/protocol/protocol-reader.ts'

const METADATA_VERSION = 9
const CREATE_VERSION = 5
const DELETE_VERSION = 4
const RETRY_MS = 2
const TIMEOUT_MS = 30_000

/**
 * Asks until the broker knows itself, and a leader of the topic where one is named. Asked on a new connection until one
 * is made, then again on the same: both brokers are asked alike.
 */
export async function ready(port: number, topic?: string): Promise<void> {
  const until = performance.now() + 2 * TIMEOUT_MS
  for (;;) {
    const socket = await tryConnect(port)
    if (socket !== undefined) {
      try {
        while (performance.now() < until) {
          if (await isServing(socket, topic)) return
          await sleep(RETRY_MS)
        }
      } catch {
        // it was bound and not yet listened to, or closes what comes too early
      } finally {
        socket.destroy()
      }
    }
    if (performance.now() > until) throw new Error(`nobody serves ${topic ?? ''} at port ${port}`)
    await sleep(RETRY_MS)
  }
}

async function tryConnect(port: number): Promise<Socket | undefined> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    return undefined
  }
}

async function isServing(socket: Socket, topic: string | undefined): Promise<boolean> {
  const { brokers, topics } = await call(
    socket,
    { request: METADATA_REQUEST, response: METADATA_RESPONSE },
    METADATA_VERSION,
    {
      topics: topic === undefined ? [] : [{ topicId: ZERO_UUID, name: topic }],
      allowAutoTopicCreation: false,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    },
  )
  if (brokers.length === 0) return false
  return topics.every(
    ({ errorCode, partitions }) =>
      errorCode === 0 && partitions.every((each) => each.errorCode === 0 && each.leaderId >= 0),
  )
}

export async function createTopic(port: number, name: string): Promise<void> {
  const request: CreateTopicsRequest = {
    topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: TIMEOUT_MS,
    validateOnly: false,
  }
  const messages = { request: CREATE_TOPICS_REQUEST, response: CREATE_TOPICS_RESPONSE }
  const { topics } = await callOnce(port, messages, CREATE_VERSION, request)
  const [made] = topics
  if (made?.errorCode !== 0) throw new Error(`${name} was not made: error ${made?.errorCode}`)
  await ready(port, name)
}

export async function deleteTopic(port: number, name: string): Promise<void> {
  const request: DeleteTopicsRequest = { topics: [], topicNames: [name], timeoutMs: TIMEOUT_MS }
  const messages = { request: DELETE_TOPICS_REQUEST, response: DELETE_TOPICS_RESPONSE }
  await callOnce(port, messages, DELETE_VERSION, request)
}

interface Messages<Request, Response> {
  readonly request: Message<Request>
  readonly response: Message<Response>
}

async function callOnce<Request, Response>(
  port: number,
  messages: Messages<Request, Response>,
  version: number,
  value: Request,
): Promise<Response> {
  const socket = await tryConnect(port)
  if (socket === undefined) throw new Error(`nobody listens at port ${port}`)
  try {
    return await call(socket, messages, version, value)
  } finally {
    socket.destroy()
  }
}

/** One request and its response. Rejects where the connection ends instead. */
async function call<Request, Response>(
  socket: Socket,
  messages: Messages<Request, Response>,
  version: number,
  value: Request,
): Promise<Response> {
  socket.write(
    writeRequest(
      messages.request,
      { apiVersion: version, correlationId: 1, clientId: 'bench' },
      value,
    ),
  )
  const frame = await new Promise<Buffer>((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const done = (): void => {
      socket.off('data', take)
      socket.off('close', ended)
      socket.off('error', ended)
    }
    const ended = (): void => {
      done()
      reject(new Error('the connection ended'))
    }
    const take = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk])
      if (received.length < FRAME_SIZE_BYTES) return
      const end = FRAME_SIZE_BYTES + received.readInt32BE(0)
      if (received.length < end) return
      done()
      resolve(received.subarray(FRAME_SIZE_BYTES, end))
    }
    socket.on('data', take).on('close', ended).on('error', ended)
  })
  return readResponse(messages.response, frame, version).value
}
