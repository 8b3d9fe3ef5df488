/** What stands around our messages on the wire, beside what Baileys' own `sendMessage` puts there. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type AnyMessageContent, type BinaryNode, proto, type WAMessageKey } from '@whiskeysockets/baileys'
import type { SendableContent } from '../../src/domain/content'
import { asJid } from '../../src/domain/ids'
import type { Phone } from '../../src/sandbox/phone'
import { frameOf } from '../../src/whatsapp/baileys/relay'
import { until } from '../harness/measure'
import { POLL, pointed } from './content/samples'
import { type StockBaileys, stockBaileys } from './support/stock'
import { context, createWorld, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession
let stock: StockBaileys
let group: string

beforeAll(async () => {
  world = await createWorld()
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
  stock = await stockBaileys(world, alice)
  group = (await alice.createGroup('Wire', [bob.jid])).jid
})
afterAll(async () => {
  await stock.end()
  await world.stop()
})

/** The message stanza with this id, as it came to the server. */
const stanzaOf = (id: string) =>
  until(`stanza ${id}`, () => {
    const logged = world.server.log.entries({ phoneNumber: alice.phoneNumber, tag: 'message' })
    return (
      logged.find(({ direction, stanza }) => direction === 'in' && stanza.attrs.id === id)?.stanza ?? null
    )
  })

type Logged = Pick<BinaryNode, 'tag' | 'attrs'> & { content?: unknown }
/** Everything but what differs from message to message: ids, devices, ciphertexts. */
function shapeOf({ tag, attrs, content }: Logged): object {
  const { id: _id, phash: _phash, jid: _jid, type, ...rest } = attrs
  const inner = Array.isArray(content) ? (content as Logged[]).map(shapeOf) : []
  const names = inner.map((part) => JSON.stringify(part))
  const shown = tag === 'enc' && type !== 'skmsg' ? rest : { ...rest, type }
  return { tag, attrs: shown, content: [...new Set(names)].sort() }
}

async function ours(content: SendableContent, to: string, key: WAMessageKey): Promise<object> {
  const target = pointed(POLL, {
    id: key.id ?? '',
    chat: asJid(to),
    sender: asJid(key.participant ?? to),
    fromMe: key.fromMe === true,
  })
  const raw = world.network.encode(content, context({ me: asJid(alice.lid), chat: asJid(to), target }))
  const id = world.network.newMessageId()
  await session.connection.send({ id, to: asJid(to), raw })
  return shapeOf(await stanzaOf(id))
}
async function theirs(content: AnyMessageContent, to: string): Promise<object> {
  const sent = await stock.sock.sendMessage(to, content)
  return shapeOf(await stanzaOf(sent?.key.id ?? ''))
}

type Pair = [string, SendableContent, (key: WAMessageKey) => AnyMessageContent]
const TARGET = 'TARGET'
const pairs: Pair[] = [
  ['text', { type: 'text', text: 'hi' }, () => ({ text: 'hi', linkPreview: null })],
  [
    'location',
    { type: 'location', latitude: 1, longitude: 2 },
    () => ({ location: { degreesLatitude: 1, degreesLongitude: 2 } }),
  ],
  [
    'contact',
    { type: 'contact', contacts: [{ fullName: 'A' }] },
    () => ({ contacts: { displayName: 'A', contacts: [{ displayName: 'A', vcard: 'BEGIN:VCARD' }] } }),
  ],
  [
    'contacts',
    { type: 'contact', contacts: [{ fullName: 'A' }, { fullName: 'B' }] },
    () => ({ contacts: { displayName: '2', contacts: [{ vcard: 'x' }, { vcard: 'y' }] } }),
  ],
  ['poll', POLL, () => ({ poll: { name: '?', values: ['a', 'b'], selectableCount: 2 } })],
  [
    'single poll',
    { ...POLL, selectable: 1 },
    () => ({ poll: { name: '?', values: ['a', 'b'], selectableCount: 1 } }),
  ],
  [
    'event',
    { type: 'event', name: 'E', startsAt: '2030-01-01T00:00:00Z' },
    () => ({ event: { name: 'E', startDate: new Date(1) } }),
  ],
  [
    'reaction',
    { type: 'reaction', emoji: '👍', targetMessageId: TARGET },
    (key) => ({ react: { text: '👍', key } }),
  ],
  [
    'edit',
    { type: 'edit', text: 'new', targetMessageId: TARGET },
    (edit) => ({ text: 'new', linkPreview: null, edit }),
  ],
  ['delete', { type: 'delete', targetMessageId: TARGET }, (key) => ({ delete: key })],
  [
    'pin',
    { type: 'pin', targetMessageId: TARGET, pinned: true, seconds: 86_400 },
    (pin) => ({ pin, type: proto.PinInChat.Type.PIN_FOR_ALL, time: 86_400 }),
  ],
  [
    'unpin',
    { type: 'pin', targetMessageId: TARGET, pinned: false },
    (pin) => ({ pin, type: proto.PinInChat.Type.UNPIN_FOR_ALL }),
  ],
  [
    'album',
    { type: 'album', images: 1, videos: 1 },
    () => ({ album: { expectedImageCount: 1, expectedVideoCount: 1 } }),
  ],
]

describe.each([
  ['a person', () => bob.lid],
  ['a group', () => group],
])('to %s, as Baileys’ own', (_, to) => {
  // The first message of each opens sessions and hands out keys, which later ones do not.
  beforeAll(async () => {
    await ours({ type: 'text', text: 'first' }, to(), {})
    await theirs({ text: 'first', linkPreview: null }, to())
  })

  test.each(pairs)('%s', async (_, content, stockContent) => {
    const own: WAMessageKey = { remoteJid: to(), fromMe: true, id: TARGET }
    expect(await ours(content, to(), own)).toEqual(await theirs(stockContent(own), to()))
  })

  test('taking back what somebody else said', async () => {
    const other: WAMessageKey = { remoteJid: to(), fromMe: false, id: TARGET, participant: bob.lid }
    const content = { type: 'delete', targetMessageId: TARGET } as const
    expect(await ours(content, to(), other)).toEqual(await theirs({ delete: other }, to()))
  })
})

describe('more than Baileys’ own', () => {
  const frame = (message: proto.IMessage, to = '1@lid') => frameOf(message, to, [], '100@lid')

  test('a vote says so, and a reaction taken back is an edit', () => {
    expect(frame({ pollUpdateMessage: {} })).toEqual({
      additionalNodes: [{ tag: 'meta', attrs: { polltype: 'vote' } }],
    })
    expect(frame({ reactionMessage: { text: '' } })).toEqual({ additionalAttributes: { edit: '7' } })
    expect(frame({ reactionMessage: { text: 'x' } })).toEqual({})
  })

  test('a status post goes to its audience and to our own devices, nobody twice', () => {
    const message = { extendedTextMessage: { text: 'hi' } }
    expect(frameOf(message, 'status@broadcast', ['1@lid', '100@lid', '1@lid'], '100@lid')).toEqual({
      statusJidList: ['1@lid', '100@lid'],
    })
    expect(frame(message)).toEqual({})
  })

  test('wrappers hide nothing', () => {
    const protocolMessage = { type: 14, key: { id: 'X' } }
    expect(frame({ editedMessage: { message: { protocolMessage } } })).toEqual({
      additionalAttributes: { edit: '1' },
    })
  })
})
