import { InvalidArgumentError } from '../errors.ts'

/** Where raw bytes go. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'stdout' }

const TCP =
  /^tcp:\/\/(?:\[(?<ipv6>[0-9a-f:.]+(?:%[\w.-]+)?)\]|(?<host>[^\s:/?#@[\]]+)):(?<port>\d{1,5})$/i

/** An endpoint from `tcp://HOST:PORT`, `tcp://[::1]:9000`, `unix:PATH` or `-`. Throws InvalidArgumentError. */
export function parseEndpoint(text: string): Endpoint {
  if (text === '-') return { kind: 'stdout' }
  if (text.startsWith('unix:') && text.length > 5) return { kind: 'unix', path: text.slice(5) }
  const { ipv6, host = ipv6, port } = TCP.exec(text)?.groups ?? {}
  const number = Number(port)
  if (host !== undefined && number >= 1 && number <= 65_535) {
    return { kind: 'tcp', host, port: number }
  }
  throw new InvalidArgumentError(
    `"${text}" is not a place to send to: give tcp://HOST:PORT, unix:PATH, or - for stdout`,
  )
}
