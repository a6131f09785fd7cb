import { isIPv6 } from 'node:net'

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** A socket's remote address as Java prints it, and as it stands in records of groups: `/127.0.0.1`, `/0:0:0:0:0:0:0:1`. */
export function clientHost(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined) return '/'
  const mapped = MAPPED_IPV4.exec(remoteAddress)?.[1]
  if (mapped !== undefined) return `/${mapped}`
  const [address = ''] = remoteAddress.split('%')
  return `/${isIPv6(address) ? expanded(address) : address}`
}

/** All eight groups, without leading zeros. */
function expanded(address: string): string {
  const [head = '', tail] = address.split('::')
  const groupsOf = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  return [...before, ...(tail === undefined ? [] : zeros), ...after]
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')
}
