/** A WebSocket as the end of a stream. */
import { closeReason } from './close-codes'
import type { StreamSocket } from './subscription'

/** The little that is needed of Bun's `ServerWebSocket`. */
export type RawSocket = {
  send(data: string): number
  close(code: number, reason: string): void
  getBufferedAmount(): number
  ping(): number
  cork(sends: () => void): unknown
}

/** Contract §6 (ms). */
const PING_EVERY = 30_000

/** Each event is one text frame, the journal's own text. */
export function webSocketEnd(raw: RawSocket): StreamSocket {
  return {
    event: ({ json }) => raw.send(json),
    notice: (notice) => {
      raw.send(JSON.stringify(notice))
    },
    bufferedAmount: () => raw.getBufferedAmount(),
    close: (code, detail) => raw.close(code, closeReason(code, detail)),
    ping: {
      every: PING_EVERY,
      send: () => {
        raw.ping()
      },
    },
    cork: (sends) => {
      raw.cork(sends)
    },
  }
}
