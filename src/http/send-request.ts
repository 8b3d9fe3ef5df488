/** A checked entry → the request that a session's queue takes. */
import type { Ask, AskType } from '../domain/content'
import { fail } from '../domain/errors'
import { IDEMPOTENCY_KEPT } from '../domain/idempotency'
import { asJid, type Jid, type MessageId, parseRecipient, phoneOf } from '../domain/ids'
import type { Messages, StoredMessage } from '../domain/message'
import type { SendRequest } from '../domain/sending'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import { askOf } from './ask'
import { FURTHEST_SEND } from './limits'
import { parseMoment } from './moment'
import { invalid } from './query'
import { type Entry, isActionType, type Variables } from './send-fields'

export type SendRequestParts = { messages: Pick<Messages, 'get'>; clock: Clock }

/** `fields`: where the type's own fields are, with their place in the body; the entry itself unless given. */
export function sendRequest(
  parts: SendRequestParts,
  session: Session,
  type: AskType,
  entry: Entry,
  also: { fields?: Readonly<Record<string, unknown>>; at?: string; variables?: Variables | undefined } = {},
): SendRequest {
  const given = { ...also.variables, ...entry.variables }
  const variables = also.variables || entry.variables ? given : undefined
  const ask = askOf(type, also.fields ?? entry, { variables, at: also.at ?? '' })
  const { quotedMessageId, disappearingSeconds, mentionsAll, mentions, ttl } = entry
  return {
    to: destination(parts, session, type, ask, entry.to),
    ask,
    ...(mentions ? { mentions: recipients(mentions, 'mentions') } : {}),
    ...(mentionsAll === undefined ? {} : { mentionsAll }),
    ...(quotedMessageId === undefined ? {} : { quotedMessageId }),
    ...(disappearingSeconds === undefined ? {} : { disappearingSeconds }),
    ...(entry.sendAt === undefined ? {} : { sendAt: sendMoment(entry.sendAt, parts.clock) }),
    ...(ttl === undefined ? {} : { ttlMs: ttl * 1000 }),
  }
}

/** Gives the request the id that its key stands for, unless that was another day's request (contract §1). */
export function withId(
  { messages, clock }: SendRequestParts,
  session: Session,
  request: SendRequest,
  id: MessageId | undefined,
): SendRequest {
  if (id === undefined) return request
  const earlier = messages.get(session.id, id)
  const isOld = earlier !== null && clock.now() - earlier.timestamp > IDEMPOTENCY_KEPT
  return isOld ? request : { ...request, id }
}

/** An action goes where its target is; everything else says where. */
function destination(
  parts: SendRequestParts,
  session: Session,
  type: AskType,
  ask: Ask,
  to: string | undefined,
): Jid {
  if (isActionType(type) && 'targetMessageId' in ask) {
    return storedIn(parts, session, ask.targetMessageId, to).chat
  }
  if (to === undefined) throw invalid('body', [{ path: '/to', message: 'Is required' }])
  return recipient(to)
}

/** A stored message of the session; `to`, when it is given, must be its chat. Fails with `MESSAGE_NOT_FOUND`. */
export function storedIn(
  { messages }: Pick<SendRequestParts, 'messages'>,
  session: Session,
  messageId: string,
  to: string | undefined,
): StoredMessage {
  const message = messages.get(session.id, messageId)
  if (!message) throw fail('MESSAGE_NOT_FOUND', { messageId })
  if (to !== undefined && !isChat(message, recipient(to))) {
    throw fail('MESSAGE_NOT_FOUND', { messageId, reason: 'It is in another chat' })
  }
  return message
}

const isChat = ({ chat, chatParty }: StoredMessage, to: Jid): boolean => {
  const phone = phoneOf(to)
  return to === chat || to === chatParty.lid || (phone !== null && phone === chatParty.phoneNumber)
}

/** The address that somebody means by digits or a WhatsApp id. Fails with `INVALID_PHONE_NUMBER`. */
export function recipient(text: string, field = 'to'): Jid {
  const jid = parseRecipient(text)
  if (jid === null) throw fail('INVALID_PHONE_NUMBER', { field })
  return jid
}

export const recipients = (list: readonly string[], field: string): Jid[] =>
  list.map((text, index) => recipient(text, `${field}/${index}`))

/** People only: neither groups nor channels. */
export function people(list: readonly string[], field: string): Jid[] {
  return recipients(list, field).map((jid, index) => {
    if (phoneOf(jid) === null && !jid.endsWith('@lid')) {
      throw fail('INVALID_PHONE_NUMBER', { field: `${field}/${index}` }, 'This is not a person')
    }
    return jid
  })
}

export const STATUS_CHAT = asJid('status@broadcast')

function sendMoment(text: string, clock: Clock): number {
  const at = text.includes('T') ? parseMoment(text) : null
  if (at === null) throw invalid('body', [{ path: '/sendAt', message: 'Not an ISO 8601 date and time' }])
  if (at - clock.now() > FURTHEST_SEND) {
    throw invalid('body', [{ path: '/sendAt', message: 'Is more than a year away' }])
  }
  return at
}
