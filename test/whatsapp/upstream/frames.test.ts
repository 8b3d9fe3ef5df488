import { describe, expect, test } from 'bun:test'
import { EventEmitter } from 'node:events'
import { guardFrames, UNREADABLE_LIMIT } from '../../../src/whatsapp/baileys/upstream/frames'
import type { SocketEvents } from '../../../src/whatsapp/baileys/upstream/raw-socket'
import { settle } from '../../harness/clock'

/** An emitter that hands its data to a reader which takes its time with what is compressed. */
function reader() {
  const ws = Object.assign(new EventEmitter(), { isOpen: true, close: () => undefined }) as SocketEvents
  const read: string[] = []
  ws.on('message', async (data: string) => {
    if (data === 'corrupt') throw new Error('Unsupported state or unable to authenticate data')
    if (data.startsWith('compressed')) await settle()
    read.push(data)
    ws.emit('frame', data)
  })
  return { ws, read }
}

describe('frames', () => {
  test('upstream: a plain frame overtakes the compressed one before it', async () => {
    const { ws, read } = reader()
    ws.emit('message', 'compressed 1')
    ws.emit('message', 'plain 2')
    await settle()
    await settle()
    expect(read).toEqual(['plain 2', 'compressed 1'])
  })

  test('are read in order', async () => {
    const { ws, read } = reader()
    guardFrames(ws, { onUnreadable: () => undefined, onUseless: () => undefined })
    for (const data of ['compressed 1', 'plain 2', 'compressed 3', 'plain 4']) ws.emit('message', data)
    await settle()
    await settle()
    await settle()
    expect(read).toEqual(['compressed 1', 'plain 2', 'compressed 3', 'plain 4'])
  })

  test('a few unreadable ones are told; as many in a row as the limit end it, once', async () => {
    const { ws, read } = reader()
    const heard = { unreadable: 0, useless: 0 }
    guardFrames(ws, { onUnreadable: () => heard.unreadable++, onUseless: () => heard.useless++ })
    for (let round = 0; round < 2; round += 1) {
      for (let index = 1; index < UNREADABLE_LIMIT; index += 1) ws.emit('message', 'corrupt')
      ws.emit('message', 'fine')
    }
    await settle()
    expect(heard).toEqual({ unreadable: 2 * (UNREADABLE_LIMIT - 1), useless: 0 })
    expect(read).toEqual(['fine', 'fine'])
    for (let index = 0; index < UNREADABLE_LIMIT + 2; index += 1) ws.emit('message', 'corrupt')
    await settle()
    expect(heard.useless).toBe(1)
  })
})
