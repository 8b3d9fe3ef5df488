import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { proto } from '@whiskeysockets/baileys'
import { ContentSchema } from '../../src/domain/content'
import { asJid } from '../../src/domain/ids'
import { readContent } from '../../src/whatsapp/baileys/read-content'
import { writeContent } from '../../src/whatsapp/baileys/write-content'

const read = (message: proto.IMessage) => {
  const found = readContent(
    proto.Message.decode(proto.Message.encode(proto.Message.fromObject(message)).finish()),
  )
  if (found) expect(Value.Check(ContentSchema, found.content)).toBe(true)
  return found
}

describe('reading', () => {
  test.each<[proto.IMessage, object]>([
    [{ conversation: 'hi' }, { type: 'text', text: 'hi' }],
    [{ extendedTextMessage: { text: 'hi' } }, { type: 'text', text: 'hi' }],
    [
      { imageMessage: { caption: 'look', mimetype: 'image/png', fileLength: 12, width: 3, height: 4 } },
      { type: 'image', caption: 'look', media: { mimetype: 'image/png', size: 12, width: 3, height: 4 } },
    ],
    [{ videoMessage: { seconds: 9 } }, { type: 'video', media: { mimetype: null, size: null, seconds: 9 } }],
    [
      { audioMessage: { ptt: true, seconds: 2 } },
      { type: 'audio', ptt: true, media: { mimetype: null, size: null, seconds: 2 } },
    ],
    [
      { documentWithCaptionMessage: { message: { documentMessage: { fileName: 'a.pdf', caption: 'c' } } } },
      { type: 'document', caption: 'c', media: { mimetype: null, size: null, filename: 'a.pdf' } },
    ],
    [
      { stickerMessage: { mimetype: 'image/webp' } },
      { type: 'sticker', media: { mimetype: 'image/webp', size: null } },
    ],
    [
      { locationMessage: { degreesLatitude: 1.5, degreesLongitude: 2, name: 'there' } },
      { type: 'location', latitude: 1.5, longitude: 2, name: 'there' },
    ],
    [
      { liveLocationMessage: { degreesLatitude: 1.5, degreesLongitude: 2 } },
      { type: 'location', latitude: 1.5, longitude: 2, live: true },
    ],
    [
      { contactMessage: { displayName: 'Bob', vcard: 'TEL;waid=4917:+49 17' } },
      {
        type: 'contact',
        contacts: [{ fullName: 'Bob', phoneNumber: '4917', vcard: 'TEL;waid=4917:+49 17' }],
      },
    ],
    [
      {
        pollCreationMessageV3: { name: 'When?', options: [{ optionName: 'now' }], selectableOptionsCount: 1 },
      },
      { type: 'poll', question: 'When?', options: ['now'], selectable: 1 },
    ],
    [
      { reactionMessage: { text: '👍', key: { id: 'X' } } },
      { type: 'reaction', emoji: '👍', targetMessageId: 'X' },
    ],
    [{ ephemeralMessage: { message: { conversation: 'soon gone' } } }, { type: 'text', text: 'soon gone' }],
    [
      { viewOnceMessageV2: { message: { imageMessage: {} } } },
      { type: 'image', media: { mimetype: null, size: null } },
    ],
    [{ orderMessage: { orderId: '1' } }, { type: 'unknown', kind: 'orderMessage' }],
    [{ call: { callKey: Buffer.from('x') } }, { type: 'unknown', kind: 'call' }],
    [
      { conversation: 'with a key', senderKeyDistributionMessage: { groupId: 'g' }, messageContextInfo: {} },
      { type: 'text', text: 'with a key' },
    ],
  ])('%o', (message, content) => {
    expect(read(message)?.content).toEqual(content as never)
  })

  test.each<[proto.IMessage]>([
    [{}],
    [{ protocolMessage: { type: proto.Message.ProtocolMessage.Type.REVOKE } }],
    [{ senderKeyDistributionMessage: { groupId: 'g' } }],
    [{ messageContextInfo: { messageSecret: Buffer.alloc(32) } }],
    [{ pinInChatMessage: {} }],
  ])('%o holds nothing that somebody has said', (message) => {
    expect(read(message)).toBeNull()
  })
})

describe('writing', () => {
  const decoded = (raw: Uint8Array) => proto.Message.decode(raw)

  test('a text bears a fresh secret and no context of its own', () => {
    const message = decoded(writeContent({ type: 'text', text: 'hi' }, { mentions: [], quoted: null }))
    expect(message.extendedTextMessage?.text).toBe('hi')
    expect(message.extendedTextMessage?.contextInfo ?? null).toBeNull()
    expect(message.messageContextInfo?.messageSecret?.length).toBe(32)
    const other = decoded(writeContent({ type: 'text', text: 'hi' }, { mentions: [], quoted: null }))
    expect(other.messageContextInfo?.messageSecret).not.toEqual(message.messageContextInfo?.messageSecret)
  })

  test('a quote holds the quoted words, but neither its secret nor its own quote', () => {
    const first = writeContent({ type: 'text', text: 'first' }, { mentions: [], quoted: null })
    const quote = (raw: Uint8Array) => ({ id: 'A', raw, chat: asJid('1@lid'), sender: asJid('1@lid') })
    const second = writeContent({ type: 'text', text: 'second' }, { mentions: [], quoted: quote(first) })
    const third = decoded(
      writeContent({ type: 'text', text: 'third' }, { mentions: [asJid('2@lid')], quoted: quote(second) }),
    )
    const context = third.extendedTextMessage?.contextInfo
    expect(context?.mentionedJid).toEqual(['2@lid'])
    expect(context?.participant).toBe('1@lid')
    expect(context?.quotedMessage?.extendedTextMessage?.text).toBe('second')
    expect(context?.quotedMessage?.extendedTextMessage?.contextInfo ?? null).toBeNull()
    expect(context?.quotedMessage?.messageContextInfo ?? null).toBeNull()
    expect(read(third)).toEqual({
      content: { type: 'text', text: 'third' },
      mentions: ['2@lid'],
      quoted: { messageId: 'A', participant: '1@lid', text: 'second' },
    })
  })
})
