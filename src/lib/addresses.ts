/**
 * Which network addresses this server may reach when a user names them.
 *
 * Public is what IANA's special-purpose registries leave over. An address that carries an IPv4 address inside
 * (IPv4-mapped, NAT64) is judged by that one.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { networkSet } from './networks'

/** Where an address belongs; `metadata` answers with a cloud machine's own credentials and is never reached. */
export type AddressKind = 'public' | 'private' | 'special' | 'metadata'

/** The owner's own machine and networks: what `allowInsecure` opens. */
const PRIVATE = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '::1/128',
  'fc00::/7',
]

/** Neither public nor a place where servers live; only an explicit network opens it. */
const SPECIAL = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]

/** AWS, GCP, Azure, Oracle, Alibaba, ECS tasks, EKS pod identity; names lead to the same addresses. */
const METADATA = [
  '169.254.169.254/32',
  '169.254.170.2/32',
  '169.254.170.23/32',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
  'fd00:ec2::254/128',
  'fd00:ec2::23/128',
  'fd20:ce::254/128',
]

/** The only part of IPv6 that is handed out for the public Internet. */
const GLOBAL_UNICAST = ['2000::/3']

const privates = networkSet(PRIVATE)
const specials = networkSet(SPECIAL)
const metadata = networkSet(METADATA)
const globalUnicast = networkSet(GLOBAL_UNICAST)

/** The eight groups of an IPv6 address, however it is written. */
function groupsOf(address: string): number[] {
  const hexadecimal = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  )
  const [head = '', tail = ''] = hexadecimal.split('::')
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const before = parse(head)
  const after = parse(tail)
  return [...before, ...new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after]
}

/** Prefixes behind which an IPv4 address stands in the last 32 bits: IPv4-mapped and NAT64. */
const CARRIES_V4 = [
  [0, 0, 0, 0, 0, 0xffff],
  [0x64, 0xff9b, 0, 0, 0, 0],
]

/** An address as it is judged: IPv4 inside IPv6 is taken out, brackets and a zone index are dropped. */
export function plainAddress(address: string): string {
  const bare = address.replace(/^\[|\]$/g, '').split('%')[0] ?? ''
  if (!isIPv6(bare)) return bare
  const groups = groupsOf(bare)
  if (!CARRIES_V4.some((prefix) => prefix.every((group, index) => groups[index] === group))) return bare
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** Classifies a literal address; anything that is not an address is `special`. */
export function addressKind(literal: string): AddressKind {
  const address = plainAddress(literal)
  const v4 = isIPv4(address)
  if (!v4 && !isIPv6(address)) return 'special'
  if (metadata.has(address)) return 'metadata'
  if (privates.has(address)) return 'private'
  if (specials.has(address)) return 'special'
  return v4 || globalUnicast.has(address) ? 'public' : 'special'
}

/** What the owner of this server has opened. */
export type AddressPolicy = {
  /** Plain http, and private addresses: for servers on the same machine or network. */
  allowInsecure: boolean
  /** Addresses or CIDR ranges that are allowed whatever their kind, also over plain http. */
  allowNetworks: readonly string[]
  /** Plain http to public addresses. */
  allowPlain?: boolean
}

/** The policy as questions; built once. */
export type AddressRules = {
  mayReach(address: string): boolean
  mayReachUnencrypted(address: string): boolean
  /** Whether it may be reached although it belongs to the owner's own machine. */
  mayReachPrivate(address: string): boolean
}

/** Compiles a policy; entries that are not networks open nothing (the configuration refuses them). */
export function addressRules(policy: AddressPolicy): AddressRules {
  const allowed = networkSet(policy.allowNetworks)
  const isAllowed = (address: string): boolean => allowed.has(plainAddress(address))
  const mayReach = (address: string): boolean => {
    const kind = addressKind(address)
    if (kind === 'metadata') return false
    if (kind === 'public' || isAllowed(address)) return true
    return kind === 'private' && policy.allowInsecure
  }
  return {
    mayReach,
    mayReachUnencrypted: (address) =>
      mayReach(address) &&
      (policy.allowInsecure ||
        isAllowed(address) ||
        (policy.allowPlain === true && addressKind(address) === 'public')),
    mayReachPrivate: (address) => policy.allowInsecure || isAllowed(address),
  }
}
