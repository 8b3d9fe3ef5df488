/**
 * A linked client in a process of its own that takes 100 MB from its disk to WhatsApp and back and tells its memory. Reads the sandbox's
 * places from its standard input; prints a QR text, then the figures.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proto, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { asJid, asTenantId } from '../../../src/domain/ids'
import type { Bytes } from '../../../src/domain/media'
import { systemClock } from '../../../src/lib/clock'
import { silentLog } from '../../../src/lib/log'
import { openStorage } from '../../../src/storage/open'
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

const directory = mkdtempSync(join(tmpdir(), 'wabun-media-'))
const storage = openStorage({
  file: join(directory, 'wabun.db'),
  masterKey: randomBytes(32),
  clock: systemClock,
  sync: 'full',
  log: silentLog,
})
const ABOUT = {
  tenantId: asTenantId('tenant'),
  sessionId: null,
  messageId: null,
  mimetype: 'application/pdf',
  filename: null,
  maxBytes: 100 * MIB,
  expiresAt: null,
}

async function* megabytes(count: number): Bytes {
  const piece = randomBytes(MIB)
  for (let n = 0; n < count; n += 1) {
    piece.writeUInt32BE(n, 0)
    yield piece
  }
}

/** The most memory that `work` takes beyond what was taken before, in MiB. */
async function memoryOf<T>(work: () => Promise<T>): Promise<[T, number]> {
  Bun.gc(true)
  const before = process.memoryUsage.rss()
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }, 2)
  const result = await work()
  clearInterval(watch)
  return [result, most / MIB]
}

/** From our disk to WhatsApp, and from WhatsApp to our disk. */
async function bothWays(count: number) {
  const { media } = storage
  const kept = await media.keep(megabytes(count), ABOUT)
  const [pointer, uploadMib] = await memoryOf(() =>
    transfer.upload({ kind: 'document', size: kept.size, open: () => media.read(kept.id) }),
  )
  const raw = proto.Message.encode({ documentMessage: pointer }).finish()
  const message = { id: 'X', chat: asJid('1@s.whatsapp.net'), fromMe: true, sender: null, raw }
  const [got, downloadMib] = await memoryOf(() =>
    media.keep(transfer.download({ ...message, maxBytes: count * MIB }), ABOUT),
  )
  const same = Buffer.from(got.sha256).equals(kept.sha256) && got.size === count * MIB
  return { same, uploadMib, downloadMib }
}

await bothWays(2)
process.stdout.write(`${JSON.stringify(await bothWays(100))}\n`)
await client.close()
await storage.close()
rmSync(directory, { recursive: true })
process.exit(0)
