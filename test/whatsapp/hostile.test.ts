/** What a stranger can put into a message: the session lives, nothing unbounded is told, and no stanza stays behind. */
import { afterAll, afterEach, beforeAll, describe, expect, spyOn, test } from 'bun:test'
import { deflateSync } from 'node:zlib'
import { Value } from '@sinclair/typebox/value'
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { ContentSchema } from '../../src/domain/content'
import type { IncomingMessage } from '../../src/domain/whatsapp'
import type { Phone } from '../../src/sandbox/phone'
import { MAX_STANZA_BYTES } from '../../src/whatsapp/baileys/inbound-door'
import { until } from '../harness/measure'
import { type StockBaileys, stockBaileys } from './support/stock'
import { createWorld, type TestSession, type TestWorld } from './support/world'

const OURS = '491700000001'
let world: TestWorld
let alice: Phone
let mallory: Phone
let session: TestSession
let group: string

beforeAll(async () => {
  world = await createWorld()
  alice = world.phone(OURS)
  mallory = world.phone('491700000002')
  session = await world.linked(alice)
  group = (await mallory.createGroup('Everybody', [alice.jid])).jid
  await session.next('history', () => true, 0)
  await sayAfterAll()
})
afterAll(() => world.stop())

/** What was said before this is through when the marker is told and the inbox is empty. */
async function sayAfterAll(): Promise<void> {
  const since = session.reports.length
  const { id } = await mallory.send(alice.jid, 'marker')
  await session.next('messages', ({ messages }) => messages[0]?.id === id, since)
  await until('an empty inbox', () => (session.vault.inbox().length === 0 ? true : null))
}

const told = (since: number): IncomingMessage[] =>
  session.reports
    .slice(since)
    .flatMap((report) => (report.kind === 'messages' ? report.messages : []))
    .filter(({ content }) => content.type !== 'text' || content.text !== 'marker')

const dropped = () => world.network.dropped(session.id)

const raw = (message: proto.IMessage) => ({
  type: 'raw' as const,
  base64: Buffer.from(proto.Message.encode(message).finish()).toString('base64'),
})

const wrapped = (depth: number): proto.IMessage =>
  depth === 0 ? { conversation: 'inside' } : { ephemeralMessage: { message: wrapped(depth - 1) } }
const quoting = (depth: number): proto.IMessage => ({
  extendedTextMessage: {
    text: 'again',
    ...(depth > 0
      ? { contextInfo: { stanzaId: 'A', participant: '1@lid', quotedMessage: quoting(depth - 1) } }
      : {}),
  },
})
const { Type } = proto.Message.ProtocolMessage
const sealed = { encPayload: Buffer.alloc(20), encIv: Buffer.alloc(12) }
const LONG = 'x'.repeat(1_000_000)

const UNREADABLE: [string, proto.IMessage][] = [
  ['a reaction to nothing', { reactionMessage: { text: '👍' } }],
  ['a reaction to a message without id', { reactionMessage: { key: {}, text: '👍' } }],
  ['a vote in nothing', { pollUpdateMessage: { vote: sealed } }],
  ['a vote without a vote', { pollUpdateMessage: { pollCreationMessageKey: { id: 'A' } } }],
  ['a pin of nothing', { pinInChatMessage: { type: 1 } }],
  ['a pin of no kind', { pinInChatMessage: { key: { id: 'A' } } }],
  ['a sealed reaction to nothing', { encReactionMessage: sealed }],
  ['an answer to no event', { encEventResponseMessage: sealed }],
  ['a poll without words', { pollCreationMessage: {} }],
  ['an event without words', { eventMessage: {} }],
  ['a picture without anything', { imageMessage: {} }],
  [
    'a picture of absurd size',
    { imageMessage: { fileLength: Number.MAX_SAFE_INTEGER, width: 2 ** 32 - 1, height: 2 ** 32 - 1 } },
  ],
  ['a place nowhere', { locationMessage: { degreesLatitude: Number.NaN, degreesLongitude: 1e300 } }],
  [
    'a place that moves absurdly',
    { liveLocationMessage: { degreesClockwiseFromMagneticNorth: 4e9, speedInMps: -1 } },
  ],
  [
    'a pin for ages',
    {
      pinInChatMessage: { key: { id: 'A' }, type: 1 },
      messageContextInfo: { messageAddOnDurationInSecs: 2 ** 32 - 1 },
    },
  ],
  ['wrappers, 1,000 deep', wrapped(1_000)],
  ['quotes, 1,000 deep', quoting(1_000)],
  ['a text of a million letters', { conversation: LONG }],
  [
    'a reaction of a million letters',
    { reactionMessage: { key: { id: LONG, remoteJid: LONG }, text: LONG } },
  ],
  [
    'a quote of a million letters',
    {
      extendedTextMessage: {
        text: 'x',
        contextInfo: { stanzaId: 'A', participant: LONG, quotedMessage: { conversation: LONG } },
      },
    },
  ],
  [
    'a hundred thousand mentions',
    { extendedTextMessage: { text: 'x', contextInfo: { mentionedJid: Array(100_000).fill('1@lid') } } },
  ],
  [
    'twenty thousand cards',
    { contactsArrayMessage: { contacts: Array(20_000).fill({ displayName: 'x', vcard: 'y' }) } },
  ],
  [
    'a message for somebody else',
    { deviceSentMessage: { destinationJid: '5@lid', message: { conversation: 'x' } } },
  ],
]

describe.each([
  ['a person', () => alice.jid],
  ['a group', () => group],
])('to %s', (_, to) => {
  test.each(UNREADABLE)('%s is told within its bounds', async (_, message) => {
    const since = session.reports.length
    const { id } = await mallory.send(to(), raw(message))
    await sayAfterAll()
    const [only, ...others] = told(since)
    expect(others).toEqual([])
    expect(only?.id as string).toBe(id)
    const { content, mentions, quoted } = only ?? ({} as IncomingMessage)
    expect(Value.Errors(ContentSchema, content).First()).toBeUndefined()
    expect(JSON.stringify({ content, mentions, quoted }).length).toBeLessThan(200_000)
  })

  test.each<[string, proto.IMessage]>([
    [
      'an edit of nothing',
      { protocolMessage: { type: Type.MESSAGE_EDIT, editedMessage: { conversation: 'x' } } },
    ],
    ['an edit into nothing', { protocolMessage: { type: Type.MESSAGE_EDIT, key: { id: 'A' } } }],
    ['taking nothing back', { protocolMessage: { type: Type.REVOKE } }],
    ['no protocol at all', { protocolMessage: {} }],
    [
      'a key of no sender',
      {
        senderKeyDistributionMessage: {
          groupId: '1@g.us',
          axolotlSenderKeyDistributionMessage: Buffer.alloc(10),
        },
      },
    ],
  ])('%s is nothing to tell', async (_, message) => {
    const since = session.reports.length
    await mallory.send(to(), raw(message))
    await sayAfterAll()
    expect(told(since)).toEqual([])
  })
})

test('a million wrappers, and bytes that are no message at all', async () => {
  const since = session.reports.length
  const encode = proto.Message.encode
  const bytes: Record<string, Uint8Array> = {
    bomb: bomb(100_000),
    'negative length': Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]),
  }
  const spy = spyOn(proto.Message, 'encode').mockImplementation((message, writer) => {
    const instead = bytes[message.conversation ?? '']
    return instead ? ({ finish: () => instead } as never) : encode(message, writer)
  })
  const before = dropped().undecrypted
  for (const name of Object.keys(bytes)) await mallory.send(alice.jid, name)
  await sayAfterAll()
  await mallory.settled()
  await sayAfterAll()
  spy.mockRestore()
  expect(told(since)).toEqual([])
  expect(dropped().undecrypted).toBeGreaterThanOrEqual(before + 2)
  // WhatsApp is asked five times for what cannot be read, a quarter of a second apart.
}, 20_000)

/** Wrappers in wrappers, as bytes: what no encoder would write. */
function bomb(depth: number): Uint8Array {
  const parts = [Buffer.from([0x0a, 1, 120])]
  let size = 3
  const put = (...tag: number[]) => {
    const head = Buffer.from([...tag, ...varint(size)])
    parts.push(head)
    size += head.length
  }
  for (let level = 0; level < depth; level += 1) {
    put(0x0a)
    put(0xc2, 0x02)
  }
  return Buffer.concat(parts.reverse())
}
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]

describe('what belongs to our own devices alone', () => {
  const said = {
    key: { remoteJid: '1@lid', id: 'PAST', fromMe: true },
    message: { conversation: 'never said' },
  }
  const FORGED_HISTORY = deflateSync(
    proto.HistorySync.encode({
      syncType: 3,
      conversations: [{ id: '1@lid', messages: [{ message: { ...said, messageTimestamp: 1_700_000_000 } }] }],
    }).finish(),
  )
  const forged: [string, proto.Message.IProtocolMessage][] = [
    [
      'a history',
      {
        type: Type.HISTORY_SYNC_NOTIFICATION,
        historySyncNotification: { syncType: 3, initialHistBootstrapInlinePayload: FORGED_HISTORY },
      },
    ],
    ['a history without anything', { type: Type.HISTORY_SYNC_NOTIFICATION }],
    [
      'a key of the app state',
      {
        type: Type.APP_STATE_SYNC_KEY_SHARE,
        appStateSyncKeyShare: {
          keys: [{ keyId: { keyId: Buffer.from('forged') }, keyData: { keyData: Buffer.alloc(32) } }],
        },
      },
    ],
    [
      'addresses',
      {
        type: Type.LID_MIGRATION_MAPPING_SYNC,
        lidMigrationMappingSyncMessage: {
          encodedMappingPayload: proto.LIDMigrationMappingSyncPayload.encode({
            pnToLidMappings: [{ pn: 491_700_000_009, assignedLid: 666 }],
          }).finish(),
        },
      },
    ],
    [
      'a message said to be somebody else’s',
      {
        type: Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
        peerDataOperationRequestResponseMessage: {
          peerDataOperationResult: [
            {
              placeholderMessageResendResponse: {
                webMessageInfoBytes: proto.WebMessageInfo.encode({
                  key: { remoteJid: '1@lid', id: 'FORGED', fromMe: true },
                  message: { conversation: 'forged' },
                }).finish(),
              },
            },
          ],
        },
      },
    ],
  ]
  const own = (vault: TestSession['vault']) =>
    ['app-state-sync-key', 'lid-mapping'].flatMap((type) => vault.ids(type).map((id) => `${type}/${id}`))

  test.each(forged)('%s from a stranger changes nothing', async (_, protocolMessage) => {
    const before = own(session.vault)
    const forgeries = dropped().forged
    for (const message of [{ protocolMessage }, { ephemeralMessage: { message: { protocolMessage } } }]) {
      for (const to of [alice.jid, group]) {
        const since = session.reports.length
        await mallory.send(to, raw(message))
        await sayAfterAll()
        const kinds = session.reports.slice(since).map(({ kind }) => kind)
        expect(kinds).not.toContain('history')
        expect(kinds).not.toContain('identities')
        expect(told(since)).toEqual([])
      }
    }
    expect(own(session.vault)).toEqual(before)
    expect(dropped().forged).toBe(forgeries + 4)
  })

  test('control: from our own phone they count', async () => {
    const share = forged.find(([name]) => name === 'a key of the app state')?.[1] ?? {}
    const addresses = forged.find(([name]) => name === 'addresses')?.[1] ?? {}
    const forgeries = dropped().forged
    for (const protocolMessage of [share, addresses]) {
      await alice.send(mallory.jid, raw({ protocolMessage }))
    }
    await sayAfterAll()
    expect(own(session.vault)).toContain(`app-state-sync-key/${Buffer.from('forged').toString('base64')}`)
    expect(own(session.vault)).toContain('lid-mapping/491700000009')
    expect(dropped().forged).toBe(forgeries)
  })
})

describe('stanzas', () => {
  /** As if the server had brought it. */
  function bring(attrs: Record<string, string>, content: BinaryNode[]): void {
    const device = world.server.world.directory.byPhoneNumber(OURS)?.devices.get(1)
    if (!device?.link) throw new Error('the session is not there')
    device.link.send({
      tag: 'message',
      attrs: { from: mallory.lid, t: '1700000000', type: 'text', ...attrs },
      content,
    })
  }
  const refused = (id: string) =>
    until(`the refusal of ${id.slice(0, 20)}`, () => {
      const acks = world.server.log.entries({ phoneNumber: OURS, tag: 'ack' })
      return acks.find(({ stanza }) => stanza.attrs.id === id && stanza.attrs.error !== undefined) ?? null
    })
  const plain = (text: string): BinaryNode => ({
    tag: 'plaintext',
    attrs: {},
    content: proto.Message.encode({ conversation: text }).finish(),
  })

  test('that are not encrypted are taken from channels alone', async () => {
    const since = session.reports.length
    const before = dropped().refused
    bring({ id: 'PLAIN1' }, [plain('from a person')])
    bring({ id: 'PLAIN2', from: group, participant: mallory.lid }, [plain('in a group')])
    bring({ id: 'PLAIN3', from: alice.jid, category: 'peer' }, [plain('as if from our phone')])
    for (const id of ['PLAIN1', 'PLAIN2', 'PLAIN3']) await refused(id)
    expect(dropped().refused).toBe(before + 3)
    bring({ id: 'POST', from: '120363000000000001@newsletter', server_id: '7' }, [plain('a post')])
    await sayAfterAll()
    expect(told(since).map(({ content }) => content)).toEqual([{ type: 'text', text: 'a post' }])
  })

  test.each([1_000, 9_000, 11_000, 13_000, 100_000])('with %d wrappers harm nobody', async (depth) => {
    const since = session.reports.length
    const content: BinaryNode = { tag: 'plaintext', attrs: {}, content: bomb(depth) }
    bring({ id: `DEPTH${depth}`, from: '120363000000000001@newsletter' }, [content])
    await sayAfterAll()
    for (const { content } of told(since))
      expect(content).toEqual({ type: 'unknown', kind: 'ephemeralMessage' })
  })

  test.each([
    ['of four thousand letters', 'A'.repeat(4_000)],
    ['with a NUL', 'A\0B'],
    ['with a line of its own', 'A\nB'],
  ])('with an id %s are refused', async (_, id) => {
    const since = session.reports.length
    bring({ id, from: '120363000000000001@newsletter' }, [plain('x')])
    await refused(id)
    await sayAfterAll()
    expect(told(since)).toEqual([])
  })

  test('with fields that nobody knows are messages like others', async () => {
    const since = session.reports.length
    const known = proto.Message.encode({ conversation: 'x' }).finish()
    const content = Buffer.concat([known, Buffer.from([0xc0, 0xb8, 0x02, 0x01])])
    bring({ id: 'FIELDS', from: '120363000000000001@newsletter' }, [{ tag: 'plaintext', attrs: {}, content }])
    await sayAfterAll()
    expect(told(since).map(({ content }) => content)).toEqual([{ type: 'text', text: 'x' }])
  })

  test('with a slash in their id are messages like others', async () => {
    const since = session.reports.length
    bring({ id: 'A/../B', from: '120363000000000001@newsletter' }, [plain('x')])
    await sayAfterAll()
    expect(told(since).map(({ id }) => id as string)).toEqual(['A/../B'])
  })

  test('without an id, of no kind, or a thousand levels deep are passed over', async () => {
    const since = session.reports.length
    const levels = (depth: number): BinaryNode => ({
      tag: 'message',
      attrs: {},
      ...(depth > 0 ? { content: [levels(depth - 1)] } : {}),
    })
    bring({ from: '120363000000000001@newsletter' }, [plain('without an id')])
    bring({ id: 'DEEP' }, [levels(1_000)])
    bring({ id: 'NOBODY', from: 'nobody' }, [plain('x')])
    bring({ id: 'EMPTY' }, [])
    bring({ id: 'WRONG', recipient: '5@lid' }, [
      { tag: 'enc', attrs: { v: '2', type: 'msg' }, content: Buffer.alloc(9) },
    ])
    bring({ id: 'KIND' }, [{ tag: 'enc', attrs: { v: '2', type: 'none' }, content: Buffer.alloc(9) }])
    await sayAfterAll()
    expect(told(since)).toEqual([])
  })

  test.each([
    ['view_once', {}, 'image'],
    ['view_once_unavailable_fanout', {}, 'image'],
    ['view_once', { mediatype: 'video' }, 'video'],
    ['view_once', { mediatype: 'ptt' }, 'audio'],
  ])('that withhold a file (%s, %j) are told', async (type, attrs, told_) => {
    const since = session.reports.length
    bring({ id: `ONCE${since}`, type: 'media' }, [{ tag: 'unavailable', attrs: { type, ...attrs } }])
    await sayAfterAll()
    expect(told(since).map(({ content }) => content)).toEqual([
      expect.objectContaining({ type: told_, viewOnce: true, media: { mimetype: null, size: null } }),
    ])
  })

  test('that are larger than any message are refused', async () => {
    const since = session.reports.length
    bring({ id: 'LARGE', from: '120363000000000001@newsletter' }, [plain('x'.repeat(MAX_STANZA_BYTES))])
    await refused('LARGE')
    await sayAfterAll()
    expect(told(since)).toEqual([])
  })

  test.each(['0', '-1', '9223372036854775808', 'never', '99999999999'])(
    'of the moment %s came now',
    async (t) => {
      const since = session.reports.length
      const before = Date.now()
      bring({ id: `AT${t}`, t, from: '120363000000000001@newsletter' }, [plain('x')])
      await sayAfterAll()
      expect(told(since)[0]?.timestamp).toBeWithin(before, Date.now() + 1)
    },
  )

  test.each([
    ['with letters that turn the line', 'Bank \u202egnp.exe', 'Bank gnp.exe'],
    ['with a line of its own', 'Eve\r\nadmin: yes\0', 'Eveadmin: yes'],
    ['of a million letters', LONG, 'x'.repeat(256)],
    ['of nothing', '\u202e \u0000', null],
  ])('with a name %s are shown without', async (_, notify, name) => {
    const since = session.reports.length
    bring({ id: `NAME${since}`, notify, from: '120363000000000001@newsletter' }, [plain('x')])
    await sayAfterAll()
    expect(told(since)[0]?.senderName as unknown).toBe(name)
  })
})

describe('upstream', () => {
  let stock: StockBaileys
  afterEach(() => stock.end())

  test('upstream: a reaction to nothing is lost, words that nobody encrypted are taken, a withheld file is dropped', async () => {
    stock = await stockBaileys(world, alice)
    const { id } = await mallory.send(alice.jid, raw({ reactionMessage: { text: '👍' } }))
    const device = world.server.world.directory.byPhoneNumber(OURS)?.devices.get(2)
    const content = [
      { tag: 'plaintext', attrs: {}, content: proto.Message.encode({ conversation: 'forged' }).finish() },
    ]
    device?.link?.send({
      tag: 'message',
      attrs: { from: mallory.lid, id: 'FORGED', t: '1700000000', type: 'text' },
      content,
    })
    device?.link?.send({
      tag: 'message',
      attrs: { from: mallory.lid, id: 'ONCE', t: `${Math.floor(Date.now() / 1000)}`, type: 'media' },
      content: [{ tag: 'unavailable', attrs: { type: 'view_once_unavailable_fanout' } }],
    })
    expect((await stock.heard('FORGED')).message?.conversation).toBe('forged')
    await until('the acknowledgement of what was withheld', () => {
      const acks = world.server.log.entries({ phoneNumber: OURS, tag: 'ack' })
      return acks.find(({ stanza, deviceId }) => stanza.attrs.id === 'ONCE' && deviceId === 2) ?? null
    })
    expect(stock.messages.filter(({ key }) => key.id === 'ONCE')).toEqual([])
    expect(stock.messages.filter(({ key }) => key.id === id)).toEqual([])
  })
})
