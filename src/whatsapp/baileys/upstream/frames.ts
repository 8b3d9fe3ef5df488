/**
 * Upstream defects of reading: a frame that cannot be decrypted or decoded leaves Baileys as an unhandled rejection and
 * ends the process; and a plain frame right behind a compressed one overtakes it.
 *
 * Repair: frames are handed to Baileys one after another, and a failure stays at its socket. The cipher's counter has
 * moved on, so the next frames can be read; when three in a row cannot, the connection is useless and ends.
 *
 * Upstream repaired it when the tests named "upstream: …" of `frames.test.ts` fail.
 */
import { interpose, type SocketEvents } from './raw-socket'

/** Unreadable frames in a row that end a connection. */
export const UNREADABLE_LIMIT = 3

export type FrameTrouble = {
  /** One frame was lost. */
  onUnreadable: (error: unknown) => void
  /** Too many in a row. */
  onUseless: () => void
}

/** Catches what goes wrong with single frames, and keeps them in order. */
export function guardFrames(ws: SocketEvents, trouble: FrameTrouble): void {
  let inARow = 0
  let last: Promise<unknown> = Promise.resolve()
  ws.on('frame', () => {
    inARow = 0
  })
  interpose(ws, 'message', (call) => (data) => {
    last = last
      .then(() => call(data))
      .catch((error) => {
        inARow += 1
        trouble.onUnreadable(error)
        if (inARow === UNREADABLE_LIMIT) trouble.onUseless()
      })
  })
}
