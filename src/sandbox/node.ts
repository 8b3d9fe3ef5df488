/** Small words for reading and building stanzas. */
import type { BinaryNode } from '@whiskeysockets/baileys'

export type Attrs = Record<string, string | undefined>

/** WhatsApp's own address. Clients compare it literally, with the empty user in front of the `@`. */
export const SERVER = '@s.whatsapp.net'

/** Builds a stanza; undefined attributes are left out, text content becomes bytes (never a token). */
export function node(
  tag: string,
  attrs: Attrs = {},
  content?: BinaryNode[] | Uint8Array | string,
): BinaryNode {
  const kept: Record<string, string> = {}
  for (const key in attrs) {
    const value = attrs[key]
    if (value !== undefined) kept[key] = value
  }
  if (content === undefined) return { tag, attrs: kept }
  return { tag, attrs: kept, content: typeof content === 'string' ? Buffer.from(content) : content }
}

/** All child stanzas, or those with the given tag. */
export function children(parent: BinaryNode | undefined, tag?: string): BinaryNode[] {
  if (!Array.isArray(parent?.content)) return []
  return tag === undefined ? parent.content : parent.content.filter((item) => item.tag === tag)
}

/** The first child, or the first with the given tag. */
export function child(parent: BinaryNode | undefined, tag?: string): BinaryNode | undefined {
  if (!Array.isArray(parent?.content)) return undefined
  return tag === undefined ? parent.content[0] : parent.content.find((item) => item.tag === tag)
}

/** A stanza's own bytes; text counts as UTF-8. Undefined for none and for a list of children. */
export function bytesOf(item: BinaryNode | undefined): Buffer | undefined {
  const content = item?.content
  if (content === undefined || Array.isArray(content)) return undefined
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
}

/** The bytes of a child. */
export const childBytes = (parent: BinaryNode | undefined, tag: string): Buffer | undefined =>
  bytesOf(child(parent, tag))

/** The text of a child. */
export const childText = (parent: BinaryNode | undefined, tag: string): string | undefined =>
  childBytes(parent, tag)?.toString()

/** A big-endian number as keys and registrations carry it. */
export const readNumber = (bytes: Buffer): number =>
  bytes.length === 0 ? 0 : bytes.readUIntBE(0, bytes.length)

/** The reverse of `readNumber`. */
export function writeNumber(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeUIntBE(value, 0, size)
  return bytes
}

/** The successful answer to an `iq`. */
export const result = (request: BinaryNode, content?: BinaryNode[], attrs: Attrs = {}): BinaryNode =>
  node('iq', { from: request.attrs.to ?? SERVER, type: 'result', id: request.attrs.id, ...attrs }, content)
