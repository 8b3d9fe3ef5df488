/**
 * The stanza decoder: bytes as they come out of a frame. They are a node or they are not; a node that is let in is kept in
 * bytes that mean the same node again.
 */
import { deflateSync } from 'node:zlib'
import { type BinaryNode, decodeBinaryNode, encodeBinaryNode } from '@whiskeysockets/baileys'
import { atTheDoor } from '../../src/whatsapp/baileys/inbound-door'
import { stanzaOf } from '../../src/whatsapp/baileys/stanza-bytes'
import { type Chance, STRANGE } from './random'
import type { Target } from './run'

const TAGS = [
  'message',
  'receipt',
  'iq',
  'notification',
  'ib',
  'call',
  'presence',
  'enc',
  'x',
  'participants',
]
const NAMES = ['id', 'from', 'to', 'type', 't', 'participant', 'offline', 'notify', 'v', 'count', 'xmlns']
const VALUES = [
  '3EB0C767D26A8B5F1A2B',
  '1234@s.whatsapp.net',
  '5678:3@lid',
  '12-34@g.us',
  'text',
  '1700000000',
  ...STRANGE,
]

function nodeOf(chance: Chance, depth = 0): BinaryNode {
  const attrs = Object.fromEntries(
    Array.from({ length: chance.below(6) }, () => [chance.of(NAMES), chance.of(VALUES)]),
  )
  const content = ((): BinaryNode['content'] => {
    switch (chance.below(depth > 6 ? 3 : 4)) {
      case 0:
        return undefined
      case 1:
        return Buffer.from(chance.bytes(chance.below(chance.oneIn(10) ? 300 : 40)))
      case 2:
        return chance.of(VALUES)
      default:
        return Array.from({ length: chance.below(4) }, () => nodeOf(chance, depth + 1))
    }
  })()
  return { tag: chance.of(TAGS), attrs, ...(content === undefined ? {} : { content }) }
}

/** A good frame, changed in a few places; now and then bytes that never were one. */
function make(chance: Chance): Uint8Array {
  if (chance.oneIn(8)) return chance.bytes(chance.below(120))
  // Levels upon levels, for a decoder that calls itself.
  if (chance.oneIn(200))
    return Uint8Array.from([0, ...new Array<number>(chance.below(60_000)).fill(248), 1, 2])
  if (chance.oneIn(200))
    return Uint8Array.from([0, 248, 1, ...new Array<number>(chance.below(60_000)).fill(250)])
  let frame: Uint8Array
  try {
    frame = Uint8Array.from(encodeBinaryNode(nodeOf(chance)))
  } catch {
    // Not every node that was made up can be written.
    frame = chance.bytes(40)
  }
  for (let left = chance.below(5); left > 0; left -= 1) {
    const at = chance.below(frame.length)
    switch (chance.below(3)) {
      case 0:
        frame[at] = chance.below(256)
        break
      case 1:
        frame = frame.slice(0, at)
        break
      default:
        frame = Uint8Array.from([...frame.slice(0, at), ...chance.bytes(chance.below(6)), ...frame.slice(at)])
    }
  }
  if (chance.oneIn(20)) frame = Uint8Array.from([2, ...deflateSync(frame.slice(1))])
  return frame
}

/** What a node says; the content of a node may be a text or its bytes. */
const plain = ({ tag, attrs, content }: BinaryNode): object => ({
  tag,
  attrs,
  content: Array.isArray(content)
    ? content.map(plain)
    : typeof content === 'string'
      ? Buffer.from(content)
      : content,
})
const textOf = (node: BinaryNode): string =>
  JSON.stringify(plain(node), (_, value) =>
    value instanceof Uint8Array ? `bytes ${Buffer.from(value).toString('hex')}` : value,
  )

async function take(frame: Uint8Array): Promise<void> {
  let node: BinaryNode
  try {
    node = await decodeBinaryNode(Buffer.from(frame))
  } catch (error) {
    if (error instanceof Error) return
    throw error
  }
  const entered = atTheDoor(node)
  if ('why' in entered) return
  const kept = await stanzaOf(entered.stanza)
  if (textOf(kept) !== textOf(node)) throw new Error('Another node after it was kept')
}

export const stanzas: Target<Uint8Array> = {
  name: 'stanzas',
  open: async () => ({ make, take, end: async () => undefined }),
  show: (frame) => `${frame.length} bytes ${Buffer.from(frame.slice(0, 60)).toString('hex')}`,
}
