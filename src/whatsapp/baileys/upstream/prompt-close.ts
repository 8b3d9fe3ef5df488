/**
 * Upstream defect: closing waits for the peer's part of the WebSocket handshake; with a dead path that takes 30 s,
 * during which nobody is told.
 *
 * Repair: say goodbye, wait a moment, cut.
 *
 * Upstream repaired it when stock Baileys, told to end on a black-holed path, emits `close` within a second.
 */
import type { Clock } from '../../../lib/clock'
import type { RawSocket, SocketEvents } from './raw-socket'

/** How long the peer may take to answer our close frame. */
export const GOODBYE_MS = 250

const CLOSED = 3

/** Makes `ws.close` cut the raw socket after a short goodbye. */
export function closePromptly(ws: SocketEvents, raw: RawSocket, clock: Clock): void {
  ws.close = () => {
    if (raw.readyState === CLOSED) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(GOODBYE_MS, () => {
      raw.terminate()
      resolve()
    })
    raw.once('close', () => {
      cancel()
      resolve()
    })
    raw.close()
    return promise
  }
}
