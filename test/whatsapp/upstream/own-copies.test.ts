import { describe, expect, test } from 'bun:test'
import { decryptMessageNode, proto, unpadRandomMax16, writeRandomPadMax16 } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { withOwnEnvelope } from '../../../src/whatsapp/baileys/upstream/own-copies'

const secret = Buffer.alloc(32, 7)
const padded = (message: proto.IMessage) =>
  writeRandomPadMax16(proto.Message.encode(proto.Message.fromObject(message)).finish())
const copy = (inner: proto.IMessage) =>
  padded({
    deviceSentMessage: { destinationJid: '5@lid', message: inner },
    messageContextInfo: { messageSecret: secret },
  })

/** What Baileys makes of a copy whose plaintext is this. */
async function read(plaintext: Uint8Array): Promise<proto.IMessage | null | undefined> {
  const from = '100:1@lid'
  const stanza = {
    tag: 'message',
    attrs: { id: 'A', from, recipient: '5@lid', t: '1', addressing_mode: 'lid' },
    content: [{ tag: 'enc', attrs: { v: '2', type: 'msg' }, content: Buffer.from('x') }],
  }
  const repository = { decryptMessage: async () => plaintext, lidMapping: { getLIDForPN: async () => null } }
  const me = '491@s.whatsapp.net'
  const { fullMessage, decrypt } = decryptMessageNode(
    stanza,
    me,
    '100@lid',
    repository as never,
    baileysLogger(silentLog),
  )
  await decrypt()
  return fullMessage.message
}

describe('copies of what our other devices send', () => {
  test('upstream: Baileys loses the envelope, and with it the secret', async () => {
    const message = await read(copy({ pollCreationMessageV3: { name: '?' } }))
    expect(message?.pollCreationMessageV3?.name).toBe('?')
    expect(message?.messageContextInfo?.messageSecret ?? null).toBeNull()
  })

  test('with the repair the secret is where Baileys leaves it', async () => {
    const message = await read(withOwnEnvelope(copy({ pollCreationMessageV3: { name: '?' } })))
    expect(Buffer.from(message?.messageContextInfo?.messageSecret ?? [])).toEqual(secret)
  })

  test('what the inside says of itself counts more; other messages pass as they are', () => {
    const inside = { conversation: 'x', messageContextInfo: { messageSecret: Buffer.alloc(32, 9) } }
    const kept = proto.Message.decode(unpadRandomMax16(withOwnEnvelope(copy(inside))))
    const found = kept.deviceSentMessage?.message?.messageContextInfo?.messageSecret
    expect(Buffer.from(found ?? [])).toEqual(Buffer.alloc(32, 9))
    const plain = padded({ conversation: 'x', messageContextInfo: { messageSecret: secret } })
    expect(withOwnEnvelope(plain)).toBe(plain)
  })
})
