import { describe, expect, test } from 'bun:test'
import type { WAMessage } from '@whiskeysockets/baileys'
import { initAuthCreds, proto } from '@whiskeysockets/baileys'
import type { Identity } from '../../src/domain/session'
import { behind } from '../../src/whatsapp/baileys/content/behind'
import { readContent } from '../../src/whatsapp/baileys/content/read'
import { isWithheld } from '../../src/whatsapp/baileys/content/withheld'
import type { Origin } from '../../src/whatsapp/baileys/inbound-journal'
import { messageOf, pairsOf } from '../../src/whatsapp/baileys/messages'
import {
  callsOf,
  contactsOf,
  groupsOf,
  identityOf,
  participantsOf,
  presencesOf,
} from '../../src/whatsapp/baileys/reports'
import { groupStatusesOf, starsOf, statusesOf } from '../../src/whatsapp/baileys/statuses'

const me: Identity = { phoneNumber: '491', lid: '100@lid', name: 'Me', platform: 'android' }
const know = (jid: string) => ({ '7@lid': '497@s.whatsapp.net', '497@s.whatsapp.net': '7@lid' })[jid] ?? null
const text = (key: WAMessage['key'], more: Partial<WAMessage> = {}): WAMessage => ({
  key: { id: 'ID', ...key },
  message: { conversation: 'hi' },
  messageTimestamp: 1_700_000_000,
  ...more,
})
const read = (message: WAMessage, origin: Origin | null = null) =>
  messageOf(message, { origin, me, know, now: Date.now() })

describe('messages', () => {
  test('only a LID: no phone number is invented', () => {
    const message = read(text({ remoteJid: '5@lid', fromMe: false }, { pushName: 'Eve' }))
    expect(message).toEqual(
      expect.objectContaining({
        chat: '5@lid',
        chatParty: { lid: '5@lid', phoneNumber: null },
        sender: { lid: '5@lid', phoneNumber: null },
        senderName: 'Eve',
        status: 'received',
        timestamp: 1_700_000_000_000,
        inboxId: null,
      }),
    )
  })

  test('both names: from the message, or from what is known', () => {
    const both = { lid: '5@lid', phoneNumber: '495' }
    expect(read(text({ remoteJid: '5@lid', remoteJidAlt: '495@s.whatsapp.net' }))?.chatParty).toEqual(
      both as never,
    )
    expect(read(text({ remoteJid: '495:3@s.whatsapp.net', remoteJidAlt: '5@lid' }))?.chatParty).toEqual(
      both as never,
    )
    expect(read(text({ remoteJid: '7@lid' }))?.chatParty).toEqual({
      lid: '7@lid',
      phoneNumber: '497',
    } as never)
    expect(read(text({ remoteJid: '497@s.whatsapp.net' }))?.chatParty).toEqual({
      lid: '7@lid',
      phoneNumber: '497',
    } as never)
  })

  test('groups: the sender is a person, the chat is not', () => {
    const message = read(text({ remoteJid: '1@g.us', participant: '7:4@lid' }), {
      inboxId: 9,
      offline: true,
      change: null,
      own: false,
      withheld: null,
    })
    expect(message?.chatParty).toEqual({ lid: null, phoneNumber: null })
    expect(message?.sender).toEqual({ lid: '7@lid', phoneNumber: '497' } as never)
    expect(message?.offline).toBe(true)
    expect(message?.inboxId).toBe(9)
  })

  test('own messages: statuses merged into them count', () => {
    expect(read(text({ remoteJid: '5@lid', fromMe: true }))?.status).toBe('sent')
    expect(read(text({ remoteJid: '5@lid', fromMe: true }, { status: 3 }))?.status).toBe('delivered')
    expect(read(text({ remoteJid: '5@lid', fromMe: true }, { status: 4 }))?.status).toBe('read')
    expect(read(text({ remoteJid: '5@lid', fromMe: true }))?.sender).toBeNull()
  })

  test('mentions and quotes are shown as people know them', () => {
    const message = read(
      text(
        { remoteJid: '5@lid' },
        {
          message: {
            extendedTextMessage: {
              text: '@7 @8',
              contextInfo: {
                mentionedJid: ['7@lid', '8@lid'],
                stanzaId: 'Q',
                participant: '100@lid',
                quotedMessage: { imageMessage: { caption: 'a picture' } },
              },
            },
          },
        },
      ),
    )
    expect(message?.mentions).toEqual(['497', '8@lid'])
    expect(message?.quoted).toEqual({ messageId: 'Q', from: 'me', text: 'a picture' })
  })

  test('a stanza without content is no message', () => {
    expect(read(text({ remoteJid: '5@lid' }, { message: null }))).toBeNull()
    expect(read(text({ remoteJid: '5@lid' }, { message: { protocolMessage: {} } }))).toBeNull()
    expect(read(text({ id: null, remoteJid: '5@lid' }))).toBeNull()
  })

  test('a status post is by its author, ours by us, whatever address it names', () => {
    const post = { remoteJid: 'status@broadcast', participant: '7:2@lid' }
    expect(read(text(post))).toMatchObject({
      chat: 'status@broadcast',
      chatParty: { lid: null, phoneNumber: null },
      sender: { lid: '7@lid', phoneNumber: '497' },
      fromMe: false,
    })
    expect(read(text({ ...post, participant: '100:3@lid' }))).toMatchObject({ fromMe: true, sender: null })
  })

  test('a post of a channel is by the channel; the server’s number stays with it', () => {
    const post = read(text({ remoteJid: '12@newsletter', server_id: '345' }))
    expect(post).toMatchObject({
      chat: '12@newsletter',
      sender: { lid: '12@newsletter', phoneNumber: null },
      content: { type: 'text', text: 'hi' },
    })
    const raw = post?.raw ?? new Uint8Array()
    expect(behind(raw, 'serverId')).toBe('345')
    expect(proto.Message.decode(raw).conversation).toBe('hi')
    expect(
      behind(proto.Message.encode({ conversation: '\u00fa\u007f\u0003' }).finish(), 'serverId'),
    ).toBeNull()
  })

  test('a post that comes as JSON is read all the same', () => {
    const message = proto.Message.fromObject({
      imageMessage: { caption: 'c', mediaKey: Buffer.from('key'), fileLength: 5 },
      messageContextInfo: { messageSecret: Buffer.alloc(32, 7) },
    }).toJSON() as never
    const post = read(text({ remoteJid: '12@newsletter' }, { message }))
    expect(post?.content).toEqual({ type: 'image', caption: 'c', media: { mimetype: null, size: 5 } })
    const raw = proto.Message.decode(post?.raw ?? new Uint8Array())
    expect(Buffer.from(raw.imageMessage?.mediaKey ?? []).toString()).toBe('key')
  })

  test.each(['image', 'video', 'audio'] as const)(
    'a withheld %s that can be opened once is told',
    (withheld) => {
      const origin = { inboxId: 1, offline: false, change: null, own: false, withheld }
      const key = { remoteJid: '1@g.us', participant: '7:4@lid', isViewOnce: true }
      const withKey = { senderKeyDistributionMessage: { groupId: '1@g.us' } }
      for (const message of [null, withKey]) {
        const hidden = read(text(key, { message }), origin)
        expect(hidden?.content).toEqual({
          type: withheld,
          ...(withheld === 'audio' ? { ptt: false } : {}),
          viewOnce: true,
          media: { mimetype: null, size: null },
        } as never)
        const again = readContent(proto.Message.decode(hidden?.raw ?? new Uint8Array()))
        expect(again?.content).toEqual(hidden?.content as never)
        expect(isWithheld(proto.Message.decode(hidden?.raw ?? new Uint8Array()))).toBe(true)
      }
      expect(read(text(key, { message: null }), { ...origin, withheld: null })).toBeNull()
    },
  )

  test('pairs are those that the message itself gives', () => {
    expect(
      pairsOf(text({ remoteJid: '1@g.us', participant: '5:2@lid', participantAlt: '495@s.whatsapp.net' })),
    ).toEqual([{ lid: '5@lid', phoneNumber: '495' }] as never)
    expect(pairsOf(text({ remoteJid: '7@lid' }))).toEqual([])
  })
})

describe('statuses', () => {
  const update = (status: number, fromMe = true, params?: string[]) => [
    {
      key: { id: 'ID', remoteJid: '5:1@lid', fromMe },
      update: { status, ...(params ? { messageStubParameters: params } : {}) },
    },
  ]

  test.each([
    [2, 'sent'],
    [3, 'delivered'],
    [4, 'read'],
    [5, 'played'],
  ] as const)('%d is %s', (number, status) => {
    expect(statusesOf(update(number), 7)).toEqual([{ messageId: 'ID', status, at: 7, error: null }] as never)
  })

  test('a refusal keeps its code; others’ messages have no status', () => {
    expect(statusesOf(update(0, true, ['463']), 7)[0]?.error).toEqual({
      code: '463',
      says: expect.stringContaining('restricted'),
    })
    expect(statusesOf(update(4, false), 7)).toEqual([])
    expect(statusesOf([{ key: { id: 'ID', fromMe: true }, update: { starred: true } }], 7)).toEqual([])
  })

  test('stars are told, set and taken away', () => {
    const key = { id: 'ID', remoteJid: '1@g.us', fromMe: false }
    expect(
      starsOf([
        { key, update: { starred: true } },
        { key, update: { starred: false } },
      ]),
    ).toEqual([
      { messageId: 'ID', fromMe: false, starred: true },
      { messageId: 'ID', fromMe: false, starred: false },
    ] as never)
    expect(starsOf([{ key, update: { status: 3 } }])).toEqual([])
  })

  test('group receipts climb by the most that is told', () => {
    const key = { id: 'ID', remoteJid: '1@g.us', fromMe: true }
    const status = (receipt: object) =>
      groupStatusesOf([{ key, receipt: { userJid: '5@lid', ...receipt } }], 7)[0]
    expect(status({ receiptTimestamp: 10 })).toEqual({
      messageId: 'ID',
      status: 'delivered',
      at: 10_000,
      error: null,
    } as never)
    expect(status({ receiptTimestamp: 10, readTimestamp: 11 })?.status).toBe('read')
  })
})

describe('the rest', () => {
  test('who we are', () => {
    const creds = initAuthCreds()
    expect(identityOf(creds)).toBeNull()
    creds.me = { id: '491:7@s.whatsapp.net', lid: '100:7@lid', name: '~' }
    expect(identityOf(creds)).toEqual({ phoneNumber: '491', lid: '100@lid', name: null, platform: null })
  })

  test('contacts keep both names', () => {
    const { named, pairs } = contactsOf(
      [
        { id: '5@lid', phoneNumber: '495@s.whatsapp.net', notify: 'Eve' },
        { id: '7@lid' },
        { id: '1@g.us', name: 'G' },
      ],
      know,
    )
    expect(named).toEqual([{ party: { lid: '5@lid', phoneNumber: '495' }, name: 'Eve' }] as never)
    expect(pairs).toEqual([
      { lid: '5@lid', phoneNumber: '495' },
      { lid: '7@lid', phoneNumber: '497' },
    ] as never)
  })

  test('groups, members, presence, calls', () => {
    expect(groupsOf([{ id: '1@g.us', subject: 'S', participants: [1, 2] }, { id: '5@lid' }]).groups).toEqual([
      { id: '1@g.us', subject: 'S', participants: 2 },
    ] as never)
    expect(
      participantsOf(
        { id: '1@g.us', author: '7@lid', action: 'add', participants: [{ id: '5@lid' }] } as never,
        know,
      ),
    ).toEqual(
      expect.objectContaining({
        by: { lid: '7@lid', phoneNumber: '497' },
        participants: [{ lid: '5@lid', phoneNumber: null }],
      }),
    )
    expect(
      presencesOf({ id: '7@lid', presences: { '7@lid': { lastKnownPresence: 'composing' } } }, know),
    ).toEqual([
      { kind: 'presence', chat: { lid: '7@lid', phoneNumber: '497' }, presence: 'composing', typing: true },
    ] as never)
    const [call] = callsOf(
      [{ id: 'C', from: '7@lid', chatId: '7@lid', status: 'offer', date: new Date(), offline: false }],
      know,
    ).calls
    expect(call).toEqual({
      id: 'C',
      from: { lid: '7@lid', phoneNumber: '497' },
      status: 'offer',
      video: false,
    } as never)
  })
})
