import { isUtf8 } from 'node:buffer'

/**
 * Bytes as Java's UTF-8 decoder reads them: it differs from Node's in that a surrogate in three bytes gives one
 * replacement character, not three.
 */
export function javaUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  let text = ''
  let from = 0
  for (let at = 0; at + 2 < bytes.length; at++) {
    const isSurrogate =
      bytes[at] === 0xed &&
      ((bytes[at + 1] ?? 0) & 0xe0) === 0xa0 &&
      ((bytes[at + 2] ?? 0) & 0xc0) === 0x80
    if (!isSurrogate) continue
    text += `${bytes.toString('utf8', from, at)}\ufffd`
    from = at + 3
    at += 2
  }
  return text + bytes.toString('utf8', from)
}
