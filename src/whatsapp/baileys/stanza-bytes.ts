/**
 * A stanza as bytes and back, exactly: `1 | length of the JSON (4) | JSON | bytes`. In the JSON a stanza is
 * `[tag, attributes, content]`, where a number stands for so many of the bytes, in their order.
 *
 * Baileys' own coding takes every text with an `@` for an address: a sender whose name is `me@` makes bytes that nobody can
 * read again, and `Ada_1 @ home` comes back as another name; and it takes twice as long. Stanzas of earlier releases are in
 * that form, and begin with 0 or 2.
 */
import { type BinaryNode, decodeBinaryNode } from '@whiskeysockets/baileys'

const FORM = 1
const HEAD = 5

type Written = [tag: string, attrs: BinaryNode['attrs'], content?: string | number | Written[]]

/** Throws for a content that no stanza has. */
export function stanzaBytes(node: BinaryNode): Buffer {
  const pieces: Uint8Array[] = []
  const written = (one: BinaryNode): Written => {
    const { tag, attrs, content } = one
    if (content === undefined || content === null) return [tag, attrs]
    if (typeof content === 'string') return [tag, attrs, content]
    if (Array.isArray(content)) return [tag, attrs, content.map(written)]
    if (!(content instanceof Uint8Array)) throw new TypeError('A stanza holds text, bytes or stanzas')
    pieces.push(content)
    return [tag, attrs, content.length]
  }
  const json = Buffer.from(JSON.stringify(written(node)))
  const head = Buffer.alloc(HEAD)
  head[0] = FORM
  head.writeUInt32BE(json.length, 1)
  return Buffer.concat([head, json, ...pieces])
}

/** Reads both forms; rejects when it is neither. */
export async function stanzaOf(stanza: Uint8Array): Promise<BinaryNode> {
  return presentForm(stanza) ?? decodeBinaryNode(Buffer.from(stanza))
}

/** Reads the present form, or null for another; throws for one that is cut off. */
export function presentForm(stanza: Uint8Array): BinaryNode | null {
  const bytes = Buffer.from(stanza.buffer, stanza.byteOffset, stanza.byteLength)
  if (bytes[0] !== FORM) return null
  let at = HEAD + bytes.readUInt32BE(1)
  const read = ([tag, attrs, content]: Written): BinaryNode => {
    if (content === undefined) return { tag, attrs }
    if (typeof content === 'string') return { tag, attrs, content }
    if (typeof content !== 'number') return { tag, attrs, content: content.map(read) }
    at += content
    if (at > bytes.length) throw new RangeError('A stanza ends too early')
    return { tag, attrs, content: Buffer.from(bytes.subarray(at - content, at)) }
  }
  return read(JSON.parse(bytes.toString('utf8', HEAD, at)) as Written)
}
