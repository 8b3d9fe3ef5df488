/** Everything about files that is chosen here: caps, ffmpeg, the client that fetches them, how long they stay. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config'
import type { SessionId } from '../domain/ids'
import type { MediaDesk, MediaStore } from '../domain/media'
import type { UploadLinks } from '../http/upload-links'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { OutboundParts } from '../lib/outbound-request'
import { createOutboundThrough } from '../lib/outbound-through'
import type { Tunnels } from '../lib/tunnel'
import { MEDIA_CAPS } from '../media/caps'
import { createDesk } from '../media/desk'
import { createFfmpeg, findFfmpeg } from '../media/ffmpeg'
import { createVoiceStudio } from '../media/voice-studio'

const MB = 1_000_000
const HOUR = 3_600_000
/** A staged file belongs to its message within seconds; an upload is for the sends of a day. */
const KEPT = { staged: HOUR, uploads: 24 * HOUR }
const FFMPEG_TIMEOUT = 120_000

export type MediaParts = {
  config: Config
  store: MediaStore
  links: UploadLinks
  clock: Clock
  log: Log
  outside: Outside
  tunnels: Tunnels
  /** The proxy of a session, by which all of it goes; null = none. Throws `SESSION_NOT_FOUND`. */
  proxyOf: (sessionId: SessionId) => string | null
}

/** How places outside are asked, and where this server itself is. */
export type Outside = Omit<OutboundParts, 'policy' | 'longest' | 'vet'>

/** The media desk over the guarded client, and the part it runs; ffmpeg is used when it is on the path. */
export function createMediaDesk({
  config,
  store,
  links,
  clock,
  log,
  outside,
  tunnels,
  proxyOf,
}: MediaParts): {
  desk: MediaDesk
  studio: Part
} {
  const maxFile = config.maxFileMb * MB
  const caps = { ...MEDIA_CAPS, video: maxFile, document: maxFile, voiceSource: maxFile }
  const program = findFfmpeg(process.env.PATH)
  log.debug(program === null ? 'ffmpeg is not installed' : 'ffmpeg is installed')
  const voice = createVoiceStudio({ clock })
  const outboundBy = createOutboundThrough({
    policy: { allowInsecure: false, allowPlain: true, allowNetworks: config.mediaAllowNetworks },
    ...outside,
    tunnels,
    clock,
  })
  const desk = createDesk({
    store,
    outboundOf: (sessionId) => outboundBy(proxyOf(sessionId)),
    voice,
    clock,
    log: log.with({ part: 'media' }),
    caps,
    ffmpeg:
      program === null
        ? null
        : createFfmpeg({
            program,
            temporary: temporaryFolder(config.dataDir),
            clock,
            timeoutMs: FFMPEG_TIMEOUT,
            maxInputBytes: maxFile,
          }),
    keptMs: KEPT,
    uploadBehind: links.fileOfUrl,
  })
  // It starts with its first voice note.
  return { desk, studio: { name: 'voice notes', start: () => undefined, stop: voice.stop } }
}

/** What a kill has left in it goes. */
function temporaryFolder(dataDir: string): string {
  const folder = join(dataDir, 'tmp')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return folder
}
