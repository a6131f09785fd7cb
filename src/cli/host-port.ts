import { InvalidArgumentError } from '../errors.ts'

/** An address of a machine: `host` is a name or an IP address without brackets. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

const HOST_PORT =
  /^(?:\[(?<ipv6>[0-9a-f:.]+(?:%[\w.-]+)?)\]|(?<host>[^\s:/?#@[\]]+)):(?<port>\d{1,5})$/i

/** From `HOST:PORT` or `[::1]:9092`. Throws InvalidArgumentError. */
export function parseHostPort(text: string): HostPort {
  const { ipv6, host = ipv6, port } = HOST_PORT.exec(text)?.groups ?? {}
  const number = Number(port)
  if (host === undefined || number > 65_535) {
    throw new InvalidArgumentError(
      `"${text}" is no address: give HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092`,
    )
  }
  return { host, port: number }
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
