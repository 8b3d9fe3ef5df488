/** A request, with everything looked up, → the messages as they are stored and put on the wire; the first is the request's own. */
import { type AskOf, type Content, type SendableContent, wordsOf } from '../../domain/content'
import {
  asMessageId,
  isGroup,
  type Jid,
  type MessageId,
  type Party,
  partyOf,
  shownParty,
} from '../../domain/ids'
import type { FileId, StagedFile } from '../../domain/media'
import type { Message, MessageContext, Messages, Quote, StoredMessage } from '../../domain/message'
import type { SendRequest } from '../../domain/sending'
import type { Session } from '../../domain/session'
import type { EncodeContext, Pointed, WhatsApp } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import { sha256Hex } from '../../lib/token'
import type { Addressed } from './addressing'
import { contentOf, type PlainAskType } from './asks'
import type { Gathered } from './gathering'
import { forwardable, isActionAsk, ownAddress, pointed, pointedAt } from './targets'

/** A message that could not be sent for this long (ms) is not news any more, unless the caller says otherwise. */
export const TIME_TO_LIVE = 86_400_000

export type Composed = { message: Message & { raw: Uint8Array }; party: Party; to: Jid }

type Parts = {
  whatsapp: WhatsApp
  messages: Messages
  clock: Clock
  /** Seconds after which messages of a chat vanish, as far as the chat is known to have agreed on that. */
  vanishing: (chat: Jid) => number | undefined
}

export type Draft = { session: Session; request: SendRequest; addressed: Addressed; gathered: Gathered }

/** The id of an album's item follows from the album's, so that a repeated request names the same messages. */
export const itemId = (album: MessageId, index: number): MessageId =>
  asMessageId(`3EB0${sha256Hex(`${album}\n${index}`).slice(0, 18).toUpperCase()}`)

/** Null when its encoded form was not kept: then the answer goes without what it answers. */
const pointedIfKept = (session: Session, message: StoredMessage | null): Pointed | null =>
  message?.raw ? pointed(session, message, message.raw) : null

const quoteOf = (quoted: StoredMessage): Quote => ({
  messageId: quoted.id,
  from: quoted.fromMe ? 'me' : quoted.sender && shownParty(quoted.sender),
  text: wordsOf(quoted.content),
})

/** Composes the messages and fixes their ids: every try to send them bears these. */
export function composed(parts: Parts, draft: Draft): Composed[] {
  const { whatsapp, messages, clock } = parts
  const { session, request, addressed } = draft
  const { chat, party, to, quoted, target } = addressed
  const { ask } = request
  const now = clock.now()
  const id = request.id ?? whatsapp.newMessageId()
  const mentions = request.mentions ?? []
  const schedule = {
    sendAt: request.sendAt ?? null,
    expiresAt: Math.max(now, request.sendAt ?? 0) + (request.ttlMs ?? TIME_TO_LIVE),
  }

  const contextOf = (also: MessageContext = {}): MessageContext => {
    const seconds = isActionAsk(ask) ? 0 : (request.disappearingSeconds ?? parts.vanishing(chat) ?? 0)
    return {
      ...(request.mentionsAll && isGroup(chat) ? { mentionsAll: true as const } : {}),
      ...(seconds > 0 ? { disappearingSeconds: seconds } : {}),
      ...(addressed.audience ? { audience: [...addressed.audience] } : {}),
      ...also,
    }
  }

  const encoding = (extra: MessageContext, thumbnail: Uint8Array | null): EncodeContext => ({
    me: ownAddress(session),
    chat: to,
    mentions,
    quoted: extra.albumId === undefined ? pointedIfKept(session, quoted) : null,
    target: target && pointedAt(session, target),
    extra,
    thumbnail,
    now,
  })

  const make = (of: {
    id: MessageId
    content: Content
    context: MessageContext
    raw: Uint8Array
    attachment: FileId | null
  }): Composed => ({
    party,
    to,
    message: {
      sessionId: session.id,
      chat,
      fromMe: true,
      sender: null,
      senderName: null,
      mentions: mentions.map((jid) => shownParty(partyOf(jid))),
      // The album answers; its items only belong to it.
      quoted: quoted && of.context.albumId === undefined ? quoteOf(quoted) : null,
      status: 'queued',
      timestamp: now,
      viaApi: true,
      offline: false,
      history: false,
      error: null,
      ackedAt: null,
      schedule,
      ...of,
    },
  })

  const plain = (
    plainAsk: AskOf<PlainAskType>,
    of: { id: MessageId; context: MessageContext; staged: StagedFile | null },
  ): Composed => {
    const { staged, context } = of
    const given = plainAsk.type === 'text' ? plainAsk.linkPreview : undefined
    const fetched = draft.gathered.preview
    const preview = typeof given === 'object' ? given : fetched && withoutPicture(fetched)
    const content = contentOf(plainAsk, { staged, preview, target })
    const thumbnail = staged?.thumbnail ?? fetched?.thumbnail ?? null
    const raw = whatsapp.encode(content as SendableContent, encoding(context, thumbnail))
    return make({ id: of.id, content, context, raw, attachment: staged?.fileId ?? null })
  }

  if (ask.type === 'album') {
    const count = (type: 'image' | 'video') => ask.items.filter((item) => item.type === type).length
    const content = { type: 'album' as const, images: count('image'), videos: count('video') }
    const context = contextOf()
    const raw = whatsapp.encode(content, encoding(context, null))
    const items = ask.items.map((item, index) =>
      plain(item, {
        id: itemId(id, index),
        context: contextOf({ albumId: id }),
        staged: draft.gathered.staged[index] ?? null,
      }),
    )
    return [make({ id, content, context, raw, attachment: null }), ...items]
  }
  if (ask.type === 'forward') {
    const { original, raw } = forwardable(messages, session, ask.messageId)
    const context = contextOf({ forwardingScore: (original.context.forwardingScore ?? 0) + 1 })
    const passed = whatsapp.forward(raw, encoding(context, null))
    const attachment = draft.gathered.staged[0]?.fileId ?? null
    return [make({ id, content: original.content, context, raw: passed, attachment })]
  }
  return [plain(ask, { id, context: contextOf(), staged: draft.gathered.staged[0] ?? null })]
}

const withoutPicture = ({ thumbnail: _, ...preview }: NonNullable<Gathered['preview']>) => preview
