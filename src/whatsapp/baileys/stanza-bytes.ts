/**
 * A stanza as bytes and back, exactly.
 *
 * Baileys' own coding takes every text with an `@` for an address: a sender whose name is `me@` makes bytes that nobody can
 * read again, and `Ada_1 @ home` comes back as another name. Such texts are written without their `@`.
 */
import { type BinaryNode, decodeBinaryNode, encodeBinaryNode } from '@whiskeysockets/baileys'

/** Addresses that come back as they are. */
const ADDRESS = /^[^\s:_@]+(?::[1-9]\d?)?@[a-z][a-z.]*$/
const MARK = '\u0002'
const [AT, ESCAPE] = ['\u0001a', '\u0001e']

const written = (text: string): string =>
  text.startsWith(MARK) || (text.includes('@') && !ADDRESS.test(text))
    ? MARK + text.replace(/[\u0001@]/g, (char) => (char === '@' ? AT : ESCAPE))
    : text

const read = (text: string): string =>
  text.startsWith(MARK)
    ? text.slice(MARK.length).replace(/\u0001[ae]/g, (pair) => (pair === AT ? '@' : '\u0001'))
    : text

function withTexts(node: BinaryNode, change: (text: string) => string): BinaryNode {
  const attrs: BinaryNode['attrs'] = {}
  for (const [name, value] of Object.entries(node.attrs)) {
    attrs[change(name)] = typeof value === 'string' ? change(value) : value
  }
  const content = contentWith(node.content, change)
  return { tag: change(node.tag), attrs, ...(content === undefined ? {} : { content }) }
}

function contentWith(
  content: BinaryNode['content'],
  change: (text: string) => string,
): BinaryNode['content'] {
  if (Array.isArray(content)) return content.map((inner) => withTexts(inner, change))
  // A text inside a node is read as bytes; only an address or a word of the dictionary as a text.
  if (typeof content === 'string' && change(content) !== content) return Buffer.from(content)
  return content
}

/** Throws when the node cannot be written. */
export const stanzaBytes = (node: BinaryNode): Uint8Array => encodeBinaryNode(withTexts(node, written))

/** Rejects when the bytes are no stanza. */
export const stanzaOf = async (bytes: Uint8Array): Promise<BinaryNode> =>
  withTexts(await decodeBinaryNode(Buffer.from(bytes)), read)
