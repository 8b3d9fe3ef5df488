import { expect, test } from 'bun:test'
import { proto } from '@whiskeysockets/baileys'
import { readContent } from '../../../src/whatsapp/baileys/content/read'
import { reworded } from '../../../src/whatsapp/baileys/content/reword'

const file = { mediaKey: new Uint8Array([1, 2]), directPath: '/v/x', mimetype: 'image/png', fileLength: 3 }
const secret = { messageSecret: new Uint8Array(32).fill(3) }

const CASES: [what: string, message: proto.IMessage, field: string][] = [
  ['bare words', { conversation: 'old' }, 'text'],
  [
    'words with a card',
    {
      extendedTextMessage: {
        text: 'https://a.b',
        matchedText: 'https://a.b',
        title: 'A',
        contextInfo: { isForwarded: true },
      },
    },
    'text',
  ],
  ['a picture', { imageMessage: { ...file, caption: 'old' } }, 'caption'],
  [
    'a film that can be seen once',
    { viewOnceMessageV2: { message: { videoMessage: { ...file, caption: 'old' } } } },
    'caption',
  ],
  [
    'a paper',
    { documentWithCaptionMessage: { message: { documentMessage: { ...file, caption: 'old' } } } },
    'caption',
  ],
  [
    'what vanishes',
    { ephemeralMessage: { message: { conversation: 'old' } }, messageContextInfo: secret },
    'text',
  ],
]

test.each(CASES)('%s: other words, everything else as it was', (_, message, field) => {
  const before = proto.Message.encode(message).finish()
  const after = reworded(before, 'new words')
  if (!after) throw new Error('nothing was reworded')
  const read = (raw: Uint8Array) => readContent(proto.Message.decode(raw))
  const [was, is] = [read(before), read(after)]
  const { linkPreview: _card, ...old } = { linkPreview: null, ...was?.content }
  expect(is).toEqual({ ...was, content: { ...old, [field]: 'new words' } } as typeof is)
  const keys = (raw: Uint8Array) =>
    JSON.stringify(proto.Message.decode(raw).toJSON()).match(/"mediaKey":"[^"]*"/)
  expect(keys(after)).toEqual(keys(before))
})

test('what has no words is left alone', () => {
  expect(reworded(proto.Message.encode({ locationMessage: { degreesLatitude: 1 } }).finish(), 'x')).toBeNull()
  expect(reworded(new Uint8Array([0xff, 0xff, 0xff]), 'x')).toBeNull()
})
