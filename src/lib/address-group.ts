/** Addresses that one subscriber has: a single one of IPv4, a whole /64 of IPv6. */
import { isIPv6 } from 'node:net'

/** A name for the group; the address itself for IPv4 and for what is no address. `2001:db8::1` → `2001:db8:0:0`. */
export function addressGroup(address: string): string {
  const plain = address.split('%')[0] ?? ''
  if (!isIPv6(plain)) return address
  // An IPv4 address at the end stands in the second half, of which only the length matters here.
  const [head = '', tail] = plain.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  return [...before, ...new Array<string>(zeros).fill('0'), ...after]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
