/**
 * The media desk: takes the file of an ask from where it comes, looks at its bytes, makes of it what its type needs, and
 * keeps that.
 */
import type { FileAsk, FileType } from '../domain/content-media'
import { fail } from '../domain/errors'
import type { SessionId, TenantId } from '../domain/ids'
import {
  type Bytes,
  type FileId,
  type FileOrigin,
  type KeptFile,
  type MediaDesk,
  type MediaStore,
  originFields,
  originOf,
  type StagedFile,
} from '../domain/media'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import type { Outbound } from '../lib/outbound'
import { type Arrival, createArrivals } from './arrivals'
import { audioRecipe } from './as-audio'
import { documentRecipe } from './as-document'
import { checkedPicture, imageRecipe } from './as-image'
import { stickerRecipe } from './as-sticker'
import { videoRecipe } from './as-video'
import type { MediaCaps } from './caps'
import { documentType } from './document-type'
import type { Ffmpeg } from './ffmpeg'
import { safeFilename } from './filename'
import { createPreviews } from './preview'
import { refusalOf } from './refusals'
import { HEAD_BYTES, sniff } from './sniff'
import { peek } from './streams'
import type { VoiceStudio } from './voice-studio'
import type { Material, Recipe, Workshop } from './workshop'

export type DeskParts = {
  store: MediaStore
  /** The client by whose way a session fetches. */
  outboundOf: (sessionId: SessionId) => Outbound
  clock: Clock
  log: Log
  caps: MediaCaps
  /** Null when it is not installed. */
  ffmpeg: Ffmpeg | null
  voice: VoiceStudio
  /** How long a file waits for its message, and an upload for its use (ms). */
  keptMs: { staged: number; uploads: number }
  /** The upload behind one of our own addresses. */
  uploadBehind?: (url: string) => FileId | null
}

type Owner = { tenantId: TenantId; sessionId: SessionId }

/** Most bytes that an ask's file may have when it comes in. */
const SOURCE_CAPS: { [T in FileType]: (caps: MediaCaps, ask: Extract<FileAsk, { type: T }>) => number } = {
  image: (caps) => caps.image,
  video: (caps) => caps.video,
  audio: (caps, { ptt }) => (ptt ? caps.voiceSource : caps.audio),
  document: (caps) => caps.document,
  sticker: (caps) => caps.stickerSource,
}

const RECIPES: { [T in FileType]: Recipe<Extract<FileAsk, { type: T }>> } = {
  image: imageRecipe,
  video: videoRecipe,
  audio: audioRecipe,
  document: documentRecipe,
  sticker: stickerRecipe,
}

/** Files whose staging holds a picture or sound in memory at the same time, for one account. */
const AT_ONCE = 6

/** Uploads whose looks are remembered; each costs a small picture of some KB. */
const MOST_SEEN = 200

/** All of an ask that its file's looks depend on. */
const lookOf = (ask: FileAsk, upload: KeptFile): string =>
  JSON.stringify([
    upload.id,
    { ...ask, caption: undefined, viewOnce: undefined, [`${ask.type}Url`]: undefined },
  ])

const PICTURES = ['image/jpeg', 'image/png', 'image/webp', 'image/gif']

export function createDesk(parts: DeskParts): MediaDesk {
  const { store, clock, caps, keptMs } = parts
  const arrive = createArrivals(parts)
  const shop: Workshop = {
    ...parts,
    fetchPicture: ({ owner }, url, signal) => fetchPicture(owner, url, signal),
    keep: ({ owner }, bytes, { mimetype, maxBytes, filename = null }) =>
      store.keep(bytes, {
        ...owner,
        messageId: null,
        mimetype,
        filename,
        maxBytes,
        expiresAt: clock.now() + keptMs.staged,
      }),
  }
  const inTurn = createTurns(AT_ONCE)
  const previewOf = createPreviews({ log: parts.log, picture: previewPicture })

  async function fetchPicture(owner: Owner, url: string, signal?: AbortSignal): Promise<Uint8Array> {
    const arrival = await arrive(owner, 'thumbnailUrl', { from: 'url', url }, caps.poster, signal)
    return pictureIn(arrival.bytes)
  }

  async function previewPicture(outbound: Outbound, url: string): Promise<Uint8Array> {
    const { body } = await outbound.get(url, { maxBytes: caps.poster })
    return pictureIn(body)
  }

  async function pictureIn(source: Bytes): Promise<Uint8Array> {
    const { head, bytes, close } = await peek(source, HEAD_BYTES)
    try {
      return (await checkedPicture({ head, sniffed: sniff(head), bytes }, PICTURES, caps.poster)).file
    } finally {
      await close()
    }
  }

  async function looked(
    owner: Owner,
    arrival: Arrival,
  ): Promise<{ material: Material; close(): Promise<void> }> {
    const { head, bytes, close } = await peek(arrival.bytes, HEAD_BYTES)
    return { material: { ...arrival, owner, head, sniffed: sniff(head), bytes }, close }
  }

  async function make(owner: Owner, ask: FileAsk, signal?: AbortSignal): Promise<StagedFile> {
    const origin = originOf(ask)
    if (!origin)
      throw fail('VALIDATION_ERROR', {
        fields: [
          {
            path: originFields(ask.type)[0],
            message: `one of ${originFields(ask.type).join(', ')} is required`,
          },
        ],
      })
    const maxBytes = SOURCE_CAPS[ask.type](caps, ask as never)
    try {
      const arrival = await arrive(owner, `${ask.type}Base64`, origin, maxBytes, signal)
      const known = arrival.upload && seen.get(lookOf(ask, arrival.upload))
      if (known) return known
      const { material, close } = await looked(owner, arrival)
      try {
        if (material.head.length === 0)
          throw fail('VALIDATION_ERROR', {
            fields: [{ path: fieldOf(ask, origin), message: 'the file is empty' }],
          })
        const staged = await RECIPES[ask.type](shop, material, ask as never, signal)
        if (staged.fileId === material.upload?.id) remember(lookOf(ask, material.upload), staged)
        return staged
      } finally {
        await close()
      }
    } catch (error) {
      throw refusalOf(error, maxBytes)
    }
  }

  /** What uploads were seen to be, so that a thousand messages with the same one look at it once. */
  const seen = new Map<string, StagedFile>()
  function remember(look: string, staged: StagedFile): void {
    const [oldest] = seen.keys()
    if (seen.size >= MOST_SEEN && oldest !== undefined) seen.delete(oldest)
    seen.set(look, staged)
  }

  const stage: MediaDesk['stage'] = (owner, ask, signal) =>
    inTurn(owner.tenantId, () => make(owner, ask, signal))

  async function discard({ fileId }: StagedFile): Promise<void> {
    // An upload may be wanted again.
    if ((store.get(fileId)?.sessionId ?? null) !== null) await store.remove([fileId])
  }

  return {
    stage,
    discard,
    async examine(owner, ask) {
      const staged = await stage(owner, ask)
      await discard(staged)
      return staged.media
    },
    upload: (tenantId, bytes, filename, { maxBytes = caps.upload } = {}) =>
      take(tenantId, bytes, filename, maxBytes),
    preview(sessionId, url) {
      const outbound = parts.outboundOf(sessionId)
      return previewOf(outbound, url)
    },
  }

  async function take(
    tenantId: TenantId,
    source: Bytes,
    filename: string | null,
    maxBytes: number,
  ): Promise<KeptFile> {
    try {
      const { head, bytes, close } = await peek(source, HEAD_BYTES)
      try {
        if (head.length === 0)
          throw fail('VALIDATION_ERROR', { fields: [{ path: 'file', message: 'the file is empty' }] })
        const name = filename === null ? null : safeFilename(filename)
        return await store.keep(bytes, {
          tenantId,
          sessionId: null,
          messageId: null,
          mimetype: documentType(sniff(head), null, name),
          filename: name,
          maxBytes,
          expiresAt: clock.now() + keptMs.uploads,
        })
      } finally {
        await close()
      }
    } catch (error) {
      throw refusalOf(error, maxBytes)
    }
  }
}

/** The field that names the file. */
function fieldOf({ type }: FileAsk, { from }: FileOrigin): string {
  const [url, base64, uploadId] = originFields(type)
  return { url, base64, upload: uploadId }[from] ?? type
}

/** Lets so many works of one account run at a time; the others wait in order. */
function createTurns(width: number) {
  const running = new Map<string, { count: number; waiting: (() => void)[] }>()
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const lane = running.get(key) ?? { count: 0, waiting: [] }
    running.set(key, lane)
    if (lane.count >= width) await new Promise<void>((resolve) => lane.waiting.push(resolve))
    else lane.count += 1
    try {
      return await work()
    } finally {
      const next = lane.waiting.shift()
      if (next) next()
      else lane.count -= 1
      if (lane.count === 0) running.delete(key)
    }
  }
}
