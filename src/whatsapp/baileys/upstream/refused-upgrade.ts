/**
 * Upstream defect: Baileys listens to `unexpected-response`, which keeps `ws` from failing; an HTTP error at the upgrade
 * (403, 429, 503) is told as a time-out (408) after `connectTimeoutMs`.
 *
 * Repair: the same event is heard here, with the true status, at once.
 *
 * Upstream repaired it when a refused upgrade closes stock Baileys with its own status.
 */
import type { SocketEvents } from './raw-socket'

/** Calls `refused` with the HTTP status (0 when there is none) of an upgrade that did not happen. */
export function hearRefusedUpgrade(ws: SocketEvents, refused: (status: number) => void): void {
  ws.on('unexpected-response', (_request: unknown, response: { statusCode?: number } | undefined) =>
    refused(response?.statusCode ?? 0),
  )
}
