/** Whom a request is for, and what can be wrong with it before anything is fetched. */
import { fail } from '../../domain/errors'
import { isGroup, isLid, isPhoneJid, type Jid, partyOf, phoneJid, phoneOf } from '../../domain/ids'
import type { Identities, Messages, StoredMessage } from '../../domain/message'
import type { SendRequest } from '../../domain/sending'
import type { Session } from '../../domain/session'
import type { Connection } from '../../domain/whatsapp'
import type { NumberCheck } from '../number-check'
import { findRecipient, type Recipient, recipientAgain } from '../recipient'
import { canBePosted, wrong } from './asks'
import { isActionAsk, stored, targetOf } from './targets'

export const STATUS: Jid = 'status@broadcast' as Jid

export type Addressed = Recipient & {
  /** The message that is acted on. */
  target: StoredMessage | null
  /** The message that is answered. */
  quoted: StoredMessage | null
  audience: readonly Jid[] | null
}

type Parts = { identities: Identities; numbers: NumberCheck; messages: Messages }

/** What a request alone is enough to see. */
function refuseOddities({ to, ask, mentionsAll, audience, quotedMessageId }: SendRequest): void {
  if (mentionsAll && !isGroup(to)) throw wrong('/mentionsAll', 'Only in a group')
  if (quotedMessageId !== undefined && (isActionAsk(ask) || ask.type === 'forward' || to === STATUS))
    throw wrong('/quotedMessageId', 'Nothing can be quoted here')
  if (isActionAsk(ask)) return
  if (to === STATUS) {
    if (!audience?.length) throw wrong('/audience', 'A status post needs people who may see it')
    if (!canBePosted(ask.type)) throw wrong('/type', 'A status post is a text, an image, a video or a sound')
  } else if (audience !== undefined) throw wrong('/audience', 'Only of a status post')
}

/** Where an action goes: to the chat of its target. */
function chatOf(target: StoredMessage): Recipient {
  const { chat, chatParty: party } = target
  return { to: recipientAgain(chat, party), chat, party, learned: null }
}

/** Who hears of what is done to a status post: those who saw ours, and the author of another's alone. */
function audienceOf({ fromMe, sender, context }: StoredMessage, request: SendRequest): readonly Jid[] | null {
  if (fromMe) return context.audience ?? request.audience ?? null
  const author = sender?.lid ?? (sender?.phoneNumber ? phoneJid(sender.phoneNumber) : null)
  return author && [author]
}

/** Whether `to` means the chat in which the target stands. */
function isChatOf(identities: Identities, session: Session, to: Jid, { chat, chatParty }: StoredMessage) {
  if (to === chat) return true
  if (!isLid(to) && !isPhoneJid(to)) return false
  const known = identities.resolve(session.id, to)
  const { lid = null, phoneNumber = null } = partyOf(to, known.lid)
  return (
    (lid !== null && lid === chatParty.lid) ||
    (phoneNumber !== null && phoneNumber === chatParty.phoneNumber) ||
    (known.phoneNumber !== null && known.phoneNumber === chatParty.phoneNumber)
  )
}

/**
 * Fails with `VALIDATION_ERROR`, `MESSAGE_NOT_FOUND`, `MESSAGE_NOT_SUITABLE` or `NUMBER_NOT_ON_WHATSAPP`; a number that
 * cannot be checked now is taken as it is.
 */
export async function addressed(
  parts: Parts,
  session: Session,
  connection: Connection | null,
  request: SendRequest,
): Promise<Addressed> {
  refuseOddities(request)
  const { to, ask } = request
  if (isActionAsk(ask)) {
    const target = targetOf(parts.messages, session, ask)
    if (!isChatOf(parts.identities, session, to, target))
      throw fail('MESSAGE_NOT_SUITABLE', { messageId: target.id, reason: 'It stands in another chat' })
    const audience = target.chat === STATUS ? audienceOf(target, request) : null
    return { ...chatOf(target), target, quoted: null, audience }
  }
  const { quotedMessageId } = request
  const quoted = quotedMessageId === undefined ? null : stored(parts.messages, session, quotedMessageId)
  const recipient = await findRecipient(parts, session, connection, to)
  return { ...recipient, target: null, quoted, audience: request.audience ?? null }
}

/** The numbers that have to be looked up for these requests, so that many can be asked for in one question. */
export function numbersOf(
  { identities }: Pick<Parts, 'identities'>,
  session: Session,
  requests: readonly SendRequest[],
): string[] {
  return requests.flatMap(({ to, ask }) => {
    const phoneNumber = isActionAsk(ask) ? null : phoneOf(to)
    if (phoneNumber === null || identities.resolve(session.id, to).lid !== null) return []
    return [phoneNumber]
  })
}
