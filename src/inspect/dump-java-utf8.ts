import { isUtf8 } from 'node:buffer'

/**
 * Bytes as Java's UTF-8 decoder reads them. It differs from Node's in one thing: half a surrogate pair in three bytes, or
 * in the first two of them, gives one replacement character, not one a byte.
 */
export function javaUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let text = ''
  let from = 0
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, Math.max(from, at + 1))) {
    const second = bytes[at + 1] ?? 0
    if (second < 0xa0 || second > 0xbf) continue
    text += `${bytes.toString('utf8', from, at)}\ufffd`
    from = at + (isContinuation(bytes[at + 2]) ? 3 : 2)
  }
  return text + bytes.toString('utf8', from)
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
