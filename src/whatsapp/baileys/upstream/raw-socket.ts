/** Baileys' WebSocket, and the real one inside it: what the repairs of this folder hold on to. */
import type { EventEmitter } from 'node:events'

/** The `ws` object that Baileys keeps to itself. */
export type RawSocket = {
  send(data: Uint8Array | string, written?: (error?: Error) => void): void
  close(code?: number): void
  terminate(): void
  readonly readyState: number
  once(event: 'close', listener: () => void): unknown
}

/** Baileys' wrapper: an emitter of frames (`frame`), stanzas (`CB:…`, `TAG:…`) and the raw socket's own events. */
export type SocketEvents = EventEmitter & {
  readonly isOpen: boolean
  close(): Promise<void> | void
}

/** The raw socket of a connection that has just been made. */
export function rawSocketOf(ws: SocketEvents): RawSocket {
  const raw = (ws as unknown as { socket: RawSocket | null }).socket
  if (raw === null) throw new Error('Baileys has not made its socket')
  return raw
}

type Listener = (...args: unknown[]) => unknown

/** Puts `wrap` between an event and those who listen to it so far. */
export function interpose(ws: SocketEvents, event: string, wrap: (call: Listener) => Listener): void {
  const listeners = ws.rawListeners(event) as Listener[]
  ws.removeAllListeners(event)
  const call: Listener = (...args) => Promise.all(listeners.map((listener) => listener.apply(ws, args)))
  ws.on(event, wrap(call))
}
