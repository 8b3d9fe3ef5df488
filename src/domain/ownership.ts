/**
 * Who may write a session's keys.
 *
 * Each opened socket gets a generation number; a vault opened for an older generation refuses to write, so a late
 * callback of a dead socket cannot bring back keys that have been replaced or wiped.
 */

/** One key of the Signal or credential store; `value: null` deletes it. */
export type VaultWrite = { type: string; id: string; value: Uint8Array | null }

/** The type under which the credentials themselves are kept, with the id `creds`. */
export const CREDS = { type: 'creds', id: 'creds' } as const

/** A stanza as it came from the wire, kept until its message is stored. */
export type InboxRow = { id: number; stanza: Uint8Array; at: number }

/** A session's sealed key store, open for one generation. */
export interface SessionVault {
  readonly generation: number
  /** Values of one type; missing ids are absent. Throws when a row cannot be unsealed. */
  get(type: string, ids: readonly string[]): Map<string, Uint8Array>
  /** All ids of one type. */
  ids(type: string): string[]
  /**
   * All writes or none, on disk when it resolves; commits of many sessions may share one transaction.
   * Rejects with `STORAGE_UNAVAILABLE` or `VaultFenced`; the caller must then close its socket.
   */
  commit(writes: readonly VaultWrite[]): Promise<void>
  /** Puts a raw stanza on disk before anyone handles it; resolves with its inbox id. */
  receive(stanza: Uint8Array): Promise<number>
  /** Stanzas whose message was never stored, oldest first: what a crash left behind. */
  inbox(): InboxRow[]
  /** Drops stanzas that turned out to hold nothing to keep. Those with a message go with the message's own commit. */
  discard(inboxIds: readonly number[]): Promise<void>
}

/** Opens vaults and moves the fence. */
export interface Vaults {
  /** Opens the session's vault for a new, higher generation; vaults of older generations refuse writes from now on. */
  open(sessionId: string): SessionVault
  /** Removes all keys and the inbox, and fences every vault opened so far. */
  wipe(sessionId: string): Promise<void>
}

/** Thrown by a vault whose generation has been superseded. */
export class VaultFenced extends Error {
  constructor() {
    super('This key store belongs to a socket that has been replaced')
    this.name = 'VaultFenced'
  }
}
