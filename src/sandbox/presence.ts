/** Who is online, who is watching, and when an account was last seen. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { tell } from './delivery'
import { addressOf } from './directory'
import { node } from './node'
import type { Account, Device } from './types'

/** The presence of all accounts of one server. */
export class Presence {
  readonly #available = new Set<Device>()
  readonly #lastSeen = new Map<Account, number>()
  readonly #watchers = new Map<Account, Set<Device>>()

  /** `seconds` is the time as stanzas carry it. */
  constructor(readonly seconds: () => string) {}

  isOnline(account: Account): boolean {
    for (const device of account.devices.values()) if (this.#available.has(device)) return true
    return false
  }

  /** A device calls itself available, or no longer; those who watch the account hear of a change. */
  set(device: Device, available: boolean): void {
    const { account } = device
    const before = this.isOnline(account)
    if (available) this.#available.add(device)
    else this.#available.delete(device)
    const after = this.isOnline(account)
    if (before === after) return
    if (!after) this.#lastSeen.set(account, Number(this.seconds()))
    for (const watcher of this.#watchers.get(account) ?? []) tell(watcher, this.#stanza(account, watcher))
  }

  /** Watches an account and hears its present state at once. */
  subscribe(watcher: Device, account: Account): void {
    const watchers = this.#watchers.get(account) ?? new Set()
    this.#watchers.set(account, watchers.add(watcher))
    tell(watcher, this.#stanza(account, watcher))
  }

  /** The device went away: it watches nobody and is not available. */
  forget(device: Device): void {
    this.set(device, false)
    for (const watchers of this.#watchers.values()) watchers.delete(device)
  }

  #stanza(account: Account, watcher: Device): BinaryNode {
    const from = addressOf(account, watcher.account.addressing)
    if (this.isOnline(account)) return node('presence', { from })
    const last = this.#lastSeen.get(account)
    return node('presence', { from, type: 'unavailable', last: last === undefined ? 'deny' : String(last) })
  }
}
