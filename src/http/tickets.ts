/** One-time tickets: how a browser, which cannot set headers on a WebSocket, shows who it is. */
import type { Principal } from '../domain/principal'
import type { Clock } from '../lib/clock'
import { randomToken, sha256Hex } from '../lib/token'
import { TICKET_LIFE } from './limits'

export interface Tickets {
  issue(principal: Principal): { ticket: string; expiresAt: number }
  /** The owner of a ticket that is unused and not too old; using it spends it. */
  redeem(ticket: string): Principal | null
}

/** Most tickets waiting to be used; the oldest give way. */
const MOST = 10_000

/** Tickets live in memory only: a restart makes them void, which is what 30 seconds are for. */
export function createTickets(clock: Clock): Tickets {
  const waiting = new Map<string, { principal: Principal; expiresAt: number }>()
  const sweep = () => {
    for (const [hash, { expiresAt }] of waiting) {
      if (expiresAt > clock.now() && waiting.size < MOST) break
      waiting.delete(hash)
    }
  }
  return {
    issue(principal) {
      sweep()
      const ticket = randomToken(32)
      const expiresAt = clock.now() + TICKET_LIFE
      waiting.set(sha256Hex(ticket), { principal, expiresAt })
      return { ticket, expiresAt }
    },
    redeem(ticket) {
      const hash = sha256Hex(ticket)
      const found = waiting.get(hash)
      waiting.delete(hash)
      return found && found.expiresAt > clock.now() ? found.principal : null
    },
  }
}
