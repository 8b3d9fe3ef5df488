/** Addresses and CIDR ranges, v4 and v6. */
import { BlockList, isIP } from 'node:net'

/** True for an address or a CIDR range, v4 or v6. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/')
  const family = isIP(address)
  if (family === 0 || more !== undefined) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
}

/** A set of addresses and CIDR ranges. */
export function networkSet(entries: readonly string[]): { has(address: string): boolean } {
  const listed = new BlockList()
  for (const entry of entries.filter(isNetwork)) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) listed.addAddress(address, family)
    else listed.addSubnet(address, Number(bits), family)
  }
  return {
    has(address) {
      // A socket that listens on IPv6 shows IPv4 callers as `::ffff:1.2.3.4`.
      const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
      const family = isIP(plain)
      return family !== 0 && listed.check(plain, family === 6 ? 'ipv6' : 'ipv4')
    },
  }
}
