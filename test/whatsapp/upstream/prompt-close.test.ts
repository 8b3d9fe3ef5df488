import { afterAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { initAuthCreds, makeWASocket } from '@whiskeysockets/baileys'
import { systemClock } from '../../../src/lib/clock'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { closePromptly } from '../../../src/whatsapp/baileys/upstream/prompt-close'
import { rawSocketOf } from '../../../src/whatsapp/baileys/upstream/raw-socket'
import { memoryKeys } from '../support/memory-keys'

const servers: Server[] = []
const sockets: Socket[] = []
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
})

/** A server that upgrades and then neither reads nor answers: a dead path, as the client sees it. */
async function blackHole(): Promise<string> {
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.once('data', (request) => {
      const key = /sec-websocket-key: (.*)\r\n/i.exec(request.toString())?.[1] ?? ''
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
      socket.pause()
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return `ws://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`
}

async function connected() {
  const sock = makeWASocket({
    auth: { creds: initAuthCreds(), keys: memoryKeys() },
    logger: baileysLogger(silentLog),
    waWebSocketUrl: await blackHole(),
  })
  await sock.waitForSocketOpen()
  return sock
}

const winner = <T>(promises: Record<string, Promise<T>>): Promise<string> =>
  Promise.race(Object.entries(promises).map(([name, promise]) => promise.then(() => name)))

describe('ending on a dead path', () => {
  test('upstream: takes as long as the peer is silent', async () => {
    const sock = await connected()
    expect(await winner({ ended: Promise.resolve(sock.end(undefined)), patience: Bun.sleep(1_500) })).toBe(
      'patience',
    )
    rawSocketOf(sock.ws).terminate()
  })

  test('is told after a short goodbye', async () => {
    const sock = await connected()
    closePromptly(sock.ws, rawSocketOf(sock.ws), systemClock)
    const closed = new Promise((resolve) =>
      sock.ev.on('connection.update', ({ connection }) => connection === 'close' && resolve(null)),
    )
    void sock.end(undefined)
    expect(await winner({ closed, patience: Bun.sleep(1_500) })).toBe('closed')
  })
})
