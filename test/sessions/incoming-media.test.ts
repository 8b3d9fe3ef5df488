/** Files of messages: kept ones given out, others fetched when asked for, or ahead; and what is done on messages. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Content } from '../../src/domain/content'
import { asMessageId, type SessionId } from '../../src/domain/ids'
import type { Bytes } from '../../src/domain/media'
import { MediaUnavailable, SendUnconfirmed } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { MEDIA_KEPT } from '../harness/media-desk'
import { createRig, type Rig } from './rig'
import { ADA, adaPhone, anIncoming } from './scripted-whatsapp'

let rig: Rig
let id: SessionId
beforeEach(async () => {
  rig = await createRig()
  id = await rig.link()
})
afterEach(() => rig.end())

const PICTURE: Content = {
  type: 'image',
  media: { mimetype: 'image/jpeg', size: 20, filename: '../cat.jpg' },
}
const heard = async (messageId: string, content: Content = PICTURE, also: object = {}) => {
  rig.whatsapp.last().message({ id: asMessageId(messageId), content, ...also })
  await settle()
}
const fetchFile = (messageId: string) => rig.supervisor.fetchFile(id, asMessageId(messageId))
type Failure = { code: string; details: Record<string, unknown> }
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: Failure) => error,
  )
const holding = (words: string): Bytes =>
  (async function* () {
    yield new TextEncoder().encode(words)
  })()
const failing = (error: Error): Bytes =>
  // biome-ignore lint/correctness/useYield: it fails before there is anything to yield.
  (async function* (): AsyncGenerator<Uint8Array> {
    throw error
  })()
const wordsOf = async (bytes: Bytes) => {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

describe('fetched when asked for', () => {
  test('once, however many ask, and kept; its type is that of its bytes', async () => {
    await heard('M1')
    let downloads = 0
    rig.whatsapp.downloads = () => {
      downloads += 1
      return holding('plain words, no picture')
    }
    const files = await Promise.all([fetchFile('M1'), fetchFile('M1'), fetchFile('M1')])
    files.push(await fetchFile('M1'))
    expect(downloads).toBe(1)
    expect(new Set(files.map((file) => file.id)).size).toBe(1)
    expect(files[0]).toMatchObject({ messageId: 'M1', expiresAt: rig.clock.now() + MEDIA_KEPT })
    expect(files[0]?.mimetype).not.toBe('image/jpeg')
    if (files[0]) expect(await wordsOf(rig.storage.media.read(files[0].id))).toBe('plain words, no picture')
  })

  test('what was kept is given out without a connection; the rest needs one', async () => {
    await heard('M1')
    await heard('M2')
    await fetchFile('M1')
    await rig.supervisor.command(id, 'stop')
    expect(await fetchFile('M1')).toMatchObject({ messageId: 'M1' })
    expect((await failure(fetchFile('M2'))).code).toBe('SESSION_NOT_CONNECTED')
  })

  test('after its time it is fetched anew', async () => {
    await heard('M1')
    const first = await fetchFile('M1')
    await rig.clock.advance(0)
    rig.clock.jump(MEDIA_KEPT + 1)
    expect((await fetchFile('M1')).id).not.toBe(first.id)
  })

  test('what cannot be had says why, and the next who asks tries again', async () => {
    await heard('M1')
    rig.whatsapp.downloads = () => failing(new MediaUnavailable('expired', 'gone from the media host'))
    expect(await failure(fetchFile('M1'))).toMatchObject({
      code: 'MEDIA_UNAVAILABLE',
      details: { reason: 'expired' },
    })
    rig.whatsapp.downloads = () => failing(new SendUnconfirmed('the line broke'))
    expect((await failure(fetchFile('M1'))).code).toBe('SESSION_NOT_CONNECTED')
    rig.whatsapp.downloads = () => holding('here')
    expect((await fetchFile('M1')).size).toBe(4)
  })

  test('messages without a file, without content, or that do not exist', async () => {
    await heard('TEXT', { type: 'text', text: 'hi' })
    expect((await failure(fetchFile('TEXT'))).code).toBe('MEDIA_NOT_FOUND')
    expect((await failure(fetchFile('NOPE'))).code).toBe('MESSAGE_NOT_FOUND')
    await heard('GONE')
    await heard('DELETE', { type: 'delete', targetMessageId: 'GONE' })
    expect((await failure(fetchFile('GONE'))).code).toBe('MEDIA_NOT_FOUND')
  })
})

describe('fetched ahead', () => {
  test('where the session’s settings say so; a failure is nobody’s trouble', async () => {
    await rig.supervisor.update(id, { settings: { downloadMedia: true } })
    await heard('M1')
    const kept = () => rig.storage.media.ofMessage(id, asMessageId('M1'))
    for (let turn = 0; turn < 1_000 && !kept(); turn += 1) await Bun.sleep(1)
    expect(kept()).not.toBeNull()
    rig.whatsapp.downloads = () => failing(new MediaUnavailable('expired', 'gone'))
    await heard('M2')
    await heard('M3', { type: 'text', text: 'still here' })
    expect(rig.storage.messages.get(id, 'M3')).not.toBeNull()
    rig.whatsapp.downloads = () => holding('back')
    expect((await fetchFile('M2')).size).toBe(4)
  })

  test('and not otherwise, nor what the phone hands over of old times', async () => {
    let downloads = 0
    rig.whatsapp.downloads = () => {
      downloads += 1
      return holding('x')
    }
    await heard('M1')
    await rig.supervisor.update(id, { settings: { downloadMedia: true } })
    const old = anIncoming({ id: asMessageId('OLD'), content: PICTURE })
    rig.whatsapp.last().report({ kind: 'history', chats: 1, contacts: 0, messages: [old], progress: 100 })
    await settle()
    expect(rig.storage.messages.get(id, 'OLD')).toMatchObject({ history: true })
    expect(downloads).toBe(0)
  })
})

describe('on messages', () => {
  test('a star is set at WhatsApp, kept and told once', async () => {
    await heard('M1')
    await rig.supervisor.star(id, asMessageId('M1'), true)
    await rig.supervisor.star(id, asMessageId('M1'), true)
    expect(rig.whatsapp.last().deeds[0]).toEqual({ did: 'star', id: 'M1', starred: true })
    expect(rig.storage.messages.get(id, 'M1')?.afterlife.starred).toBe(true)
    expect(rig.events(id, 'message.starred')).toHaveLength(1)
    expect((await failure(rig.supervisor.star(id, asMessageId('NOPE'), true))).code).toBe('MESSAGE_NOT_FOUND')
  })

  test('messages of others are marked as read, each once, own ones passed over', async () => {
    await heard('M1')
    await heard('M2')
    const { message } = await rig.supervisor.send(id, { to: adaPhone, ask: { type: 'text', text: 'x' } })
    await rig.supervisor.markRead(id, [asMessageId('M1'), message.id, asMessageId('M2'), asMessageId('M1')])
    expect(rig.whatsapp.last().deeds).toEqual([{ did: 'read', ids: ['M1', 'M2'] }])
    await rig.supervisor.markRead(id, [message.id])
    expect(rig.whatsapp.last().deeds).toHaveLength(1)
  })

  test('presence goes to a chat or to all', async () => {
    await rig.supervisor.showPresence(id, ADA.lid, 'composing')
    await rig.supervisor.showPresence(id, null, 'available')
    expect(rig.whatsapp.last().deeds).toEqual([
      { did: 'presence', to: ADA.lid, presence: 'composing' },
      { did: 'presence', to: null, presence: 'available' },
    ])
  })

  test('none of it without a connection', async () => {
    await heard('M1')
    await rig.supervisor.command(id, 'stop')
    const attempts = [
      rig.supervisor.star(id, asMessageId('M1'), true),
      rig.supervisor.markRead(id, [asMessageId('M1')]),
      rig.supervisor.showPresence(id, null, 'available'),
    ]
    for (const attempt of attempts) expect((await failure(attempt)).code).toBe('SESSION_NOT_CONNECTED')
  })
})
