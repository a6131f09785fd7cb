import { isIPv4 } from 'node:net'
import { InvalidArgumentError } from '../../errors.ts'

const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::', '']

/** Whether only programs on this machine reach it. A name but `localhost` may be anything. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  const v4 = host.replace(/^::ffff:/i, '')
  return isIPv4(v4) && v4.startsWith('127.')
}

/**
 * What a listener has to say before it is opened: who may use it where others can reach it, and where clients find it where it
 * is bound to every address.
 * @throws InvalidArgumentError where it does not
 */
export function checkListener(options: {
  readonly host: string
  readonly isAdvertised: boolean
  readonly hasUsers: boolean
  readonly allowAnonymous: boolean
}): void {
  const { host } = options
  if (!isLoopback(host) && !options.hasUsers && !options.allowAnonymous) {
    throw new InvalidArgumentError(
      `others can reach ${host || 'every address'}, and nobody would have to say who they are`,
      { hint: 'give --sasl-users FILE, or --allow-anonymous where that is meant' },
    )
  }
  if (EVERY_ADDRESS.includes(host) && !options.isAdvertised) {
    throw new InvalidArgumentError(
      `${host || 'every address'} is no address that a client can connect to`,
      { hint: 'give --advertise HOST:PORT: clients are told to connect there' },
    )
  }
}
