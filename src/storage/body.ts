/**
 * What a message says, as one blob: small JSON, then the encoded protobuf.
 *
 * `length of the JSON (varint) | JSON | raw`. The words of a text message stand in its protobuf already, so the JSON
 * only points at them. Sealed when the session asks for it; a first byte of 0 marks a blob that is not sealed.
 */
import type { Content, MessageType } from '../domain/content'
import type { Message, Quote } from '../domain/message'

type Body = Pick<Message, 'content' | 'senderName' | 'mentions' | 'quoted' | 'raw'>

type Notes = {
  /** Content without its type. */
  c?: Record<string, unknown>
  /** Where the text stands in `raw`: offset and length in bytes. */
  t?: [number, number]
  n?: string
  m?: string[]
  q?: Quote
}

/** What is shown of a message whose content is not kept. */
const BLANK: { [T in MessageType]: Extract<Content, { type: T }> } = {
  text: { type: 'text', text: '' },
  image: { type: 'image', media: { mimetype: null, size: null } },
  video: { type: 'video', media: { mimetype: null, size: null } },
  audio: { type: 'audio', ptt: false, media: { mimetype: null, size: null } },
  document: { type: 'document', media: { mimetype: null, size: null } },
  sticker: { type: 'sticker', media: { mimetype: null, size: null } },
  location: { type: 'location', latitude: 0, longitude: 0 },
  contact: { type: 'contact', contacts: [] },
  poll: { type: 'poll', question: '', options: [], selectable: 0 },
  reaction: { type: 'reaction', emoji: '', targetMessageId: '' },
  unknown: { type: 'unknown', kind: '' },
}

/** The body of a message without its content. */
export const blankBody = (type: MessageType): Body => ({
  content: BLANK[type],
  senderName: null,
  mentions: [],
  quoted: null,
  raw: null,
})

/** Marks a blob that is not sealed; sealed ones begin with their version, which is never 0. */
export const PLAIN = 0

/** Encodes a body behind one free byte, which the caller drops or sets to `PLAIN`. */
export function encodeBody(body: Body): Uint8Array {
  const notes: Notes = {}
  const { type: _, ...fields } = body.content
  const raw = body.raw ?? new Uint8Array()
  const words = body.content.type === 'text' && raw.length > 0 ? Buffer.from(body.content.text) : null
  const at = words ? Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).indexOf(words) : -1
  if (words && at >= 0 && words.toString() === Buffer.from(raw.subarray(at, at + words.length)).toString()) {
    notes.t = [at, words.length]
  } else {
    notes.c = fields
  }
  if (body.senderName !== null) notes.n = body.senderName
  if (body.mentions.length > 0) notes.m = body.mentions
  if (body.quoted) notes.q = body.quoted
  const json = Buffer.from(JSON.stringify(notes))
  const length: number[] = []
  for (let rest = json.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      length.push(rest)
      break
    }
    length.push((rest & 0x7f) | 0x80)
  }
  return Buffer.concat([Uint8Array.of(PLAIN, ...length), json, raw])
}

/** Reads what `encodeBody` has made, again with its free first byte. */
export function decodeBody(type: MessageType, blob: Uint8Array): Body {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  let at = 1
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const notes = JSON.parse(bytes.toString('utf8', at, at + length)) as Notes
  const raw = bytes.subarray(at + length)
  const fields = notes.t ? { text: raw.toString('utf8', notes.t[0], notes.t[0] + notes.t[1]) } : notes.c
  return {
    // The fields are those that `encodeBody` took from a content of this very type.
    content: { ...fields, type } as Content,
    senderName: notes.n ?? null,
    mentions: notes.m ?? [],
    quoted: notes.q ?? null,
    raw: raw.length > 0 ? new Uint8Array(raw) : null,
  }
}
