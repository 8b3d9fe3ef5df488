/** Files of one connection, both ways; everything under way ends with `stop`. */
import {
  type BaileysEventEmitter,
  type BinaryNode,
  isJidNewsletter,
  jidNormalizedUser,
  proto,
} from '@whiskeysockets/baileys'
import type { Bytes } from '../../domain/media'
import {
  type MediaPointer,
  type MediaRequest,
  type MediaSource,
  MediaUnavailable,
} from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { isWithheld } from './content/withheld'
import { createMediaConn } from './media-conn'
import { placeOf } from './media-place'
import { createMediaRetry } from './media-retry'
import { uploadFile } from './media-upload'
import { downloadFile } from './upstream/media'

export type MediaTransferParts = {
  sock: {
    ev: BaileysEventEmitter
    query: (node: BinaryNode, timeoutMs?: number) => Promise<BinaryNode | undefined>
    sendNode: (node: BinaryNode) => Promise<void>
  }
  /** Our own address with its device; undefined before the first login. */
  me: () => string | undefined
  /** `globalThis.fetch` as it is when it is called, which is the guarded one. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
  clock: Clock
  log: Log
  /** How long the phone may take to upload a file again (ms). */
  reuploadMs?: number
  /** Longest silence of a media host (ms). */
  silenceMs?: number
}

export interface MediaTransfer {
  /** `Connection.upload`. */
  upload(source: MediaSource): Promise<MediaPointer>
  /** `Connection.download`. */
  download(request: MediaRequest): Bytes
  stop(): void
}

export function createMediaTransfer(parts: MediaTransferParts): MediaTransfer {
  const { sock, clock, log, silenceMs, fetch = (url, init) => globalThis.fetch(url, init) } = parts
  const ended = new AbortController()
  const { signal } = ended
  const mediaConn = createMediaConn({ query: sock.query, clock })
  const retry = createMediaRetry({
    ev: sock.ev,
    sendNode: sock.sendNode,
    me() {
      const me = parts.me()
      return me === undefined ? null : jidNormalizedUser(me)
    },
    clock,
    ...(parts.reuploadMs === undefined ? {} : { timeoutMs: parts.reuploadMs }),
  })
  return {
    upload: (source) =>
      uploadFile(source, {
        mediaConn,
        fetch,
        clock,
        log,
        signal,
        ...(silenceMs === undefined ? {} : { stallMs: silenceMs }),
      }),
    async *download({ raw, maxBytes, ...message }) {
      const place = placeOf(raw, isJidNewsletter(message.chat) === true)
      if (place === null && isWithheld(proto.Message.decode(raw))) {
        throw new MediaUnavailable('withheld', 'A file that can be opened once is on the phone alone')
      }
      if (place === null) throw new MediaUnavailable('no_file', 'This message has no file at WhatsApp')
      yield* downloadFile(place, {
        fetch,
        // The answer would be sealed with the file's own key.
        reupload: async () => place.mediaKey && (await retry.ask(message, place.mediaKey)),
        maxBytes,
        clock,
        signal,
        ...(silenceMs === undefined ? {} : { silenceMs }),
      })
    },
    stop() {
      ended.abort()
      retry.stop()
    },
  }
}
