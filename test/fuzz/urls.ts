/**
 * The guard of outgoing requests: whatever a URL and its name look like, what is connected to is a public address. Judged
 * by a plain list of its own, not by the guard's.
 */
import { BlockList, isIP } from 'node:net'
import { createTargetVetting, type ResolvedAddress, urlAllowed } from '../../src/lib/target'
import { FORBIDDEN_URLS } from '../lib/forbidden-urls'
import { type Chance, mutated } from './random'
import type { Target } from './run'

const GOOD = [
  'https://example.com/hook?x=1#y',
  'https://8.8.8.8/',
  'https://[2606:4700::1111]:8443/a',
  'https://xn--bcher-kva.example/',
  'http://example.com:8080/',
]
const ADDRESSES = [
  '8.8.8.8',
  '1.1.1.1',
  '172.32.0.1',
  '2606:4700::1111',
  '127.0.0.1',
  '10.1.2.3',
  '172.20.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.1.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  'fe80::1',
  'fd00::1',
  '::ffff:10.0.0.1',
  '64:ff9b::7f00:1',
]

const closed = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  closed.addSubnet(network, bits, 'ipv4')
}
/** Of the two forms that carry an IPv4 address, as `URL` writes them: `::ffff:7f00:1` and `64:ff9b::7f00:1`. */
const CARRIED = /^(?:::ffff|64:ff9b:):([0-9a-f]{1,4}):([0-9a-f]{1,4})$/
const carried = (address: string): string | null => {
  const found = CARRIED.exec(address)
  if (!found) return null
  return found
    .slice(1)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
    .join('.')
}
/** Else only global unicast is public. */
const isClosed = (address: string): boolean =>
  isIP(carried(address) ?? address) === 4
    ? closed.check(carried(address) ?? address, 'ipv4')
    : !/^[23]/.test(address.toLowerCase()) || /^(2002|2001:0?:|2001:db8):?/i.test(address)

type Input = { url: string; addresses: string[] }

const make = (chance: Chance): Input => {
  const from = chance.oneIn(3) ? chance.of(GOOD) : chance.of(FORBIDDEN_URLS)
  return {
    url: chance.oneIn(10) ? from : mutated(chance, from),
    addresses: Array.from({ length: 1 + chance.below(2) }, () => chance.of(ADDRESSES)),
  }
}

const POLICIES = [
  { allowInsecure: false, allowNetworks: [] },
  { allowInsecure: false, allowNetworks: [], allowPlain: true },
]

async function take({ url, addresses }: Input): Promise<void> {
  const resolve = async (): Promise<ResolvedAddress[]> =>
    addresses.map((address) => ({ address, family: isIP(address) }))
  for (const policy of POLICIES) {
    const named = urlAllowed(url, policy)
    const target = await createTargetVetting(policy, { resolve, own: () => [] })(url)
    if (typeof target === 'string') continue
    if (!named) throw new Error('Asked although it may not be named')
    for (const asked of target.urls) {
      const host = new URL(asked).hostname.replace(/^\[|\]$/g, '')
      if (isIP(host) === 0) throw new Error(`Connects to a name: ${asked}`)
      if (isClosed(host)) throw new Error(`Connects to ${host}`)
    }
    if (new URL(url).username !== '') throw new Error('Asked with a name and a password')
  }
}

export const urls: Target<Input> = {
  name: 'urls',
  open: async () => ({ make, take, end: async () => undefined }),
  show: ({ url, addresses }) => `${JSON.stringify(url.slice(0, 200))} at ${addresses.join(', ')}`,
}
