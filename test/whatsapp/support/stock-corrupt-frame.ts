/** Stock Baileys meets one frame that does not decrypt; run as a process of its own, because it ends it. */
import { initAuthCreds, makeWASocket, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { createSandboxServer } from '../../../src/sandbox/server'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { surviveRejections } from '../../../src/whatsapp/baileys/upstream/unhandled-rejections'
import { memoryKeys } from './memory-keys'

const guard = process.argv.includes('--guarded') ? surviveRejections(silentLog) : null
const server = createSandboxServer()

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
    setTimeout(() => {
      console.log(`survived ${guard?.survived ?? 0}`)
      process.exit(0)
    }, 300)
  })
}
void main()
