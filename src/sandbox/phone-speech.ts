/**
 * How a phone says something: files uploaded first, earlier messages looked up under the names that the chat uses, the
 * message kept, sent, and taken back when the server refuses it.
 */
import { randomBytes } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import { readMessage, toMessage } from './content'
import { isMedia, type PhoneContent } from './content-schemas'
import { type KnownMessage, UnknownMessage, type UploadedFile } from './content-shape'
import { isChannel, isShared, jidOf, parseJid, STATUS } from './jid'
import type { PhoneBook } from './phone-book'
import type { PhoneDeeds } from './phone-deeds'
import type { Entry, PhoneJournal, PhoneMessage, Sent } from './phone-journal'
import { type MediaAccess, uploadFile, uploadPlainFile } from './phone-media'
import { messageId, type PhoneOutbox } from './phone-outbox'
import type { PhoneSignal } from './phone-signal'

export type SpeechParts = {
  journal: PhoneJournal
  outbox: PhoneOutbox
  signal: PhoneSignal
  book: PhoneBook
  deeds: PhoneDeeds
  own: { pn: string; lid: string }
  /** How the account's 1:1 chats are addressed. */
  addressing: 'lid' | 'pn'
  clock: Clock
  mediaAccess(): Promise<MediaAccess>
  /** Bare, and by number where it is known. */
  nameOf(address: string): Promise<string>
  /** Runs work in the phone's one line of events. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
}

export type SpeechOptions = {
  /** Who may see a status post: numbers or JIDs. */
  audience?: string[]
}

export interface PhoneSpeech {
  /** Resolves when the server has acknowledged; rejects, and forgets the message, when it refuses. */
  say(to: string, content: PhoneContent, options?: SpeechOptions): Promise<PhoneMessage>
  /** An earlier message as the phone names it to others; throws `UnknownMessage`. */
  known(messageId: string): Promise<KnownMessage>
  /** The key of a message as the phone names it to others. */
  keyOf(entry: Entry): Promise<proto.IMessageKey>
  /** A chat as the phone names it to others. */
  chatName(address: string): Promise<string>
}

/** Makes the part of a phone that speaks. */
export function createPhoneSpeech(parts: SpeechParts): PhoneSpeech {
  const { journal, outbox, signal, book, deeds, own, clock } = parts

  const modeOf = async (chat: string): Promise<'lid' | 'pn'> => {
    if (chat === STATUS) return 'lid'
    if (!isShared(chat)) return parts.addressing
    return (await book.groupIfMember(chat))?.addressing ?? parts.addressing
  }
  /** A person as a chat names people. */
  const named = async (person: string, mode: 'lid' | 'pn'): Promise<string> =>
    mode === 'lid' ? ((await signal.lidOf(person)) ?? person) : parts.nameOf(person)

  const chatName = async (chat: string): Promise<string> =>
    isShared(chat) || isChannel(chat) ? chat : named(chat, parts.addressing)

  async function known(id: string): Promise<KnownMessage> {
    const entry = journal.find(id)
    if (!entry || entry.afterlife?.deleted) throw new UnknownMessage(id)
    return { ...(await keyAndAuthor(entry)), message: entry.message }
  }

  async function keyAndAuthor({ shown }: Entry): Promise<Pick<KnownMessage, 'key' | 'author'>> {
    const { id } = shown
    const mode = isChannel(shown.chat) ? 'pn' : await modeOf(shown.chat)
    const author = shown.fromMe ? own[mode] : await named(shown.from, mode)
    const remoteJid = await chatName(shown.chat)
    const participant = isShared(shown.chat) ? { participant: author } : {}
    return { key: { remoteJid, fromMe: shown.fromMe, id, ...participant }, author }
  }

  async function write(content: PhoneContent, to: string, uploaded: UploadedFile | undefined) {
    const mode = isChannel(to) ? 'pn' : await modeOf(to)
    const messages = new Map<string, KnownMessage>()
    for (const id of pointersOf(content)) messages.set(id, await known(id))
    const people = new Map<string, string>()
    for (const mention of mentionsOf(content)) {
      people.set(mention, mention.includes('@') ? mention : await named(addressOf(mention), mode))
    }
    return proto.Message.fromObject(
      toMessage(content, {
        ...(uploaded ? { uploaded } : {}),
        chat: await chatName(to),
        me: own[mode],
        lookUp: (id) => messages.get(id) ?? null,
        jidOf: (mention) => people.get(mention) ?? addressOf(mention),
        messageSecret: () => randomBytes(32),
        now: clock.now(),
      }),
    )
  }

  function takeBack(sent: Sent, error: unknown): never {
    journal.dropSent(sent)
    journal.commit()
    throw error
  }

  async function sayOne(to: string, content: PhoneContent, options: SpeechOptions): Promise<PhoneMessage> {
    const upload = isChannel(to) ? uploadPlainFile : uploadFile
    const uploaded = isMedia(content)
      ? await upload(await parts.mediaAccess(), content.type, Buffer.from(content.base64, 'base64'))
      : undefined
    const { sent, acknowledged } = await parts.inTurn(async () => {
      const message = await write(content, to, uploaded)
      const shown: PhoneMessage = {
        id: messageId(randomBytes(16)),
        chat: isShared(to) || isChannel(to) ? to : await parts.nameOf(to),
        from: own.pn,
        fromMe: true,
        device: 0,
        timestamp: Math.floor(clock.now() / 1000),
        ...readMessage(message),
        ...(to === STATUS ? { audience: (options.audience ?? []).map(addressOf) } : {}),
      }
      const sent: Sent = { shown, message, to, receipts: {} }
      journal.addSent(sent)
      const { acknowledged } = await outbox.send(sent).catch((error: unknown) => takeBack(sent, error))
      return { sent, acknowledged }
    })
    const { server_id: serverId } = await acknowledged.catch((error: unknown) => takeBack(sent, error))
    await parts.inTurn(async () => {
      if (serverId !== undefined) {
        sent.shown.serverId = serverId
        journal.save(sent)
        journal.commit()
      }
      await deeds.perform(sent)
    })
    return sent.shown
  }

  return {
    known,
    keyOf: async (entry) => (await keyAndAuthor(entry)).key,
    chatName,
    async say(to, content, options = {}) {
      const address = addressOf(to)
      const said = await sayOne(address, content, options)
      if (content.type === 'album') {
        for (const item of content.items) await sayOne(address, { ...item, albumId: said.id }, options)
      }
      return said
    },
  }
}

/** The earlier messages that content points to. */
function pointersOf(content: PhoneContent): string[] {
  const { targetMessageId, quotedMessageId, albumId, messageId } = content as Record<string, unknown>
  return [targetMessageId, quotedMessageId, albumId, messageId].filter((id) => typeof id === 'string')
}

function mentionsOf(content: PhoneContent): string[] {
  const mentions = 'mentions' in content ? (content.mentions ?? []) : []
  return 'owner' in content && content.owner !== undefined ? [...mentions, content.owner] : mentions
}

/** A JID from what people write: a number in any spelling, or a JID already. */
export function addressOf(written: string): string {
  if (!written.includes('@')) return jidOf(written.replace(/\D/g, ''), 's.whatsapp.net')
  if (isShared(written) || isChannel(written)) return written
  const { user = '', server = '' } = parseJid(written) ?? {}
  return jidOf(user, server)
}
