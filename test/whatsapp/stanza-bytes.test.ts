/** Stanzas are kept as bytes until their messages are stored; what is read again is what came. */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { type BinaryNode, decodeBinaryNode, encodeBinaryNode } from '@whiskeysockets/baileys'
import { stanzaBytes, stanzaOf } from '../../src/whatsapp/baileys/stanza-bytes'

const named = (notify: string): BinaryNode => ({
  tag: 'message',
  attrs: {
    id: '3EB0C767D26A8B5F1A2B',
    from: '491700000001@s.whatsapp.net',
    participant: '5678:3@lid',
    notify,
  },
  content: [{ tag: 'enc', attrs: { v: '2', type: 'msg' }, content: Buffer.from([1, 2, 3]) }],
})
/** Names that people have given themselves. */
const NAMES = [
  'me@',
  '@home',
  'Ada_1 @ home',
  'a:5@lid',
  'x:05@s.whatsapp.net',
  '\u0002me@',
  '\u0001a@b',
  'Ada',
]

test.each(NAMES)('a sender called %j', async (name) => {
  expect(await stanzaOf(stanzaBytes(named(name)))).toEqual(named(name))
})

test('a text inside a node', async () => {
  const node: BinaryNode = { tag: 'x', attrs: {}, content: 'me@' }
  expect(await stanzaOf(stanzaBytes(node))).toEqual(node)
})

test('upstream: Baileys’ own coding makes bytes of it that nobody can read, or another name', async () => {
  const again = async (name: string) =>
    (await decodeBinaryNode(Buffer.from(encodeBinaryNode(named(name))))).attrs
  await expect(again('me@')).rejects.toThrow('invalid jid pair')
  expect((await again('Ada_1 @ home')).notify).not.toBe('Ada_1 @ home')
})

const NODES: [name: string, node: BinaryNode][] = [
  ['one without content', { tag: 'message', attrs: {} }],
  ['one with text', { tag: 'x', attrs: { a: '', '"': 'ünïcode 👩‍👩‍👧 \n' }, content: 'words' }],
  ['one with no bytes', { tag: 'x', attrs: {}, content: Buffer.alloc(0) }],
  ['one with no children', { tag: 'x', attrs: {}, content: [] }],
  [
    'a message to several devices',
    {
      tag: 'message',
      attrs: { id: '3EB0', from: '1:2@lid', t: '1764000000', offline: '0' },
      content: [
        { tag: 'enc', attrs: { v: '2', type: 'pkmsg' }, content: randomBytes(300) },
        {
          tag: 'participants',
          attrs: {},
          content: [{ tag: 'enc', attrs: {}, content: randomBytes(70_000) }],
        },
        { tag: 'verified_name', attrs: {}, content: 'Ada' },
      ],
    },
  ],
]

test.each(NODES)('%s comes back as it was', async (_, node) => {
  expect(await stanzaOf(stanzaBytes(node))).toEqual(node)
  // As a row comes from a larger buffer.
  const padded = Buffer.concat([Buffer.from('xx'), stanzaBytes(node)])
  expect(await stanzaOf(padded.subarray(2))).toEqual(node)
})

test('those of earlier releases are in WhatsApp’s own form', async () => {
  const node: BinaryNode = {
    tag: 'message',
    attrs: { id: '3EB0', from: '49170@s.whatsapp.net' },
    content: [{ tag: 'enc', attrs: { type: 'msg' }, content: randomBytes(100) }],
  }
  expect(await stanzaOf(encodeBinaryNode(node))).toEqual(node)
})

test('what is cut off, or is none, is refused', async () => {
  const [, node] = NODES[4] ?? ['', { tag: '', attrs: {} }]
  const stanza = stanzaBytes(node)
  for (const length of [0, 1, 4, 20, stanza.length - 1]) {
    await expect(stanzaOf(stanza.subarray(0, length))).rejects.toThrow()
  }
  expect(() => stanzaBytes({ tag: 'x', attrs: {}, content: 5 as unknown as string })).toThrow(TypeError)
})
