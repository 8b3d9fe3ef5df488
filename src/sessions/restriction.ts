/**
 * What WhatsApp does not let this number do for a while (field notes A8): writing to chats that do not exist yet.
 *
 * A refused message makes us ask, at most once a minute; what WhatsApp tells unasked counts at once. A restriction ends
 * when WhatsApp says so or when its time is over and WhatsApp, asked again, knows of none.
 */
import { type AppError, fail } from '../domain/errors'
import { isLid, isPhoneJid, type Jid } from '../domain/ids'
import type { Messages } from '../domain/message'
import type { Restriction, Session } from '../domain/session'
import type { Connection, SendRefusal } from '../domain/whatsapp'
import { type Clock, isoTime } from '../lib/clock'
import type { Log } from '../lib/log'

/** WhatsApp's codes for messages that a restriction forbids. */
const RESTRICTED: ReadonlySet<string> = new Set(['463', '475'])
/** Shortest time between two questions (ms). */
const ASK_SPACING = 60_000
/** When WhatsApp has not said when a restriction ends, it is asked again this often (ms). */
const ASK_AGAIN = 3_600_000
/** Longest wait for a moment of the wall clock in one piece (ms); it may be set meanwhile. */
const RECHECK = 600_000

export type RestrictionParts = {
  session: () => Session
  connection: () => Connection | null
  messages: Pick<Messages, 'isEstablished'>
  /** Puts it on disk and tells of it; resolves when the session has it. Called with news only. */
  change: (restriction: Restriction | null) => Promise<void>
  clock: Clock
  log: Log
}

export interface RestrictionWatch {
  /** A restriction is in force, or WhatsApp is being asked whether one is. */
  readonly isInDoubt: boolean
  /** Resolves when WhatsApp has answered, if it is being asked. */
  settled(): Promise<void>
  /** Whether a message to this chat is refused now: one to a person with whom nothing was exchanged yet. */
  forbids(chat: Jid): boolean
  /** What such a message fails with. */
  refusal(): SendRefusal
  /** The same as an answer to the caller. */
  refused(): AppError
  /** WhatsApp has refused a message. */
  wasRefused(refusal: SendRefusal): void
  /** WhatsApp has said, asked or unasked, what is in force. */
  told(restriction: Restriction | null): void
  /** The session is connected (again): an old restriction is looked at. */
  resume(): void
  stop(): void
}

export function createRestrictionWatch(parts: RestrictionParts): RestrictionWatch {
  const { clock, log } = parts
  let asking: Promise<void> | null = null
  let askedAt = Number.NEGATIVE_INFINITY
  let cancelLook = () => {}
  let stopped = false
  /** What was decided and is on its way to disk; the session has it then. */
  let decided: Restriction | null | undefined

  const current = (): Restriction | null => (decided === undefined ? parts.session().restriction : decided)
  const isOver = ({ until }: Restriction) => until !== null && until <= clock.now()
  const inForce = (): Restriction | null => {
    const restriction = current()
    return restriction && !isOver(restriction) ? restriction : null
  }

  const note = (next: Restriction | null) => {
    const before = current()
    const same = before === null ? next === null : before.type === next?.type && before.until === next.until
    if (!same) {
      const decision = next && { ...next, since: before?.since ?? next.since }
      decided = decision
      void parts.change(decision).finally(() => {
        if (decided === decision) decided = undefined
      })
    }
    lookLater()
  }

  const lookLater = () => {
    cancelLook()
    const restriction = current()
    if (!restriction || stopped) return
    const wait = restriction.until === null ? ASK_AGAIN : restriction.until - clock.now()
    cancelLook = clock.after(
      Math.min(Math.max(0, wait), restriction.until === null ? ASK_AGAIN : RECHECK),
      look,
    )
  }

  /** Its time is over, or it is time to ask again. */
  const look = () => {
    const restriction = current()
    if (!restriction || stopped) return
    if (restriction.until !== null && !isOver(restriction)) return lookLater()
    const connection = parts.connection()
    if (connection) void ask(connection, true)
    else if (restriction.until !== null) note(null)
    else lookLater()
  }

  const ask = (connection: Connection, isDue: boolean): Promise<void> => {
    if (asking) return asking
    if (!isDue && clock.monotonic() - askedAt < ASK_SPACING) return Promise.resolve()
    askedAt = clock.monotonic()
    asking = connection
      .restriction()
      .then(
        (restriction) => note(restriction && isOver(restriction) ? null : restriction),
        (error: unknown) => {
          log.warn('WhatsApp did not say what is restricted', { error: String(error) })
          const known = current()
          if (known && isOver(known)) note(null)
          else lookLater()
        },
      )
      .finally(() => {
        asking = null
      })
    return asking
  }

  const says = (): string => {
    const until = inForce()?.until ?? null
    const when = until === null ? 'for an unknown time' : `until ${isoTime(until)}`
    return `WhatsApp does not let this number write to new chats ${when}`
  }

  return {
    get isInDoubt() {
      return asking !== null || current() !== null
    },
    settled: () => asking ?? Promise.resolve(),
    forbids(chat) {
      if (!inForce() || !(isLid(chat) || isPhoneJid(chat))) return false
      return !parts.messages.isEstablished(parts.session().id, chat)
    },
    refusal: () => ({ code: 'SESSION_RESTRICTED', says: says() }),
    refused() {
      const restriction = inForce()
      const until = restriction?.until ?? null
      return fail('SESSION_RESTRICTED', {
        until: until === null ? null : isoTime(until),
        type: restriction?.type ?? null,
      })
    },
    wasRefused({ code }) {
      const connection = parts.connection()
      if (connection && RESTRICTED.has(code)) void ask(connection, false)
    },
    told: (restriction) => note(restriction && isOver(restriction) ? null : restriction),
    resume: lookLater,
    stop() {
      stopped = true
      cancelLook()
    },
  }
}
