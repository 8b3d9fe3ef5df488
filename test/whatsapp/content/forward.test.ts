import { describe, expect, test } from 'bun:test'
import { proto } from '@whiskeysockets/baileys'
import { isAction, type SendableContent } from '../../../src/domain/content'
import { asJid } from '../../../src/domain/ids'
import { earlierOf } from '../../../src/whatsapp/baileys/content/earlier'
import { forwarded } from '../../../src/whatsapp/baileys/content/forward'
import { attach, fileOf } from '../../../src/whatsapp/baileys/content/pointer'
import { readContent } from '../../../src/whatsapp/baileys/content/read'
import { writeContent } from '../../../src/whatsapp/baileys/content/write'
import { context } from '../support/world'
import { ALL, POLL, pointed, targetFor } from './samples'

const read = (raw: Uint8Array) => readContent(proto.Message.decode(raw))
const again = (raw: Uint8Array, given: Parameters<typeof context>[0] = {}) => forwarded(raw, context(given))
const isSentOn = ([, content]: [string, SendableContent]) =>
  content.type !== 'album' && !isAction(content) && !('viewOnce' in content && content.viewOnce)

describe('forwarding', () => {
  test.each(ALL.filter(isSentOn))('%s stays what it is and is marked, once more each time', (_, content) => {
    const raw = writeContent(
      content,
      context({
        mentions: [asJid('7@lid')],
        quoted: pointed(POLL, { id: 'QUOTED' }),
        extra: { disappearingSeconds: 60, albumId: 'ALBUM', mentionsAll: true },
      }),
    )
    const first = read(again(raw))
    if (content.type === 'location' && content.live) {
      const { latitude, longitude } = content
      expect(first?.content).toEqual({ type: 'location', latitude, longitude, caption: 'on my way' })
    } else expect(first?.content).toEqual(read(raw)?.content as never)
    expect(first).toMatchObject({ mentions: [], quoted: null, context: { forwardingScore: 1 } })
    expect(first?.context).toEqual({ forwardingScore: 1 })
    const second = read(again(again(raw), { extra: { disappearingSeconds: 90 } }))
    expect(second?.context).toEqual({ forwardingScore: 2, disappearingSeconds: 90 })
    const secret = (of: Uint8Array) => earlierOf(proto.Message.decode(of)).secret
    expect(secret(again(raw))).not.toEqual(secret(raw))
  })

  test.each(ALL.filter((sample) => !isSentOn(sample)))('%s cannot be sent on', (_, content) => {
    const raw = writeContent(content, context({ target: pointed(targetFor(content.type)) }))
    expect(() => again(raw)).toThrow('cannot be done')
  })

  test('a file is not uploaded again', () => {
    const pointer = {
      url: 'https://mmg.whatsapp.net/x',
      directPath: '/x',
      mediaKey: Buffer.alloc(32, 1),
      fileSha256: Buffer.alloc(32, 2),
      fileEncSha256: Buffer.alloc(32, 3),
      fileLength: 77,
      mediaKeyTimestamp: 1_700_000_000,
    }
    const image = writeContent({ type: 'image', media: { mimetype: null, size: 77 } }, context())
    expect(fileOf(again(attach(image, pointer)))?.pointer?.directPath).toBe('/x')
  })

  test('bare words and wrapped ones can be marked; the score ends where WhatsApp stops counting', () => {
    const encode = (message: proto.IMessage) =>
      proto.Message.encode(proto.Message.fromObject(message)).finish()
    expect(read(again(encode({ conversation: 'hi' })))?.content).toEqual({ type: 'text', text: 'hi' })
    const vanishing = encode({
      ephemeralMessage: {
        message: {
          extendedTextMessage: { text: 'hi', contextInfo: { forwardingScore: 127, expiration: 9 } },
        },
      },
    })
    expect(read(again(vanishing))?.context).toEqual({ forwardingScore: 127 })
    expect(() => again(encode({ orderMessage: { orderId: '1' } }))).toThrow('cannot be done')
  })
})
