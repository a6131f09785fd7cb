import { randomBytes } from 'node:crypto'

/**
 * Kafka's text form of a UUID: 16 bytes in base64url without padding, 22 characters. That text is how kafkats
 * holds topic, directory and cluster ids.
 *
 * Kafka: common/Uuid.java
 */
export const UUID_BYTES = 16

/** "No id". */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'
const ONE_UUID = 'AAAAAAAAAAAAAAAAAAAAAQ'

/** The 16 bytes of a text form, with or without padding; undefined for anything else. */
export function parseUuid(text: string): Buffer | undefined {
  return /^[A-Za-z0-9_-]{22}(?:==)?$/.test(text) ? Buffer.from(text, 'base64url') : undefined
}

export function formatUuid(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/** A random (version 4) UUID; never a reserved one, nor one that a command line would take for an option. */
export function randomUuid(): string {
  for (;;) {
    const bytes = randomBytes(UUID_BYTES)
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
    const text = formatUuid(bytes)
    if (text !== ZERO_UUID && text !== ONE_UUID && !text.startsWith('-')) return text
  }
}
