/**
 * What a message says, as one blob: notes as small JSON, then the encoded protobuf, packed together.
 *
 * Before packing: `length of the notes (varint) | notes | raw`. The words of a text message stand in its protobuf already,
 * so the notes only point at them. Sealed when the session asks for it; a first byte of 0 marks a blob that is not
 * sealed, which is not packed either: whoever wants it readable shall be able to read it. The second byte tells how the
 * rest is packed; of a blob that is not, it is the length of the notes, which are never shorter than two bytes.
 */
import type { Content, ContentOf, MessageType } from '../domain/content'
import type { Message, MessageContext, Quote } from '../domain/message'
import { createPacker } from './pack'

export type Body = Pick<Message, 'content' | 'senderName' | 'mentions' | 'quoted' | 'context' | 'raw'>

type Notes = {
  /** Content without its type. */
  c?: Record<string, unknown>
  /** Where the text stands in `raw`: offset and length in bytes. */
  t?: [number, number]
  /** Content beside the text, when `t` tells that. */
  o?: Record<string, unknown>
  n?: string
  m?: string[]
  q?: Quote
  x?: MessageContext
}

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
  buttons: { type: 'buttons', text: '', buttons: [] },
  list: { type: 'list', text: '', buttonText: '', sections: [] },
  choice: { type: 'choice', id: '', text: '' },
  product: { type: 'product', productId: '', title: '' },
  invite: { type: 'invite', groupId: '', subject: '', code: '' },
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

/** How the rest of a blob is packed. */
const NOTES_PACKED = 0
const ALL_PACKED = 1

/** Longer ones hold a file's thumbnail or a long text, of which packing saves little and costs much. */
const LONGEST_PACKED = 1_024

/** Never to be changed: what is on disk was packed with it. */
const notesPacker = createPacker(
  '"footer":"","title":"","url":"https://","price":,"currency":"","productId":"","contacts":[{"fullName":"","phoneNumber":"","vcard":"BEGIN:VCARD\\nVERSION:3.0\\nN:;;;\\nFN:\\nTEL;type=CELL;type=VOICE;waid=:+\\nEND:VCARD"}]},"latitude":,"longitude":,"address":"","question":"","options":["",""],"selectable":1}{"c":{"ptt":true,"media":{"mimetype":"audio/ogg; codecs=opus","size":,"seconds":,"waveform":[0,0,{"c":{"caption":"","media":{"mimetype":"application/pdf","size":,"filename":".pdf"}}{"c":{"media":{"mimetype":"image/webp","size":,"width":512,"height":512}{"c":{"caption":"","media":{"mimetype":"video/mp4","size":,"seconds":,"width":1280,"height":720}}{"c":{"caption":"","media":{"mimetype":"image/jpeg","size":,"width":1600,"height":1200}},"targetMessageId":"3EB0","emoji":"❤️","emoji":"👍","m":["@s.whatsapp.net","@lid"],"q":{"messageId":"3EB0","from":"49","text":"","x":{"disappearingSeconds":604800,"mentionsAll":true,"forwardingScore":1,"albumId":"3EB0"},"o":{"linkPreview":{"url":"https://","title":"","description":""}},{"t":[2,45],"n":"',
)

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function readVarint(bytes: Uint8Array, from: number): { value: number; next: number } {
  let value = 0
  for (let at = from, shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return { value, next: at }
  }
}

function notesOf(body: Body, raw: Uint8Array): Notes {
  const notes: Notes = {}
  const { type: _, ...fields } = body.content
  const words = body.content.type === 'text' && raw.length > 0 ? Buffer.from(body.content.text) : null
  const at = words ? Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).indexOf(words) : -1
  // Text that is no valid Unicode does not come back from bytes.
  if (words && at >= 0 && body.content.type === 'text' && words.toString() === body.content.text) {
    notes.t = [at, words.length]
    const { text: __, ...beside } = fields as { text: string }
    if (Object.keys(beside).length > 0) notes.o = beside
  } else {
    notes.c = fields
  }
  if (body.senderName !== null) notes.n = body.senderName
  if (body.mentions.length > 0) notes.m = body.mentions
  if (body.quoted) notes.q = body.quoted
  if (Object.keys(body.context).length > 0) notes.x = body.context
  return notes
}

/** Encodes a body behind one byte that says `PLAIN`. */
export function encodeBody(body: Body, packed: boolean): Uint8Array {
  const raw = body.raw ?? new Uint8Array()
  const json = Buffer.from(JSON.stringify(notesOf(body, raw)))
  if (!packed) return Buffer.concat([Uint8Array.of(PLAIN, ...varint(json.length)), json, raw])
  if (json.length + raw.length <= LONGEST_PACKED) {
    const whole = Buffer.concat([Uint8Array.from(varint(json.length)), json, raw])
    return Buffer.concat([Uint8Array.of(PLAIN, ALL_PACKED), notesPacker.pack(whole)])
  }
  const notes = notesPacker.pack(json)
  return Buffer.concat([Uint8Array.of(PLAIN, NOTES_PACKED, ...varint(notes.length)), notes, raw])
}

/** Notes and raw of a blob, whichever way they were packed. */
function partsOf(bytes: Buffer): { notes: Buffer; raw: Buffer } {
  const packing = bytes[1]
  if (packing === NOTES_PACKED) {
    const { value, next } = readVarint(bytes, 2)
    return {
      notes: Buffer.from(notesPacker.unpack(bytes.subarray(next, next + value))),
      raw: bytes.subarray(next + value),
    }
  }
  const whole =
    packing === ALL_PACKED ? Buffer.from(notesPacker.unpack(bytes.subarray(2))) : bytes.subarray(1)
  const { value, next } = readVarint(whole, 0)
  return { notes: whole.subarray(next, next + value), raw: whole.subarray(next + value) }
}

/** Reads what `encodeBody` has made, again with its first byte. */
export function decodeBody(type: MessageType, blob: Uint8Array): Body {
  const parts = partsOf(Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength))
  const notes = JSON.parse(parts.notes.toString('utf8')) as Notes
  const { raw } = parts
  const fields = notes.t
    ? { text: raw.toString('utf8', notes.t[0], notes.t[0] + notes.t[1]), ...notes.o }
    : notes.c
  return {
    // The fields are those that `encodeBody` took from a content of this very type.
    content: { type, ...fields } as Content,
    senderName: notes.n ?? null,
    mentions: notes.m ?? [],
    quoted: notes.q ?? null,
    context: notes.x ?? {},
    raw: raw.length > 0 ? new Uint8Array(raw) : null,
  }
}
