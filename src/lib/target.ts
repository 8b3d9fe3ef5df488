/**
 * From a URL that a user gave to an address that may be connected to.
 *
 * Two moments: `urlAllowed` when somebody names the URL (what its text alone shows), and the vetting before every
 * single connection (what the name means right now). A refusal never tells its cause, so that nobody can explore the
 * network behind the server with them.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type AddressPolicy, type AddressRules, addressKind, addressRules, plainAddress } from './addresses'

/** Longest URL that is looked at unless told otherwise (characters). */
export const LONGEST_URL = 2048

/** Services below 1024 and a few above that understand enough of HTTP to be harmed by it. */
const HARMFUL_PORTS: ReadonlySet<number> = new Set([
  1433, 1521, 2049, 2375, 2376, 2379, 3306, 5432, 5984, 6000, 6379, 6665, 6666, 6667, 6668, 6669, 9200, 11211,
  27017,
])

/** Names that mean this machine without asking anyone. */
const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost')

/** Names of the metadata services of clouds. */
const METADATA_NAMES: ReadonlySet<string> = new Set(['metadata.google.internal', 'metadata', 'instance-data'])

const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '')

function portAllowed(url: URL): boolean {
  if (url.port === '') return true
  const port = Number(url.port)
  return (port === 80 || port === 443 || port >= 1024) && !HARMFUL_PORTS.has(port)
}

/** The parsed URL when its text alone is acceptable, else null. */
function parseTarget(text: string, policy: AddressPolicy, rules: AddressRules, longest: number): URL | null {
  if (text.length > longest || !URL.canParse(text)) return null
  const url = new URL(text)
  const host = bareHost(url)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  if (url.username !== '' || url.password !== '' || host === '') return null
  if (!portAllowed(url) || METADATA_NAMES.has(host)) return null
  const encrypted = url.protocol === 'https:'
  if (isIP(host) !== 0) {
    return (encrypted ? rules.mayReach(host) : rules.mayReachUnencrypted(host)) ? url : null
  }
  // A name is judged when it is resolved; here only whether any address could make it acceptable.
  const somePrivate = policy.allowInsecure || policy.allowNetworks.length > 0
  if (isLocalName(host) && !['127.0.0.1', '::1'].some((address) => rules.mayReach(address))) return null
  return encrypted || somePrivate || policy.allowPlain === true ? url : null
}

export type ResolvedAddress = { address: string; family: number }
/** All addresses of a name; rejects when there is none. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>

/** The machine's own resolver. */
export const resolveAll: Resolve = (host) => lookup(host, { all: true, verbatim: true })

/** Where this server itself is: its own port is no target, whatever networks are opened. */
export type OwnPlace = {
  /** Addresses of this machine: a public one among them is as private as 127.0.0.1. */
  own?: () => readonly string[]
  /** The port that this server listens on; null while it does not. */
  ownPort?: () => number | null
}

/** Addresses of this machine's own interfaces. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map(({ address }) => address))

const isOwn = (address: string, { own = ownAddresses }: OwnPlace): boolean =>
  own().map(plainAddress).includes(plainAddress(address))

const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)

/** Whether an address with this port is the door of this very server. */
function isOwnDoor(port: number, address: string, place: OwnPlace): boolean {
  if (port !== place.ownPort?.()) return false
  return /^(127\.|::1$)/.test(plainAddress(address)) || isOwn(address, place)
}

/** False when this URL can never be asked under the policy. */
export function urlAllowed(
  text: string,
  policy: AddressPolicy,
  { longest = LONGEST_URL, ...place }: { longest?: number } & OwnPlace = {},
): boolean {
  const url = parseTarget(text, policy, addressRules(policy), longest)
  if (url === null) return false
  const host = bareHost(url)
  const address = isLocalName(host) ? '127.0.0.1' : host
  return isIP(address) === 0 || !isOwnDoor(portOf(url), address, place)
}

/** Addresses that were checked, and what to ask the one that is connected to. */
export type Target = {
  /** URLs with the address in place of the name, in the order in which they are tried. */
  urls: string[]
  /** `Host` of the original URL. */
  host: string
  /** The name that the certificate must carry; null for plain http and for literal addresses. */
  serverName: string | null
}

/** Why a target was refused; never shown with the address that caused it. */
export type Refused = 'forbidden' | 'unresolved'

export type VettingOptions = OwnPlace & {
  resolve?: Resolve
  /** Longest URL (characters). */
  longest?: number
}

/** What a URL says by itself. */
type Asked = {
  /** Without brackets. */
  host: string
  /** 0 for a name. */
  family: number
  port: number
  encrypted: boolean
  header: string
  /** The URL to connect to, with an address in place of the name. */
  at(address: ResolvedAddress): string
}

function askedBy(url: URL): Asked {
  const host = bareHost(url)
  const behind = `${url.port === '' ? '' : `:${url.port}`}${url.pathname}${url.search}`
  return {
    host,
    family: isIP(host),
    port: portOf(url),
    encrypted: url.protocol === 'https:',
    header: url.host,
    at: ({ address, family }) => `${url.protocol}//${family === 6 ? `[${address}]` : address}${behind}`,
  }
}

/** What never changes of an address under a policy; whether it is this machine's own may. */
type Verdict = 'never' | 'unless own' | 'allowed'

/** Answers that depend on their question alone are kept for so many questions. */
const KEPT = 4_096

function remembering<T>(answer: (question: string) => T): (question: string) => T {
  const known = new Map<string, T>()
  return (question) => {
    const before = known.get(question)
    if (before !== undefined) return before
    const found = answer(question)
    if (known.size >= KEPT) known.clear()
    known.set(question, found)
    return found
  }
}

/**
 * Makes the check that runs before every connection: resolve once, refuse if any address is not allowed. It answers at once
 * for a literal address.
 */
export function createTargetVetting(policy: AddressPolicy, options: VettingOptions = {}) {
  const { resolve = resolveAll, longest = LONGEST_URL } = options
  const rules = addressRules(policy)

  const asked = remembering((text): Asked | 'forbidden' => {
    const url = parseTarget(text, policy, rules, longest)
    return url === null ? 'forbidden' : askedBy(url)
  })

  const verdictOver = (mayReach: (address: string) => boolean) =>
    remembering((address): Verdict => {
      if (!mayReach(address)) return 'never'
      return addressKind(address) === 'public' && !rules.mayReachPrivate(address) ? 'unless own' : 'allowed'
    })
  const verdicts = { encrypted: verdictOver(rules.mayReach), plain: verdictOver(rules.mayReachUnencrypted) }

  function isAllowed({ encrypted, port }: Asked, address: string): boolean {
    const verdict = (encrypted ? verdicts.encrypted : verdicts.plain)(address)
    if (verdict === 'never' || isOwnDoor(port, address, options)) return false
    // Asking for the interfaces takes as long as everything else here together.
    return verdict === 'allowed' || !isOwn(address, options)
  }

  function judged(ask: Asked, addresses: readonly ResolvedAddress[]): Target | Refused {
    if (addresses.length === 0) return 'unresolved'
    if (!addresses.every(({ address }) => isAllowed(ask, address))) return 'forbidden'
    // IPv4 first: a machine without an IPv6 route would wait for its time-out on every attempt.
    const ordered = addresses.length === 1 ? addresses : [...addresses].sort((a, b) => a.family - b.family)
    const { header, encrypted, family, host } = ask
    return { urls: ordered.map(ask.at), host: header, serverName: encrypted && family === 0 ? host : null }
  }

  return function vetTarget(text: string): Target | Refused | Promise<Target | Refused> {
    const ask = asked(text)
    if (ask === 'forbidden') return ask
    if (ask.family !== 0) return judged(ask, [{ address: ask.host, family: ask.family }])
    return resolve(ask.host).then(
      (addresses) => judged(ask, addresses),
      // Whatever the resolver says, the outcome is the same: this name leads nowhere now.
      () => 'unresolved' as const,
    )
  }
}
