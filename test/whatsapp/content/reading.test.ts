import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { proto } from '@whiskeysockets/baileys'
import { ContentSchema } from '../../../src/domain/content'
import { readContent } from '../../../src/whatsapp/baileys/content/read'

const read = (message: proto.IMessage) => {
  const found = readContent(
    proto.Message.decode(proto.Message.encode(proto.Message.fromObject(message)).finish()),
  )
  if (found) expect(Value.Check(ContentSchema, found.content)).toBe(true)
  return found
}

const edit = (editedMessage: proto.IMessage): proto.Message.IProtocolMessage => ({
  type: proto.Message.ProtocolMessage.Type.MESSAGE_EDIT,
  key: { id: 'X' },
  editedMessage,
})

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
      { type: 'image', viewOnce: true, media: { mimetype: null, size: null } },
    ],
    [
      { viewOnceMessageV2Extension: { message: { audioMessage: { ptt: true } } } },
      { type: 'audio', ptt: true, viewOnce: true, media: { mimetype: null, size: null } },
    ],
    [
      { deviceSentMessage: { message: { conversation: 'from my phone' } } },
      { type: 'text', text: 'from my phone' },
    ],
    [{ botInvokeMessage: { message: { conversation: '@ai hi' } } }, { type: 'text', text: '@ai hi' }],
    [{ groupMentionedMessage: { message: { conversation: 'hi' } } }, { type: 'text', text: 'hi' }],
    [
      { lottieStickerMessage: { message: { stickerMessage: { isLottie: true } } } },
      { type: 'sticker', animated: true, media: { mimetype: null, size: null } },
    ],
    [
      { pollCreationMessageV4: { message: { pollCreationMessageV3: { name: '?', options: [] } } } },
      { type: 'poll', question: '?', options: [], selectable: 0 },
    ],
    [
      { locationMessage: { degreesLatitude: 999, degreesLongitude: Number.NaN, isLive: true } },
      { type: 'location', latitude: 90, longitude: 0, live: true },
    ],
    [
      { eventMessage: { name: 'Never', startTime: Number.MAX_SAFE_INTEGER } },
      { type: 'event', name: 'Never', startsAt: '' },
    ],
    [
      {
        buttonsMessage: {
          contentText: 'Choose',
          footerText: 'foot',
          buttons: [{ buttonId: 'a', buttonText: { displayText: 'A' } }],
        },
      },
      { type: 'buttons', text: 'Choose', footer: 'foot', buttons: [{ id: 'a', text: 'A' }] },
    ],
    [
      {
        templateMessage: {
          hydratedTemplate: {
            hydratedContentText: 'Your code',
            hydratedButtons: [
              { quickReplyButton: { id: 'q', displayText: 'Ok' } },
              { urlButton: { displayText: 'Open', url: 'https://example.com' } },
              { callButton: { displayText: 'Call', phoneNumber: '+4917' } },
            ],
          },
        },
      },
      {
        type: 'buttons',
        text: 'Your code',
        buttons: [
          { id: 'q', text: 'Ok' },
          { id: '', text: 'Open', url: 'https://example.com' },
          { id: '', text: 'Call', url: 'tel:+4917' },
        ],
      },
    ],
    [
      {
        interactiveMessage: {
          body: { text: 'Pay' },
          footer: { text: 'soon' },
          nativeFlowMessage: {
            buttons: [
              { name: 'quick_reply', buttonParamsJson: '{"display_text":"Yes","id":"y"}' },
              { name: 'cta_url', buttonParamsJson: '{"display_text":"Go","url":"https://example.com"}' },
              { name: 'broken', buttonParamsJson: '{' },
            ],
          },
        },
      },
      {
        type: 'buttons',
        text: 'Pay',
        footer: 'soon',
        buttons: [
          { id: 'y', text: 'Yes' },
          { id: 'cta_url', text: 'Go', url: 'https://example.com' },
          { id: 'broken', text: '' },
        ],
      },
    ],
    [
      {
        listMessage: {
          title: 'T',
          description: 'D',
          buttonText: 'Open',
          footerText: 'F',
          sections: [{ title: 'S', rows: [{ rowId: '1', title: 'One', description: 'first' }] }],
        },
      },
      {
        type: 'list',
        title: 'T',
        text: 'D',
        footer: 'F',
        buttonText: 'Open',
        sections: [{ title: 'S', rows: [{ id: '1', title: 'One', description: 'first' }] }],
      },
    ],
    [
      {
        buttonsResponseMessage: {
          selectedButtonId: 'a',
          selectedDisplayText: 'A',
          contextInfo: { stanzaId: 'B' },
        },
      },
      { type: 'choice', choiceId: 'a', text: 'A', targetMessageId: 'B' },
    ],
    [
      { listResponseMessage: { title: 'One', singleSelectReply: { selectedRowId: '1' } } },
      { type: 'choice', choiceId: '1', text: 'One' },
    ],
    [
      { templateButtonReplyMessage: { selectedId: 'q', selectedDisplayText: 'Ok' } },
      { type: 'choice', choiceId: 'q', text: 'Ok' },
    ],
    [
      {
        interactiveResponseMessage: {
          body: { text: 'Yes' },
          nativeFlowResponseMessage: { name: 'quick_reply', paramsJson: '{"id":"y"}' },
        },
      },
      { type: 'choice', choiceId: 'y', text: 'Yes' },
    ],
    [
      {
        productMessage: {
          product: { productId: 'P', title: 'Tea', currencyCode: 'EUR', priceAmount1000: 4990, url: 'u' },
          businessOwnerJid: '4917@s.whatsapp.net',
        },
      },
      {
        type: 'product',
        productId: 'P',
        title: 'Tea',
        currency: 'EUR',
        price: 4.99,
        url: 'u',
        owner: '4917',
      },
    ],
    [
      {
        groupInviteMessage: {
          groupJid: '5@g.us',
          groupName: 'G',
          inviteCode: 'c',
          inviteExpiration: 1_700_000_000,
          caption: 'come',
        },
      },
      {
        type: 'invite',
        groupId: '5@g.us',
        subject: 'G',
        inviteCode: 'c',
        expiresAt: '2023-11-14T22:13:20.000Z',
        caption: 'come',
      },
    ],
    [
      { editedMessage: { message: { protocolMessage: edit({ conversation: 'new' }) } } },
      { type: 'edit', text: 'new', targetMessageId: 'X' },
    ],
    [
      { protocolMessage: edit({ ephemeralMessage: { message: { imageMessage: { caption: 'new' } } } }) },
      { type: 'edit', text: 'new', targetMessageId: 'X' },
    ],
    [{ protocolMessage: edit({ videoMessage: {} }) }, { type: 'edit', text: '', targetMessageId: 'X' }],
    [
      { protocolMessage: { type: proto.Message.ProtocolMessage.Type.REVOKE, key: { id: 'X' } } },
      { type: 'delete', targetMessageId: 'X' },
    ],
    [
      {
        pinInChatMessage: { type: 1, key: { id: 'X' } },
        messageContextInfo: { messageAddOnDurationInSecs: 86_400 },
      },
      { type: 'pin', targetMessageId: 'X', pinned: true, seconds: 86_400 },
    ],
    [{ pinInChatMessage: {} }, { type: 'unknown', kind: 'pinInChatMessage' }],
    [{ keepInChatMessage: { key: { id: 'X' } } }, { type: 'unknown', kind: 'keepInChatMessage' }],
    [{ placeholderMessage: {} }, { type: 'unknown', kind: 'placeholderMessage' }],
    [
      { pollUpdateMessage: { pollCreationMessageKey: { id: 'unknown poll' }, vote: {} } },
      { type: 'unknown', kind: 'pollUpdateMessage' },
    ],
    [
      { encReactionMessage: { targetMessageKey: { id: 'unknown' } } },
      { type: 'unknown', kind: 'encReactionMessage' },
    ],
    [{ extendedTextMessage: { text: '' } }, { type: 'unknown', kind: 'extendedTextMessage' }],
    [{ orderMessage: { orderId: '1' } }, { type: 'order', orderId: '1' }],
    [
      {
        orderMessage: {
          orderId: '2',
          orderTitle: 'Two cups',
          itemCount: 2,
          totalAmount1000: 25_500,
          totalCurrencyCode: 'EUR',
          message: 'please',
          sellerJid: '4917@s.whatsapp.net',
        },
      },
      {
        type: 'order',
        orderId: '2',
        title: 'Two cups',
        itemCount: 2,
        total: 25.5,
        currency: 'EUR',
        text: 'please',
        owner: '4917',
      },
    ],
    [
      { commentMessage: { targetMessageKey: { id: 'T' }, message: { conversation: 'indeed' } } },
      { type: 'comment', text: 'indeed', targetMessageId: 'T' },
    ],
    [
      { commentMessage: { message: { conversation: 'to nothing' } } },
      { type: 'unknown', kind: 'commentMessage' },
    ],
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
    [{ protocolMessage: { type: proto.Message.ProtocolMessage.Type.APP_STATE_SYNC_KEY_SHARE } }],
    [{ ephemeralMessage: { message: {} } }],
  ])('%o holds nothing that somebody has said', (message) => {
    expect(read(message)).toBeNull()
  })
})

describe('what goes along', () => {
  const context = (message: proto.IMessage) => read(message)?.context

  test('is told whatever carries it', () => {
    const contextInfo = { isForwarded: true, expiration: 604_800, nonJidMentions: 1 }
    const told = { forwardingScore: 1, disappearingSeconds: 604_800, mentionsAll: true } as const
    expect(context({ extendedTextMessage: { text: 'x', contextInfo } })).toEqual(told)
    expect(context({ viewOnceMessage: { message: { imageMessage: { contextInfo } } } })).toEqual(told)
    expect(context({ conversation: 'x' })).toEqual({})
  })

  test('an album is named by the envelope, of the message or of its wrapper', () => {
    const messageContextInfo = { messageAssociation: { associationType: 1, parentMessageKey: { id: 'A' } } }
    expect(context({ imageMessage: {}, messageContextInfo })).toEqual({ albumId: 'A' })
    const wrapped = { associatedChildMessage: { message: { imageMessage: {} } }, messageContextInfo }
    expect(context(wrapped)).toEqual({ albumId: 'A' })
    const hd = { messageAssociation: { associationType: 4, parentMessageKey: { id: 'A' } } }
    expect(context({ imageMessage: {}, messageContextInfo: hd })).toEqual({})
  })

  test('a message that names more people than a group can have is cut short', () => {
    const mentionedJid = Array.from({ length: 5_000 }, (_, index) => `${index}@lid`)
    expect(read({ extendedTextMessage: { text: 'x', contextInfo: { mentionedJid } } })?.mentions.length).toBe(
      2_048,
    )
  })

  test('wrappers without end are no trap', () => {
    let message: proto.IMessage = { conversation: 'deep' }
    for (let depth = 0; depth < 40; depth += 1) message = { ephemeralMessage: { message } }
    expect(read(message)?.content).toEqual({ type: 'unknown', kind: 'ephemeralMessage' })
  })
})
