/**
 * A linked client in a process of its own that uploads and downloads 100 MB and tells its memory. Reads the sandbox's
 * places from its standard input; prints a QR text, then the figures.
 */
import { createHash, randomBytes } from 'node:crypto'
import { proto, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { asJid } from '../../../src/domain/ids'
import type { Bytes } from '../../../src/domain/media'
import { systemClock } from '../../../src/lib/clock'
import { silentLog } from '../../../src/lib/log'
import { guardFetch, type PlainFetch } from '../../../src/whatsapp/baileys/media-fetch'
import { createMediaTransfer } from '../../../src/whatsapp/baileys/media-transfer'
import { baileysClient } from '../../harness/sandbox'

type Places = { url: string; rootPublicKey: string; mediaHost: string; caPem: string }
const MIB = 1024 * 1024

let places: Places | null = null
for await (const line of console) {
  places = JSON.parse(line) as Places
  break
}
if (!places) throw new Error('no sandbox was named')
const { url, rootPublicKey, mediaHost, caPem } = places
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootPublicKey, 'hex')
const fetchMedia = guardFetch(fetch as PlainFetch, {
  url,
  rootKey: WA_CERT_DETAILS.PUBLIC_KEY,
  mediaHosts: [mediaHost],
  mediaCa: caPem,
})
const client = baileysClient({ url })
const qr = await client.showQr()
process.stdout.write(`${qr}\n`)
await client.until((event) => event.name === 'connection.update' && event.data.connection === 'open')

const transfer = createMediaTransfer({
  sock: client.sock,
  me: () => client.auth.creds.me?.id,
  fetch: fetchMedia,
  clock: systemClock,
  log: silentLog,
})

/** So many megabytes, the same ones each time they are opened. */
const source = (count: number) => {
  const seed = randomBytes(256 * 1024)
  return {
    kind: 'document' as const,
    size: count * MIB,
    async *open(): Bytes {
      for (let n = 0; n < count * 4; n += 1) {
        const piece = Buffer.from(seed)
        piece.writeUInt32BE(n, 0)
        yield piece
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}
const hashOf = async (bytes: Bytes): Promise<string> => {
  const hash = createHash('sha256')
  for await (const piece of bytes) hash.update(piece)
  return hash.digest('hex')
}
async function bothWays(count: number) {
  const file = source(count)
  let most = 0
  Bun.gc(true)
  let before = process.memoryUsage.rss()
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }, 2)
  const pointer = await transfer.upload(file)
  const uploadMib = most / MIB
  Bun.gc(true)
  before = process.memoryUsage.rss()
  most = 0
  const raw = proto.Message.encode({ documentMessage: pointer }).finish()
  const message = { id: 'X', chat: asJid('1@s.whatsapp.net'), fromMe: true, sender: null, raw }
  const got = await hashOf(transfer.download({ ...message, maxBytes: count * MIB }))
  clearInterval(watch)
  return { same: got === (await hashOf(file.open())), uploadMib, downloadMib: most / MIB }
}

await bothWays(2)
process.stdout.write(`${JSON.stringify(await bothWays(100))}\n`)
await client.close()
process.exit(0)
