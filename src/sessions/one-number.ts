/** Which session holds which phone number: at most one, across all accounts of this server. */
import type { SessionId } from '../domain/ids'
import type { Session } from '../domain/session'

export interface NumberHolders {
  /** Brings the books up to date with a session: a linked one takes its number if it is free, others give theirs back. */
  note(session: Session): void
  /** The session that holds this number, null when it is free. */
  holderOf(phoneNumber: string): SessionId | null
  /** Gives back whatever the session holds. */
  release(id: SessionId): void
}

export function createNumberHolders(): NumberHolders {
  const holders = new Map<string, SessionId>()
  const numbers = new Map<SessionId, string>()
  const release = (id: SessionId) => {
    const number = numbers.get(id)
    if (number === undefined) return
    numbers.delete(id)
    holders.delete(number)
  }
  return {
    note(session) {
      const wanted = session.credentials === 'linked' ? (session.me?.phoneNumber ?? null) : null
      if (numbers.get(session.id) === wanted) return
      release(session.id)
      if (wanted === null || holders.has(wanted)) return
      holders.set(wanted, session.id)
      numbers.set(session.id, wanted)
    },
    holderOf: (phoneNumber) => holders.get(phoneNumber) ?? null,
    release,
  }
}
