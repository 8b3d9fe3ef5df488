/**
 * One turn of a message: made ready for the wire (its file uploaded, “typing…” shown), written, and ended with what the
 * server says.
 *
 * A text of a connected session waits for nothing on this way but the wire: its row and the ratchet step of its
 * encryption share one commit, and the connection sees to it that nothing leaves before that.
 */
import { isLid, isPhoneJid, type Jid, type MessageId, type Party } from '../../domain/ids'
import type { Message, Messages } from '../../domain/message'
import type { Session } from '../../domain/session'
import {
  type Connection,
  MediaUnavailable,
  type Outgoing,
  type SendRefusal,
  SendRefused,
  SendUnconfirmed,
} from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { recipientAgain } from '../recipient'
import type { RestrictionWatch } from '../restriction'
import type { Attachments } from './attachments'
import { type Endings, EXPIRED } from './endings'
import type { Pacer } from './pacing'
import type { Entry, SendQueue } from './queue'

/** Failures of our own side (not WhatsApp's, not the network's) after which a message is given up. */
const OWN_FAILURES = 3

/** A message with all that its turn needs. */
export type Ready = {
  message: Message
  party: Party
  to: Jid
  raw: Uint8Array
  /** Its commit, unless that is known to be on disk. */
  stored?: Promise<unknown>
}

export type TurnParts = {
  session: () => Session
  connection: () => Connection | null
  messages: Messages
  restriction: RestrictionWatch
  attachments: Attachments
  endings: Endings
  pacer: Pacer
  queue: () => SendQueue
  clock: Clock
  log: Log
}

export interface Turns {
  run(entry: Entry): Promise<void>
  /** A message on the wire is known to have arrived: its chat may go on. */
  arrived(id: MessageId): void
}

/** Whether WhatsApp's restrictions on new chats can meet it: they are about people only. */
export const isPersonal = (chat: Jid): boolean => isLid(chat) || isPhoneJid(chat)

export function createTurns(parts: TurnParts): Turns {
  const { messages, restriction, attachments, endings, pacer, clock, log } = parts
  const onWire = new Map<MessageId, () => void>()

  /** Read from disk; null when it does not wait there any more, or cannot be sent. */
  const reread = (entry: Entry): Ready | null => {
    const message = messages.get(parts.session().id, entry.id)
    if (message?.status !== 'queued') {
      parts.queue().forget(entry.id)
      return null
    }
    const { raw, chatParty: party } = message
    if (raw === null) {
      void endings.failed(entry, { code: 'INTERNAL_ERROR', says: 'The content was not kept' })
      return null
    }
    return { message, party, to: recipientAgain(message.chat, party), raw }
  }

  /** Why it is not even tried; waits for WhatsApp's word on restrictions when that is on its way. */
  const forbidden = async (entry: Entry): Promise<SendRefusal | null> => {
    await restriction.settled()
    return restriction.forbids(entry.chat) ? restriction.refusal() : null
  }

  /** The same for all reasons; at once for a message that nothing stands against. */
  const hindrance = (entry: Entry): SendRefusal | null | Promise<SendRefusal | null> => {
    if (entry.expiresAt <= clock.now()) return EXPIRED
    return restriction.isInDoubt && isPersonal(entry.chat) ? forbidden(entry) : null
  }

  const showTyping = async (connection: Connection, { message, to }: Ready, signal: AbortSignal) => {
    const time = message.content.type === 'text' ? pacer.typing(message.content.text.length) : 0
    if (time === 0) return
    await connection
      .showPresence(to, 'composing')
      .catch((error: unknown) => log.debug('“typing…” could not be shown', { error: String(error) }))
    await clock.sleep(time, signal).catch(() => undefined)
  }

  /** What has to be done before it is written; null when it was called back meanwhile. */
  const prepared = async (connection: Connection, entry: Entry, ready: Ready): Promise<Ready | null> => {
    const preparing = new AbortController()
    entry.preparing = preparing
    try {
      // What is uploaded or shown must be on disk before, for it outlives this process.
      await ready.stored
      const raw = entry.attachment === null ? ready.raw : await attachments.place(connection, entry, ready)
      await showTyping(connection, ready, preparing.signal)
      return preparing.signal.aborted ? null : { ...ready, raw }
    } catch (error) {
      if (preparing.signal.aborted) return null
      throw error
    } finally {
      entry.preparing = null
    }
  }

  const write = async (connection: Connection, entry: Entry, ready: Ready): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    onWire.set(entry.id, resolve)
    entry.mayHaveLeft = true
    try {
      const acknowledged = await Promise.race([connection.send(outgoing(ready)), promise])
      void endings.sent(entry, ready, acknowledged?.raw)
    } finally {
      onWire.delete(entry.id)
    }
  }

  /** Our own side failed (say, no keys for the recipient): tried again a few times, then it is the message's fault. */
  const failedHere = (entry: Entry, error: unknown) => {
    entry.failures += 1
    const says = error instanceof Error ? error.message : String(error)
    // Addresses are no matter for a log.
    log.warn('A message could not be sent', {
      messageId: entry.id,
      attempt: entry.failures,
      error: says.replace(/\d{5,}/g, '…'),
    })
    if (entry.failures < OWN_FAILURES) return parts.queue().rest(entry)
    void endings.failed(entry, { code: 'INTERNAL_ERROR', says: 'This server could not send the message' })
  }

  const ended = (entry: Entry, error: unknown) => {
    if (error instanceof SendRefused) {
      restriction.wasRefused(error.refusal)
      void endings.failed(entry, error.refusal)
    } else if (error instanceof SendUnconfirmed) parts.queue().rest(entry)
    else if (error instanceof MediaUnavailable)
      void endings.failed(entry, { code: 'MEDIA_UNAVAILABLE', says: error.message })
    else failedHere(entry, error)
  }

  return {
    async run(entry) {
      try {
        const connection = parts.connection()
        if (!connection) return parts.queue().rest(entry)
        const hindered = hindrance(entry)
        const refusal = hindered instanceof Promise ? await hindered : hindered
        const ready = refusal === null ? (entry.ready ?? reread(entry)) : null
        // What does not leave costs no pause.
        if (!ready) pacer.refund()
        if (refusal !== null) void endings.failed(entry, refusal)
        if (!ready) return
        entry.ready = ready
        const shows = ready.message.content.type === 'text' && pacer.shows
        const isPrepared = entry.attachment === null && !shows
        const made = isPrepared ? ready : await prepared(connection, entry, ready)
        if (made) await write(connection, entry, made)
      } catch (error) {
        ended(entry, error)
      }
    },
    arrived: (id) => onWire.get(id)?.(),
  }
}

const outgoing = ({ message, to, raw, stored }: Ready): Outgoing => ({
  id: message.id,
  to,
  raw,
  ...(stored ? { stored } : {}),
  ...(message.context.audience ? { audience: message.context.audience } : {}),
})
