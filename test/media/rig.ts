/** A media desk on a real store, with a guarded client that may reach this machine, and a server that it fetches from. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../src/domain/errors'
import type { MediaDesk } from '../../src/domain/media'
import type { AddressPolicy } from '../../src/lib/addresses'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { createOutbound } from '../../src/lib/outbound'
import { MEDIA_CAPS, type MediaCaps } from '../../src/media/caps'
import { createDesk, type DeskParts } from '../../src/media/desk'
import { createFfmpeg } from '../../src/media/ffmpeg'
import { createVoiceStudio } from '../../src/media/voice-studio'
import type { Storage } from '../../src/storage/open'
import { created, makeRig, movableClock, SESSION, TENANT } from '../storage/rig'

export const OWNER = { tenantId: TENANT, sessionId: SESSION }
const LOCAL: AddressPolicy = { allowInsecure: true, allowNetworks: [] }

export type MediaRig = {
  desk: MediaDesk
  storage: Storage
  clock: ReturnType<typeof movableClock>
  /** Where the private directories of conversions are. */
  temporary: string
  /** Every file of the store and of conversions. */
  left(): string[]
  url(path: string): string
  asked: string[]
  clear(): Promise<void>
}

export async function mediaRig(
  options: {
    caps?: Partial<MediaCaps>
    ffmpeg?: string | null
    ffmpegMs?: number
    policy?: AddressPolicy
    files?: Record<string, () => Response | Promise<Response>>
    uploadBehind?: DeskParts['uploadBehind']
  } = {},
): Promise<MediaRig> {
  const rig = makeRig()
  const clock = movableClock()
  const storage = rig.open({ clock })
  await storage.ledger.commit([created()])
  const temporary = join(rig.directory, 'temporary')
  mkdirSync(temporary, { mode: 0o700 })
  const asked: string[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url)
      asked.push(pathname)
      return options.files?.[pathname]?.() ?? new Response('nothing here', { status: 404 })
    },
  })
  const voice = createVoiceStudio({ clock: systemClock })
  const outbound = createOutbound({
    clock: systemClock,
    policy: options.policy ?? LOCAL,
    fetch: (url, init) => fetch(url, init),
  })
  const desk = createDesk({
    voice,
    store: storage.media,
    outboundOf: () => outbound,
    clock,
    log: silentLog,
    caps: { ...MEDIA_CAPS, ...options.caps },
    ffmpeg: options.ffmpeg
      ? createFfmpeg({
          program: options.ffmpeg,
          temporary,
          clock: systemClock,
          timeoutMs: options.ffmpegMs ?? 30_000,
          maxInputBytes: 100_000_000,
        })
      : null,
    keptMs: { staged: 86_400_000, uploads: 3_600_000 },
    ...(options.uploadBehind ? { uploadBehind: options.uploadBehind } : {}),
  })
  const media = join(rig.file, '..', 'media')
  return {
    desk,
    storage,
    clock,
    temporary,
    asked,
    left: () =>
      [media, temporary].flatMap((folder) =>
        existsSync(folder)
          ? readdirSync(folder, { recursive: true, withFileTypes: true })
              .filter((entry) => entry.isFile() || folder === temporary)
              .map((entry) => join(entry.parentPath, entry.name))
          : [],
      ),
    url: (path) => `http://127.0.0.1:${server.port}${path}`,
    async clear() {
      await server.stop(true)
      await voice.stop()
      await rig.clear()
    },
  }
}

/** The catalogue's error of a rejection; throws when it is none. */
export async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('It was accepted')
}
