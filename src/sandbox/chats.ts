/** Which accounts have a chat with each other: the history that WhatsApp's limits on new chats look at. */
import type { Account } from './types'

/** All 1:1 chats of one server, by what was ever let through in either direction. */
export class Chats {
  readonly #known = new Map<Account, Set<Account>>()

  /** Whether a message has ever passed between the two. */
  has(one: Account, other: Account): boolean {
    return this.#known.get(one)?.has(other) ?? false
  }

  /** Remembers that a message has passed. */
  note(one: Account, other: Account): void {
    this.#add(one, other)
    this.#add(other, one)
  }

  /** An account's contacts, oldest chat first. */
  of(account: Account): ReadonlySet<Account> {
    return this.#known.get(account) ?? NOBODY
  }

  #add(one: Account, other: Account): void {
    const contacts = this.#known.get(one) ?? new Set()
    this.#known.set(one, contacts.add(other))
  }
}

const NOBODY: ReadonlySet<Account> = new Set()
