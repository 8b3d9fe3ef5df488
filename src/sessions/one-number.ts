/** Which session holds which phone number: at most one, across all accounts of this server. */
import type { SessionId } from '../domain/ids'
import type { Session } from '../domain/session'
import type { Input } from '../domain/session-life'

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

/** A second session of a number is unlinked again; the first is untouched (contract §3). */
export function refuseSecond(holders: NumberHolders, session: Session, input: Input): Input {
  if (input.on !== 'opened') return input
  const holder = holders.holderOf(input.me.phoneNumber)
  if (holder === null || holder === session.id) return input
  return {
    on: 'closed',
    why: {
      reason: 'duplicate_phone_number',
      code: null,
      detail: 'Another session of this server already holds this phone number',
    },
  }
}
