/** The media desk as the product has it, over the files of a test's storage; it may fetch from this machine. */
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { createOutbound } from '../../src/lib/outbound'
import { MEDIA_CAPS } from '../../src/media/caps'
import { createDesk } from '../../src/media/desk'
import { createIncoming } from '../../src/media/incoming'
import { createVoiceStudio } from '../../src/media/voice-studio'
import type { Storage } from '../../src/storage/open'

/** How long files of messages are kept (ms). */
export const MEDIA_KEPT = 30 * 86_400_000

/** What the supervisor wants for files. */
export function mediaOf(storage: Storage, clock: Clock = systemClock) {
  const store = storage.media
  const outbound = createOutbound({
    policy: { allowInsecure: false, allowPlain: true, allowNetworks: ['127.0.0.0/8'] },
    fetch: (url, init) => fetch(url, init),
    clock: systemClock,
  })
  const desk = createDesk({
    store,
    outboundOf: () => outbound,
    clock,
    log: silentLog,
    caps: MEDIA_CAPS,
    ffmpeg: null,
    voice: createVoiceStudio({ clock: systemClock }),
    keptMs: { staged: 3_600_000, uploads: 86_400_000 },
  })
  const received = createIncoming({ store, clock, maxBytes: 100_000_000, keptMs: MEDIA_KEPT })
  return { desk, files: store, received }
}
