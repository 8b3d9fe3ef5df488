/** Stock Baileys meets one frame that does not decrypt; run as a process of its own, because it ends it. */
import { initAuthCreds, makeWASocket, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { createSandboxServer } from '../../../src/sandbox/server'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { surviveRejections } from '../../../src/whatsapp/baileys/upstream/unhandled-rejections'
import { memoryKeys } from './memory-keys'

const guard = process.argv.includes('--guarded') ? surviveRejections(silentLog) : null
const server = createSandboxServer()

/** Far more than a frame needs on the slowest machine. */
const PATIENCE_MS = 4_000

async function main(): Promise<void> {
  await server.start()
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(server.rootPublicKey, 'hex')
  const sock = makeWASocket({
    auth: { creds: initAuthCreds(), keys: memoryKeys() },
    logger: baileysLogger(silentLog),
    waWebSocketUrl: server.url,
  })
  sock.ev.on('connection.update', ({ qr }) => {
    if (!qr) return
    server.faults.add({ kind: 'corrupt_frame', all: true })
    const until = Date.now() + PATIENCE_MS
    setInterval(() => {
      // With the guard the frame is counted; without it nobody comes this far.
      if ((guard?.survived ?? 0) === 0 && Date.now() < until) return
      console.log(`survived ${guard?.survived ?? 0}`)
      process.exit(0)
    }, 10)
  })
}
void main()
