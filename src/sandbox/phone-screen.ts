/** What a phone shows: messages as they are now, how far its own got, and the files in them. */
import { isChannel } from './jid'
import type { PhoneEvent } from './phone-arrivals'
import {
  type PhoneJournal,
  type PhoneMessage,
  type SentStatus,
  type ShownMessage,
  shownNow,
  statusOf,
} from './phone-journal'
import { downloadFile, type MediaAccess, mediaOf } from './phone-media'

export interface PhoneScreen {
  /**
   * What this phone received, oldest first, with what later messages have made of it; copies of what its own companions
   * said are among it.
   */
  messages(): ShownMessage[]
  /** What this phone itself said, and how far it got. */
  sent(): (ShownMessage & { status: SentStatus; receipts: Record<string, SentStatus> })[]
  /** A message of either direction as it is now; null for an unknown id. */
  message(messageId: string): ShownMessage | null
  /** The farthest receipt of a message this phone sent; null for an unknown id. */
  status(messageId: string): SentStatus | null
  /** Resolves with the first message, received already or yet to come, that fits. */
  waitForMessage(fits: (message: PhoneMessage) => boolean): Promise<PhoneMessage>
  /** Resolves when a message of either direction is as wanted, at once when it is already. */
  waitUntilShown(messageId: string, fits: (message: ShownMessage) => boolean): Promise<ShownMessage>
  /** Downloads and opens the file of a message. */
  download(messageId: string): Promise<Buffer>
}

export type ScreenParts = {
  journal: PhoneJournal
  on(listener: (event: PhoneEvent) => void): () => void
  mediaAccess(): Promise<MediaAccess>
}

/** Thrown when a phone is asked about a message it does not have. */
export class NoSuchMessage extends Error {
  constructor(id: string) {
    super(`This phone has no message ${id}`)
    this.name = 'NoSuchMessage'
  }
}

/** Makes the part of a phone that shows. */
export function createPhoneScreen({ journal, on, mediaAccess }: ScreenParts): PhoneScreen {
  return {
    messages: () => journal.received().map(shownNow),
    sent: () =>
      journal
        .sent()
        .map((entry) => ({ ...shownNow(entry), status: statusOf(entry), receipts: { ...entry.receipts } })),
    message(id) {
      const entry = journal.find(id)
      return entry && shownNow(entry)
    },
    status(id) {
      const entry = journal.findSent(id)
      return entry && statusOf(entry)
    },
    waitForMessage(fits) {
      const there = journal.received().find(({ shown }) => fits(shown))
      if (there) return Promise.resolve(there.shown)
      return new Promise((resolve) => {
        const stop = on((event) => {
          if (event.type !== 'message' || !fits(event.message)) return
          stop()
          resolve(event.message)
        })
      })
    },

    waitUntilShown(id, fits) {
      const { promise, resolve } = Promise.withResolvers<ShownMessage>()
      const look = () => {
        const entry = journal.find(id)
        const now = entry && shownNow(entry)
        if (!now || !fits(now)) return
        stop()
        resolve(now)
      }
      const stop = on(look)
      look()
      return promise
    },

    async download(id) {
      const entry = journal.find(id)
      const media = entry && mediaOf(entry.message)
      if (!media) throw new NoSuchMessage(id)
      return downloadFile(await mediaAccess(), media.type, media.file, isChannel(entry.shown.chat))
    },
  }
}
