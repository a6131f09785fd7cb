const QUOTE = 0x22
const BACKSLASH = 0x5c
const DELETE = 0x7f
/** Shorter runs are looked at byte by byte. */
const WORDS_FROM_BYTES = 64

/** Every byte of a word. */
const LOW_BITS = 0x01010101
const HIGH_BITS = 0x80808080 | 0
const BLANKS = 0x20202020
const BACKSLASHES = 0x5c5c5c5c
const QUOTES = 0x22222222

/**
 * How many bytes at the start are printable ASCII that no notation escapes: 0x20 to 0x7e but for the backslash and,
 * unless `withQuotes`, the double quote. When it is all of them, the bytes are their own text.
 *
 * Looks at four bytes at a time, by the usual tests for a zero byte and for one below a limit ("Bit Twiddling Hacks"). A
 * loop over bytes takes three times as long, `JSON.stringify` over their string eight times.
 */
export function plainTextBytes(bytes: Buffer, withQuotes = false): number {
  const { length } = bytes
  let at = 0
  if (length >= WORDS_FROM_BYTES) {
    const aligned = -bytes.byteOffset & 3
    const count = (length - aligned) >> 2
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + aligned, count)
    while (at < aligned && isPlain(bytes[at] ?? 0, withQuotes)) at++
    if (at < aligned) return at
    const also = withQuotes ? BACKSLASHES : QUOTES
    let i = 0
    for (; i < count; i++) {
      const word = words[i] ?? 0
      const backslash = word ^ BACKSLASHES
      const quote = word ^ also
      const found =
        word | // from 0x80 on
        (word + LOW_BITS) | // 0x7f, where no byte is from 0x80 on
        ((word - BLANKS) & ~word) |
        ((backslash - LOW_BITS) & ~backslash) |
        ((quote - LOW_BITS) & ~quote)
      if ((found & HIGH_BITS) !== 0) break
    }
    at += i * 4
  }
  while (at < length && isPlain(bytes[at] ?? 0, withQuotes)) at++
  return at
}

function isPlain(byte: number, withQuotes: boolean): boolean {
  return byte >= 0x20 && byte < DELETE && byte !== BACKSLASH && (withQuotes || byte !== QUOTE)
}
