/** Stanzas are kept as bytes until their messages are stored; what is read again is what came. */
import { expect, test } from 'bun:test'
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
  expect(await stanzaOf(stanzaBytes(node))).toEqual({ ...node, content: Buffer.from('me@') })
})

test('upstream: Baileys’ own coding makes bytes of it that nobody can read, or another name', async () => {
  const again = async (name: string) =>
    (await decodeBinaryNode(Buffer.from(encodeBinaryNode(named(name))))).attrs
  await expect(again('me@')).rejects.toThrow('invalid jid pair')
  expect((await again('Ada_1 @ home')).notify).not.toBe('Ada_1 @ home')
})
