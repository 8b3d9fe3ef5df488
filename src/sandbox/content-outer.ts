/** What of a message the server sees: attributes and children in the clear that tell what kind of message passes. */
import { type BinaryNode, getContentType, normalizeMessageContent, type proto } from '@whiskeysockets/baileys'
import { PROTOCOL } from './content-shape'
import { node } from './node'

export type OuterAttributes = {
  stanza: Record<string, string>
  enc: Record<string, string>
  /** Children beside the encrypted parts. */
  children: BinaryNode[]
}

/** `mediatype` by the field in which the content travels; its stanza is of type `media`. */
const MEDIATYPES: Record<string, (message: proto.IMessage) => string | null> = {
  imageMessage: () => 'image',
  videoMessage: ({ videoMessage }) => (videoMessage?.gifPlayback ? 'gif' : 'video'),
  ptvMessage: () => 'ptv',
  audioMessage: ({ audioMessage }) => (audioMessage?.ptt ? 'ptt' : 'audio'),
  documentMessage: () => 'document',
  stickerMessage: () => 'sticker',
  locationMessage: () => 'location',
  liveLocationMessage: () => 'livelocation',
  contactMessage: () => 'vcard',
  contactsArrayMessage: () => 'contact_array',
  extendedTextMessage: ({ extendedTextMessage }) => (extendedTextMessage?.title ? 'url' : null),
  groupInviteMessage: () => 'url',
  listMessage: () => 'list',
  listResponseMessage: () => 'list_response',
  buttonsResponseMessage: () => 'buttons_response',
  interactiveResponseMessage: () => 'native_flow_response',
  productMessage: () => 'product',
}

const POLLS = [
  'pollCreationMessage',
  'pollCreationMessageV2',
  'pollCreationMessageV3',
  'pollCreationMessageV5',
]
const TYPES: Record<string, string> = {
  reactionMessage: 'reaction',
  encReactionMessage: 'reaction',
  pollUpdateMessage: 'poll',
  eventMessage: 'event',
  encEventResponseMessage: 'event',
  ...Object.fromEntries(POLLS.map((field) => [field, 'poll'])),
}
const CHILDREN: Record<string, BinaryNode> = {
  ...Object.fromEntries(POLLS.map((field) => [field, node('meta', { polltype: 'creation' })])),
  pollUpdateMessage: node('meta', { polltype: 'vote' }),
  eventMessage: node('meta', { event_type: 'creation' }),
  encEventResponseMessage: node('meta', { event_type: 'response' }),
  buttonsMessage: node('biz', {}, [node('buttons')]),
  listMessage: node('biz', {}, [node('list', { type: 'product_list', v: '2' })]),
  interactiveMessage: node('biz', {}, [
    node('interactive', { type: 'native_flow', v: '1' }, [node('native_flow', { name: 'mixed', v: '1' })]),
  ]),
}

/** Which earlier message is touched and how: 1 edit, 2 pin, 7 taken back by its author, 8 by an admin. */
function editOf(message: proto.IMessage): string | null {
  const { protocolMessage } = message
  if (protocolMessage?.type === PROTOCOL.edit) return '1'
  if (message.pinInChatMessage) return '2'
  // The number is 0, which protobuf leaves out.
  if (!protocolMessage || (protocolMessage.type ?? PROTOCOL.revoke) !== PROTOCOL.revoke) return null
  const { fromMe, remoteJid } = protocolMessage.key ?? {}
  return !fromMe && remoteJid?.endsWith('@g.us') ? '8' : '7'
}

/** Silent when it cannot be read: a reader would not miss what it never showed. */
const HIDDEN = ['reactionMessage', 'encReactionMessage', 'pollUpdateMessage']

/** Whether a file in it can be opened once. */
export function isOpenedOnce(message: proto.IMessage): boolean {
  const { viewOnceMessage, viewOnceMessageV2, viewOnceMessageV2Extension, ephemeralMessage } = message
  if (viewOnceMessage || viewOnceMessageV2 || viewOnceMessageV2Extension) return true
  return ephemeralMessage?.message ? isOpenedOnce(ephemeralMessage.message) : false
}

export function outerAttributes(message: proto.IMessage): OuterAttributes {
  const inner = normalizeMessageContent(message) ?? {}
  const kind = getContentType(inner) ?? ''
  const mediatype = MEDIATYPES[kind]?.(inner) ?? null
  const edit = editOf(inner)
  const about = CHILDREN[kind]
  const withheld = isOpenedOnce(message) ? [node('unavailable', { type: 'view_once' })] : []
  return {
    stanza: {
      type: TYPES[kind] ?? (mediatype === null ? 'text' : 'media'),
      ...(edit === null ? {} : { edit }),
    },
    enc: {
      ...(mediatype === null ? {} : { mediatype }),
      ...(edit !== null || HIDDEN.includes(kind) ? { 'decrypt-fail': 'hide' } : {}),
    },
    children: [...(about ? [about] : []), ...withheld],
  }
}
