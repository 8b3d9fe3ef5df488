/** What an account keeps on the server beside its keys: privacy, block list, about text, app state. */
import type { Account } from './types'

/** A profile or group picture, as it was uploaded. */
export type Picture = { id: string; image: Buffer }

/** One app-state collection: encrypted patches, oldest first; the n-th leads to version n. */
export type Collection = { patches: Buffer[] }

export type Profile = {
  privacy: Map<string, string>
  blocked: Set<Account>
  about: { text: string; at: string } | null
  disappearing: { duration: string; at: string }
  collections: Map<string, Collection>
  /** Contacts that were given a privacy token, with the week they were given it in. */
  tokens: Map<Account, number>
}

const PRIVACY_AT_FIRST: readonly (readonly [string, string])[] = [
  ['last', 'all'],
  ['online', 'all'],
  ['profile', 'all'],
  ['status', 'all'],
  ['readreceipts', 'all'],
  ['groupadd', 'all'],
  ['calladd', 'all'],
  ['messages', 'all'],
]

/** The profiles of all accounts of one server, made when first asked for. */
export class Profiles {
  readonly #profiles = new WeakMap<Account, Profile>()

  of(account: Account): Profile {
    const known = this.#profiles.get(account)
    if (known !== undefined) return known
    const profile: Profile = {
      privacy: new Map(PRIVACY_AT_FIRST),
      blocked: new Set(),
      about: null,
      disappearing: { duration: '0', at: '0' },
      collections: new Map(),
      tokens: new Map(),
    }
    this.#profiles.set(account, profile)
    return profile
  }
}
