import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { proto } from '@whiskeysockets/baileys'
import { ContentSchema, isAction, type SendableContent } from '../../../src/domain/content'
import { asJid } from '../../../src/domain/ids'
import type { EncodeContext } from '../../../src/domain/whatsapp'
import { earlierOf } from '../../../src/whatsapp/baileys/content/earlier'
import { attach, fileOf } from '../../../src/whatsapp/baileys/content/pointer'
import { type ReadMessage, readContent, type Surroundings } from '../../../src/whatsapp/baileys/content/read'
import { unwrap } from '../../../src/whatsapp/baileys/content/wrappers'
import { writeContent } from '../../../src/whatsapp/baileys/content/write'
import { context } from '../support/world'
import { ALL, EVENT, POLL, pointed } from './samples'

const target = pointed(POLL)
const event = pointed(EVENT, { id: 'EVENT' })
const voting: Surroundings = {
  earlier: (id) => earlierOf(proto.Message.decode(id === 'EVENT' ? event.raw : target.raw)),
  authors: ['100@lid'],
  others: ['1@lid'],
  addresses: () => [],
}
const decoded = (raw: Uint8Array) => proto.Message.decode(raw)
function read(raw: Uint8Array): ReadMessage {
  const found = readContent(decoded(raw), voting)
  if (found === null) throw new Error('holds nothing')
  expect(Value.Errors(ContentSchema, found.content).First()).toBeUndefined()
  return found
}
const written = (content: SendableContent, given: Partial<EncodeContext> = {}) =>
  writeContent(content, context({ target: content.type === 'rsvp' ? event : target, ...given }))

/** A card is told as it went over the wire, too. */
const withoutCards = (content: object) =>
  'contacts' in content
    ? { ...content, contacts: (content.contacts as object[]).map((card) => ({ ...card, vcard: undefined })) }
    : content

describe('every type', () => {
  test.each(ALL)('%s comes back as it was written', (_, content) => {
    expect(withoutCards(read(written(content)).content)).toEqual(withoutCards(content))
  })

  test.each(ALL)('%s: quotes, mentions and the rest go along, but not with actions', (_, content) => {
    const quoted = pointed({ type: 'text', text: 'before' }, { id: 'QUOTED' })
    const extra = { mentionsAll: true, disappearingSeconds: 86_400, albumId: 'ALBUM' } as const
    const back = read(written(content, { mentions: [asJid('7@lid')], quoted, extra }))
    if (isAction(content)) {
      expect(back.quoted).toBeNull()
      expect(back.context.disappearingSeconds).toBeUndefined()
      return
    }
    expect(back.mentions).toEqual(['7@lid'])
    expect(back.quoted).toEqual({ messageId: 'QUOTED', participant: '1@lid', text: 'before' })
    expect(back.context).toEqual(extra)
  })

  test.each(ALL)('%s has a secret of its own, unless another message’s seals it', (_, content) => {
    const secret = () => earlierOf(decoded(written(content))).secret
    if (['reaction', 'vote', 'rsvp'].includes(content.type)) expect(secret()).toBeNull()
    else {
      expect(secret()?.length).toBe(32)
      expect(secret()).not.toEqual(secret())
    }
  })
})

describe('quotes', () => {
  test('hold the quoted words, but neither their secret nor their own quote nor their wrapper', () => {
    const first = pointed({
      type: 'image',
      viewOnce: true,
      caption: 'first',
      media: { mimetype: null, size: 1 },
    })
    const second = pointed({ type: 'text', text: 'second' }, { id: 'B' })
    const quoting = writeContent({ type: 'text', text: 'second' }, context({ quoted: first }))
    const third = decoded(written({ type: 'text', text: 'third' }, { quoted: { ...second, raw: quoting } }))
    const quoted = third.extendedTextMessage?.contextInfo?.quotedMessage
    expect(quoted?.extendedTextMessage?.text).toBe('second')
    expect(quoted?.extendedTextMessage?.contextInfo ?? null).toBeNull()
    expect(quoted?.messageContextInfo ?? null).toBeNull()
    const inner = decoded(quoting).extendedTextMessage?.contextInfo?.quotedMessage
    expect(inner?.imageMessage?.caption).toBe('first')
  })

  test('of another chat say so', () => {
    const quoted = pointed({ type: 'text', text: 'in the group' }, { chat: asJid('5@g.us') })
    const raw = decoded(written({ type: 'text', text: 'privately' }, { quoted }))
    expect(raw.extendedTextMessage?.contextInfo?.remoteJid).toBe('5@g.us')
    const same = decoded(written({ type: 'text', text: 'here' }, { quoted, chat: asJid('5@g.us') }))
    expect(same.extendedTextMessage?.contextInfo?.remoteJid ?? null).toBeNull()
  })
})

describe('actions', () => {
  test('name their target by chat, and in groups by author', () => {
    const reaction = { type: 'reaction', emoji: 'x', targetMessageId: 'TARGET' } as const
    const key = (given: Partial<EncodeContext>) => decoded(written(reaction, given)).reactionMessage?.key
    expect(key({})).toMatchObject({ remoteJid: '1@lid', fromMe: false, id: 'TARGET' })
    const chat = asJid('5@g.us')
    expect(key({ chat })).toMatchObject({ remoteJid: '5@g.us', participant: '1@lid' })
    expect(key({ chat, target: { ...target, fromMe: true } })?.participant ?? null).toBeNull()
  })

  test('without their target are refused', () => {
    for (const type of ['reaction', 'edit', 'delete', 'pin', 'vote'] as const) {
      const [content] = ALL.filter(([, sample]) => sample.type === type).map(([, sample]) => sample)
      if (!content) throw new Error(type)
      expect(() => written(content, { target: null })).toThrow('Message not found')
    }
  })

  test('a vote on what is no poll, or for what it does not offer, is refused', () => {
    const vote = { type: 'vote' as const, targetMessageId: 'TARGET', options: ['now'] }
    const text = pointed({ type: 'text', text: 'no poll' })
    expect(() => written(vote, { target: text })).toThrow('cannot be done')
    expect(() => written({ ...vote, options: ['tomorrow'] })).toThrow('cannot be done')
  })

  test('new words for a file keep the file; they can name people', () => {
    const media = { mimetype: 'image/png', size: 7 }
    const image = pointed({ type: 'image', caption: 'old', media })
    const edit = { type: 'edit', text: 'new @7', targetMessageId: 'TARGET' } as const
    const raw = written(edit, { target: image, mentions: [asJid('7@lid')] })
    const edited = decoded(raw).protocolMessage?.editedMessage?.imageMessage
    expect(edited).toMatchObject({ caption: 'new @7', mimetype: 'image/png' })
    expect(read(raw)).toMatchObject({ content: edit, mentions: ['7@lid'] })
  })
})

describe('files', () => {
  const pointer = {
    url: 'https://mmg.whatsapp.net/o1/x',
    directPath: '/o1/x',
    mediaKey: Buffer.alloc(32, 1),
    fileSha256: Buffer.alloc(32, 2),
    fileEncSha256: Buffer.alloc(32, 3),
    fileLength: 77,
    mediaKeyTimestamp: 1_700_000_000,
  }
  const plain = (found: ReturnType<typeof fileOf>) =>
    found?.pointer &&
    Object.fromEntries(
      Object.entries(found.pointer).map(([k, v]) => [
        k,
        v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v,
      ]),
    )

  test.each([
    ['image', { type: 'image', media: { mimetype: null, size: 1 } }],
    ['image', { type: 'image', viewOnce: true, media: { mimetype: null, size: 1 } }],
    ['video', { type: 'video', media: { mimetype: null, size: 1 } }],
    ['gif', { type: 'video', gifPlayback: true, media: { mimetype: null, size: 1 } }],
    ['ptv', { type: 'video', ptv: true, media: { mimetype: null, size: 1 } }],
    ['audio', { type: 'audio', ptt: false, media: { mimetype: null, size: 1 } }],
    ['voice', { type: 'audio', ptt: true, viewOnce: true, media: { mimetype: null, size: 1 } }],
    ['document', { type: 'document', media: { mimetype: null, size: 1, filename: 'a' } }],
    ['sticker', { type: 'sticker', media: { mimetype: null, size: 1 } }],
  ] as const)('%s: its place is put in and found again', (kind, content) => {
    const raw = written(content)
    expect(fileOf(raw)).toEqual({ kind, pointer: null })
    const attached = attach(raw, pointer)
    expect(fileOf(attached)?.kind).toBe(kind)
    expect(plain(fileOf(attached))).toEqual(plain({ kind, pointer }))
    expect(earlierOf(decoded(attached)).secret).toEqual(earlierOf(decoded(raw)).secret)
  })

  test('a text has none', () => {
    const raw = written({ type: 'text', text: 'x' })
    expect(fileOf(raw)).toBeNull()
    expect(() => attach(raw, pointer)).toThrow('no file')
  })

  test('thumbnails lie where WhatsApp looks for them', () => {
    const thumbnail = Buffer.from('jpeg')
    const media = { mimetype: null, size: 1 }
    const part = (content: SendableContent) =>
      Object.values(unwrap(decoded(written(content, { thumbnail }))).inner)
    for (const content of [
      { type: 'image', media },
      { type: 'video', media },
      { type: 'document', media },
      { type: 'location', latitude: 1, longitude: 1 },
      { type: 'text', text: 'x', linkPreview: { url: 'x', title: 'X' } },
    ] as const) {
      const found = part(content).find((one) => typeof one === 'object' && one && 'jpegThumbnail' in one)
      expect(Buffer.from((found as { jpegThumbnail: Uint8Array }).jpegThumbnail).toString()).toBe('jpeg')
    }
  })
})
