/**
 * The files of messages that wait: claimed when the message is accepted, uploaded at its turn, let go when it is given up.
 *
 * One file may belong to several messages (a bulk with the same picture, an upload that is used twice): it is uploaded once
 * as long as they wait together, and goes only with the last of them.
 */
import type { Fact, Ledger } from '../../domain/changes'
import { isChannel, type MessageId, type SessionId } from '../../domain/ids'
import type { FileId, MediaStore } from '../../domain/media'
import { type Connection, type MediaPointer, MediaUnavailable, type WhatsApp } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import { faultPoint } from '../../lib/fault-points'
import type { Log } from '../../lib/log'
import { createTurnstile } from '../turnstile'
import type { Entry } from './queue'
import type { Ready } from './turn'

/** Uploads of a session at the same time. */
const UPLOADS = 3

export type AttachmentsParts = {
  files: MediaStore
  whatsapp: Pick<WhatsApp, 'attach' | 'fileOf'>
  ledger: Ledger
  clock: Clock
  log: Log
  /** How long the files of messages are kept (ms). */
  keptMs: number
}

/** A message that is accepted with a file. */
export type Claim = { fileId: FileId; sessionId: SessionId; messageId: MessageId; expiresAt: number }

export interface Attachments {
  /** Makes files those of the messages that are being stored; call it in the turn of the event loop of their commit. */
  claim(claims: readonly Claim[]): Promise<void>
  /** A message with a file waits. */
  expect(fileId: FileId): void
  /** Uploads the file unless that was done; resolves with the complete message, which is on disk then. */
  place(connection: Connection, entry: Entry, ready: Ready): Promise<Uint8Array>
  /** The message does not wait any more; its file stays as long as files do. */
  release(entry: Pick<Entry, 'attachment'>): void
  /** The message is given up, and its file with it. */
  letGo(entry: Pick<Entry, 'attachment'>): void
}

/** A file lies at WhatsApp twice when a channel gets it as well: encrypted, and open. */
const placeName = (fileId: FileId, forChannel: boolean): string => `${fileId}${forChannel ? ' open' : ''}`

export function createAttachments(parts: AttachmentsParts): Attachments {
  const { files, whatsapp, ledger, clock, log } = parts
  const uploading = createTurnstile(UPLOADS)
  /** How many messages wait for each file. */
  const uses = new Map<FileId, number>()
  /** Where files lie at WhatsApp that others still wait for. */
  const pointers = new Map<string, Promise<MediaPointer>>()

  const claimOne = (fileId: FileId, claims: readonly Claim[]): Promise<void> => {
    const file = files.get(fileId)
    const [first] = claims
    // The message tells at its turn that its file is gone.
    if (!file || !first) return Promise.resolve()
    const needed = Math.max(...claims.map(({ expiresAt }) => expiresAt))
    const kept = Math.max(needed, clock.now() + parts.keptMs)
    return claims.length === 1
      ? files.assign(fileId, { sessionId: first.sessionId, messageId: first.messageId, expiresAt: kept })
      : files.assign(fileId, { sessionId: first.sessionId, messageId: null, expiresAt: needed })
  }

  /** True when nobody waits for it any more. */
  const released = (fileId: FileId): boolean => {
    const left = (uses.get(fileId) ?? 1) - 1
    if (left > 0) {
      uses.set(fileId, left)
      return false
    }
    uses.delete(fileId)
    for (const forChannel of [true, false]) pointers.delete(placeName(fileId, forChannel))
    return true
  }

  const pointerOf = (
    connection: Connection,
    fileId: FileId,
    { to, raw }: Pick<Ready, 'to' | 'raw'>,
  ): Promise<MediaPointer> => {
    const forChannel = isChannel(to)
    const name = placeName(fileId, forChannel)
    const known = pointers.get(name)
    if (known) return known
    const pointer = uploading(async () => {
      const file = files.get(fileId)
      const kind = whatsapp.fileOf(raw)?.kind
      if (!file || !kind) throw new MediaUnavailable('no_file', 'The file of this message is gone')
      return connection.upload({ kind, size: file.size, open: () => files.read(fileId), forChannel })
    })
    pointers.set(name, pointer)
    pointer.catch(() => {
      if (pointers.get(name) === pointer) pointers.delete(name)
    })
    return pointer
  }

  const attached = ({ message }: Ready, raw: Uint8Array): Fact => ({
    change: { kind: 'message_attached', sessionId: message.sessionId, messageId: message.id, raw },
    events: [],
  })

  return {
    async claim(claims) {
      const byFile = new Map<FileId, Claim[]>()
      for (const claim of claims) byFile.set(claim.fileId, [...(byFile.get(claim.fileId) ?? []), claim])
      await Promise.all([...byFile].map(([fileId, those]) => claimOne(fileId, those)))
    },
    expect(fileId) {
      uses.set(fileId, (uses.get(fileId) ?? 0) + 1)
    },
    async place(connection, entry, ready) {
      const fileId = entry.attachment
      if (fileId === null || ready.message.attachment === null) return ready.raw
      const pointer = await pointerOf(connection, fileId, ready)
      faultPoint('file uploaded')
      const raw = whatsapp.attach(ready.raw, pointer)
      await ledger.commit([attached(ready, raw)])
      faultPoint('file attached')
      // Another turn of the same message has nothing left to upload.
      entry.ready = { ...ready, raw, message: { ...ready.message, raw, attachment: null } }
      return raw
    },
    release({ attachment }) {
      if (attachment !== null) released(attachment)
    },
    letGo({ attachment }) {
      if (attachment === null || !released(attachment)) return
      files
        .remove([attachment])
        .catch((error: unknown) => log.warn('A file that nobody needs stays', { error: String(error) }))
    },
  }
}
