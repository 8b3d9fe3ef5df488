import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { proto, type WAMessage } from '@whiskeysockets/baileys'
import type { Identity } from '../../src/domain/session'
import type { Report } from '../../src/domain/whatsapp'
import { HISTORY_LIMITS, HISTORY_PIECE, historyOf } from '../../src/whatsapp/baileys/history'

const me: Identity = { phoneNumber: '491', lid: '100@lid', name: 'Me', platform: 'android' }

const NOW = 1_800_000_000_000

function told(messages: WAMessage[], more: object = {}) {
  const dropped: number[] = []
  const given = { chats: [{ id: '5@lid' }, { id: '6@lid' }], contacts: [{ id: '5@lid' }], messages, ...more }
  const around = { me, know: () => null, now: NOW, onDropped: (count: number) => dropped.push(count) }
  const reports = [...historyOf(given, around)]
  const pieces = reports.filter((one): one is Extract<Report, { kind: 'history' }> => one.kind === 'history')
  const stars = reports.filter((one) => one.kind === 'stars')
  return { pieces, stars, dropped, all: pieces.flatMap((piece) => piece.messages) }
}
const message = (id: string, at: number, more: Partial<WAMessage> = {}): WAMessage => ({
  key: { id, remoteJid: '5@lid', fromMe: false },
  message: { conversation: id },
  messageTimestamp: at,
  ...more,
})

describe('history', () => {
  test('is told oldest first, in pieces; chats and people are counted once', () => {
    const count = HISTORY_PIECE.messages * 2 + 1
    const newestFirst = Array.from({ length: count }, (_, index) => message(`${index}`, count - index))
    const { pieces, all, dropped } = told(newestFirst, { progress: 40 })
    expect(pieces.map(({ messages }) => messages.length)).toEqual([200, 200, 1])
    expect(pieces.map(({ chats, contacts, progress }) => [chats, contacts, progress])).toEqual([
      [2, 1, 40],
      [0, 0, 40],
      [0, 0, 40],
    ])
    expect(all.map(({ id }) => Number(id))).toEqual(Array.from({ length: count }, (_, i) => count - 1 - i))
    expect(all[0]).toMatchObject({ inboxId: null, offline: false, status: 'received', timestamp: 1000 })
    expect(dropped).toEqual([])
  })

  test('messages of one second keep the order that the phone gives, newest first', () => {
    const { all } = told([message('C', 5), message('B', 5), message('A', 5), message('0', 4)])
    expect(all.map(({ id }) => id as string)).toEqual(['0', 'A', 'B', 'C'])
  })

  test('without messages it is told all the same', () => {
    expect(told([]).pieces).toEqual([
      { kind: 'history', chats: 2, contacts: 1, messages: [], progress: null },
    ])
  })

  test('pieces are bounded in bytes, single messages too; what is too much is counted', () => {
    const large = (id: string, size: number) =>
      message(id, Number(id), { message: { conversation: 'x'.repeat(size) } })
    const megabyte = 1024 * 1024
    const { pieces, dropped } = told([
      ...Array.from({ length: 10 }, (_, index) => large(`${index}`, megabyte - 100)),
      large('10', megabyte + 1),
    ])
    expect(pieces.map(({ messages }) => messages.length)).toEqual([4, 4, 2])
    expect(dropped).toEqual([1])
    const { all, dropped: many } = told(
      Array.from({ length: HISTORY_LIMITS.messages + 3 }, (_, index) => message(`${index}`, index + 1)),
    )
    expect(all.length).toBe(HISTORY_LIMITS.messages)
    expect(all[0]?.id as string).toBe('3')
    expect(many).toEqual([3])
  })

  test('own messages keep how far they have come; in groups the author lies beside the key', () => {
    const { all } = told([
      message('A', 1, { key: { id: 'A', remoteJid: '5@lid', fromMe: true }, status: 4 }),
      message('B', 2, { key: { id: 'B', remoteJid: '1@g.us' }, participant: '7@lid' }),
      message('C', 3, { message: null, messageStubType: 1 }),
    ])
    expect(all.map(({ id, status, sender }) => [id as string, status, sender])).toEqual([
      ['A', 'read', null],
      ['B', 'received', { lid: '7@lid', phoneNumber: null }],
    ] as never)
  })

  test('reactions, votes, stars and secrets that lie beside a message are not lost', () => {
    const hash = createHash('sha256').update('later').digest()
    const poll = message('POLL', 1, {
      key: { id: 'POLL', remoteJid: '1@g.us', fromMe: true },
      message: proto.Message.fromObject({
        pollCreationMessageV3: {
          name: 'When?',
          options: [{ optionName: 'now' }, { optionName: 'later' }],
          selectableOptionsCount: 1,
        },
      }),
      starred: true,
      messageSecret: Buffer.alloc(32, 7),
      reactions: [
        { key: { id: 'R', fromMe: false, participant: '7@lid' }, text: '👍', senderTimestampMs: 5_000 },
      ],
      pollUpdates: [
        {
          pollUpdateMessageKey: { id: 'V', fromMe: true },
          vote: { selectedOptions: [hash] },
          senderTimestampMs: 6_000,
        },
      ],
    })
    const event = message('EVENT', 3, {
      message: proto.Message.fromObject({ eventMessage: { name: 'Tea', startTime: 1_900_000_000 } }),
      eventResponses: [
        {
          eventResponseMessageKey: { id: 'A', fromMe: false, participant: '7@lid' },
          eventResponseMessage: { response: 1, extraGuestCount: 2 },
          timestampMs: 9_000,
        },
        { eventResponseMessageKey: { id: 'B' }, eventResponseMessage: { response: 0 }, timestampMs: 9_000 },
      ],
    })
    expect(told([event]).all.map(({ id, content, timestamp }) => ({ id, content, timestamp }))).toEqual([
      expect.objectContaining({ id: 'EVENT' }),
      {
        id: 'A',
        content: { type: 'rsvp', targetMessageId: 'EVENT', response: 'going', extraGuests: 2 },
        timestamp: 9_000,
      },
    ] as never)
    const { all, stars } = told([poll])
    expect(
      all.map(({ id, content, fromMe, sender, timestamp }) => ({ id, content, fromMe, sender, timestamp })),
    ).toEqual([
      expect.objectContaining({ id: 'POLL', fromMe: true }),
      {
        id: 'R',
        content: { type: 'reaction', emoji: '👍', targetMessageId: 'POLL' },
        fromMe: false,
        sender: { lid: '7@lid', phoneNumber: null },
        timestamp: 5_000,
      },
      {
        id: 'V',
        content: { type: 'vote', targetMessageId: 'POLL', options: ['later'] },
        fromMe: true,
        sender: null,
        timestamp: 6_000,
      },
    ] as never)
    const secret = proto.Message.decode(all[0]?.raw ?? new Uint8Array()).messageContextInfo?.messageSecret
    expect(secret?.length).toBe(32)
    expect(stars).toEqual([
      { kind: 'stars', stars: [{ messageId: 'POLL', fromMe: true, starred: true }] },
    ] as never)
  })

  test('times that are no times do not lose their message', () => {
    const { all } = told([
      message('A', Number.NaN),
      message('B', 2, { messageTimestamp: null }),
      message('C', -1),
    ])
    expect(all.map(({ timestamp }) => timestamp)).toEqual([NOW, NOW, NOW])
  })

  test('one message that cannot be read does not take the others with it', () => {
    const broken = message('A', 1)
    Object.defineProperty(broken, 'message', {
      get() {
        throw new RangeError('too deep')
      },
    })
    const { all, dropped } = told([message('B', 2), broken])
    expect(all.map(({ id }) => id as string)).toEqual(['B'])
    expect(dropped).toEqual([1])
  })
})
