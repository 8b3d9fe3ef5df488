/** Composed messages, from memory to disk and into the queue. */
import type { Fact, Ledger } from '../../domain/changes'
import type { MessageId } from '../../domain/ids'
import type { Session } from '../../domain/session'
import { faultPoint } from '../../lib/fault-points'
import { ownFieldsWithContent, type Places, sessionEvent } from '../payload'
import type { Recipient } from '../recipient'
import type { Attachments, Claim } from './attachments'
import { type Composed, TIME_TO_LIVE } from './compose'
import type { SendQueue } from './queue'
import type { Vanishing } from './vanishing'

/** The messages of one request, and what was learned on the way to them. */
export type Taken = { composed: Composed[]; learned: Recipient['learned'] }

export type AcceptanceParts = {
  ledger: Ledger
  places: Places
  queue: SendQueue
  attachments: Attachments
  vanishing: Vanishing
}

export interface Acceptance {
  /**
   * Commits all of it at once and lines it up: with `atOnce` before it is on disk (the wire waits for that), otherwise
   * after. The promise rejects when the disk refuses; then nothing is left of it but the files, which are the caller's.
   */
  take(session: Session, taken: readonly Taken[], atOnce: boolean): Promise<void>
}

export function createAcceptance(parts: AcceptanceParts): Acceptance {
  const { ledger, places, queue, attachments, vanishing } = parts

  const factsOf = (session: Session, { composed, learned }: Taken): Fact[] => [
    ...(learned
      ? [{ change: { kind: 'identity' as const, sessionId: session.id, ...learned }, events: [] }]
      : []),
    ...composed.map(
      ({ message, party }): Fact => ({
        change: {
          kind: 'message',
          message,
          keepContent: session.settings.messageHistory,
          inboxId: null,
        },
        events: [sessionEvent(session, 'message.queued', ownFieldsWithContent(message, party, places))],
      }),
    ),
  ]

  const claimsOf = (composed: readonly Composed[]): Claim[] =>
    composed.flatMap(({ message: { attachment, sessionId, id, schedule, timestamp } }) =>
      attachment === null
        ? []
        : [
            {
              fileId: attachment,
              sessionId,
              messageId: id,
              expiresAt: schedule?.expiresAt ?? timestamp + TIME_TO_LIVE,
            },
          ],
    )

  const lineUp = ({ message, party, to }: Composed, stored: Promise<unknown> | null) => {
    const { id, chat, context, schedule, attachment, timestamp, raw } = message
    if (attachment !== null) attachments.expect(attachment)
    vanishing.note(message)
    // What does not go at once is read again at its turn, so that a long queue is rows and not memory.
    const isHeld = stored === null && queue.hold() !== null
    const isEarly = schedule?.sendAt !== null && schedule?.sendAt !== undefined
    queue.add({
      id,
      chat,
      albumId: context.albumId ?? null,
      sendAt: schedule?.sendAt ?? null,
      expiresAt: schedule?.expiresAt ?? timestamp + TIME_TO_LIVE,
      attachment,
      ready: isHeld || isEarly ? null : { message, party, to, raw, ...(stored ? { stored } : {}) },
    })
  }

  const drop = (ids: readonly MessageId[]) => {
    for (const id of ids) {
      const entry = queue.find(id)
      if (entry) attachments.release(entry)
      queue.forget(id)
    }
  }

  return {
    async take(session, taken, atOnce) {
      const composed = taken.flatMap((one) => one.composed)
      const claims = claimsOf(composed)
      const committed = ledger.commit(taken.flatMap((one) => factsOf(session, one)))
      // Both join one transaction, for they are asked for in the same turn of the event loop.
      const stored = claims.length === 0 ? committed : Promise.all([committed, attachments.claim(claims)])
      if (!atOnce) await stored
      for (const one of composed) lineUp(one, atOnce ? stored : null)
      if (!atOnce) return faultPoint('send accepted')
      await stored.catch((error: unknown) => {
        drop(composed.map(({ message }) => message.id))
        throw error
      })
      faultPoint('send accepted')
    },
  }
}
