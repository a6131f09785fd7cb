import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Message } from '../../src/protocol/message.ts'

const FOLDER = new URL('../../src/protocol/messages/', import.meta.url)

function isMessage(value: unknown): value is Message<unknown> {
  return typeof value === 'object' && value !== null && 'flexibleFrom' in value && 'read' in value
}

/** Every generated codec, by the name of its message. */
export async function protocolMessages(): Promise<ReadonlyMap<string, Message<unknown>>> {
  const messages = new Map<string, Message<unknown>>()
  for (const file of readdirSync(fileURLToPath(FOLDER)).sort()) {
    const module = (await import(new URL(file, FOLDER).href)) as Record<string, unknown>
    for (const value of Object.values(module)) if (isMessage(value)) messages.set(value.name, value)
  }
  return messages
}
