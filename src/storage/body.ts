/**
 * What a message says, as one blob: what is known of it, then the encoded protobuf.
 *
 * `kind (1) | parts (1) | [offset, length of the text in raw] | [length, name] | [length, the rest as JSON] | raw`,
 * numbers as varints, each part only when its bit is set. The words of a text message stand in its protobuf already, so
 * they are pointed at. Sealed when the session asks for it; a blob that is not begins with 0 besides.
 *
 * Blobs of the first release have no `kind` but the length of their JSON, which is never less than two bytes.
 */
import type { Content, ContentOf, MessageType } from '../domain/content'
import type { Message, MessageContext, Quote } from '../domain/message'
import { readVarint, varint } from './varint'

export type Body = Pick<Message, 'content' | 'senderName' | 'mentions' | 'quoted' | 'context' | 'raw'>

/** What has no place of its own. */
type Rest = {
  /** Content without its type, or beside its text when that is pointed at. */
  c?: Record<string, unknown>
  m?: string[]
  q?: Quote
  x?: MessageContext
}
/** The notes of the first release: `t` points at the text. */
type FirstNotes = { c?: Record<string, unknown>; t?: [number, number]; n?: string; m?: string[]; q?: Quote }

const noFile = { mimetype: null, size: null }

/** What is shown of a message whose content is not kept. */
const BLANK: { [T in MessageType]: ContentOf<T> } = {
  text: { type: 'text', text: '' },
  image: { type: 'image', media: noFile },
  video: { type: 'video', media: noFile },
  audio: { type: 'audio', ptt: false, media: noFile },
  document: { type: 'document', media: noFile },
  sticker: { type: 'sticker', media: noFile },
  album: { type: 'album', images: 0, videos: 0 },
  location: { type: 'location', latitude: 0, longitude: 0 },
  contact: { type: 'contact', contacts: [] },
  poll: { type: 'poll', question: '', options: [], selectable: 0 },
  event: { type: 'event', name: '', startsAt: '' },
  reaction: { type: 'reaction', emoji: '', targetMessageId: '' },
  edit: { type: 'edit', text: '', targetMessageId: '' },
  delete: { type: 'delete', targetMessageId: '' },
  pin: { type: 'pin', targetMessageId: '', pinned: false },
  vote: { type: 'vote', targetMessageId: '', options: [] },
  rsvp: { type: 'rsvp', targetMessageId: '', response: 'maybe' },
  buttons: { type: 'buttons', text: '', buttons: [] },
  list: { type: 'list', text: '', buttonText: '', sections: [] },
  choice: { type: 'choice', choiceId: '', text: '' },
  product: { type: 'product', productId: '', title: '' },
  order: { type: 'order', orderId: '' },
  comment: { type: 'comment', text: '', targetMessageId: '' },
  invite: { type: 'invite', groupId: '', subject: '', inviteCode: '' },
  unknown: { type: 'unknown', kind: '' },
}

/** The body of a message without its content. */
export const blankBody = (type: MessageType): Body => ({
  content: BLANK[type],
  senderName: null,
  mentions: [],
  quoted: null,
  context: {},
  raw: null,
})

/** Marks a blob that is not sealed; sealed ones begin with their version, which is never 0. */
export const PLAIN = 0

/** The only kind so far; from 2 on a second byte is a length of the first release. */
const KIND = 1
const PART = { text: 1, name: 2, rest: 4 } as const

/** Reads a blob from front to back. */
function readerOf(bytes: Buffer, from: number) {
  let at = from
  const number = (): number => {
    const { value, next } = readVarint(bytes, at)
    at = next
    return value
  }
  const text = (length: number): string => {
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  return { number, text: () => text(number()), rest: () => bytes.subarray(at) }
}

/** Where the words of a text stand in its encoded form: offset and length in bytes. */
function wordsIn(content: Content, raw: Uint8Array): [number, number] | null {
  if (content.type !== 'text' || raw.length === 0) return null
  const words = Buffer.from(content.text)
  // Text that is no valid Unicode does not come back from bytes.
  if (words.toString() !== content.text) return null
  const at = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).indexOf(words)
  return at < 0 ? null : [at, words.length]
}

function restOf(body: Body, pointed: boolean): Rest {
  const rest: Rest = {}
  const { type: _, ...fields } = body.content
  const content: Record<string, unknown> = fields
  if (pointed) delete content.text
  if (Object.keys(content).length > 0) rest.c = content
  if (body.mentions.length > 0) rest.m = body.mentions
  if (body.quoted) rest.q = body.quoted
  if (Object.keys(body.context).length > 0) rest.x = body.context
  return rest
}

/** Encodes a body behind one byte that says `PLAIN`. */
export function encodeBody(body: Body): Uint8Array {
  const raw = body.raw ?? new Uint8Array()
  const at = wordsIn(body.content, raw)
  const name = body.senderName === null ? null : Buffer.from(body.senderName)
  const fields = restOf(body, at !== null)
  const rest = Object.keys(fields).length === 0 ? null : Buffer.from(JSON.stringify(fields))
  const parts = (at ? PART.text : 0) | (name ? PART.name : 0) | (rest ? PART.rest : 0)
  const head = [PLAIN, KIND, parts, ...(at ? [...varint(at[0]), ...varint(at[1])] : [])]
  const blob: Uint8Array[] = [Uint8Array.from(name ? [...head, ...varint(name.length)] : head)]
  if (name) blob.push(name)
  if (rest) blob.push(Uint8Array.from(varint(rest.length)), rest)
  blob.push(raw)
  return Buffer.concat(blob)
}

function firstBody(type: MessageType, bytes: Buffer): Body {
  const reader = readerOf(bytes, 1)
  const notes = JSON.parse(reader.text()) as FirstNotes
  const raw = reader.rest()
  const fields = notes.t ? { text: raw.toString('utf8', notes.t[0], notes.t[0] + notes.t[1]) } : notes.c
  return {
    content: { type, ...fields } as Content,
    senderName: notes.n ?? null,
    mentions: notes.m ?? [],
    quoted: notes.q ?? null,
    context: {},
    raw: rawOf(raw),
  }
}

const rawOf = (bytes: Uint8Array): Uint8Array | null => (bytes.length > 0 ? new Uint8Array(bytes) : null)

/** Reads what `encodeBody` has made, again with its first byte. */
export function decodeBody(type: MessageType, blob: Uint8Array): Body {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  if (bytes[1] !== KIND) return firstBody(type, bytes)
  const parts = bytes[2] ?? 0
  const reader = readerOf(bytes, 3)
  const at = (parts & PART.text) !== 0 ? ([reader.number(), reader.number()] as const) : null
  const senderName = (parts & PART.name) !== 0 ? reader.text() : null
  const rest = (parts & PART.rest) !== 0 ? (JSON.parse(reader.text()) as Rest) : {}
  const raw = reader.rest()
  const text = at && { text: raw.toString('utf8', at[0], at[0] + at[1]) }
  return {
    // The fields are those that `encodeBody` took from a content of this very type.
    content: { type, ...text, ...rest.c } as Content,
    senderName,
    mentions: rest.m ?? [],
    quoted: rest.q ?? null,
    context: rest.x ?? {},
    raw: rawOf(raw),
  }
}
