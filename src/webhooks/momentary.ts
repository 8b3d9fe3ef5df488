/**
 * Posts events that are not kept (a QR code, typing) to the endpoints that want them: once, best effort.
 *
 * They are worthless later, so they are not stored, not repeated and not queued: what finds no room is dropped.
 */
import { eventFilter } from '../domain/events'
import type { Entry, Journal } from '../domain/journal'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import { postTo, type Sender } from './sender'

const PER_ENDPOINT = 4
const TOTAL = 32

export type MomentaryDeps = {
  webhooks: Pick<Webhooks, 'endpoints'>
  journal: Pick<Journal, 'onEntries'>
  sender: Sender
  clock: Pick<Clock, 'now'>
  log: Log
}

/** Makes the reader; it works between `start` and `stop`. */
export function createMomentaryPosts(deps: MomentaryDeps): Part {
  const { webhooks, journal, sender, clock, log } = deps
  const stopping = new AbortController()
  const running = new Set<Promise<void>>()
  const inFlight = new Map<string, number>()
  let leave: (() => void) | null = null

  function tell(entry: Entry): void {
    for (const endpoint of webhooks.endpoints(entry.sessionId)) {
      if (!endpoint.isActive || endpoint.tenantId !== entry.tenantId) continue
      if (!eventFilter(endpoint.events)(entry.event)) continue
      const posted = inFlight.get(endpoint.id) ?? 0
      if (posted >= PER_ENDPOINT || running.size >= TOTAL) {
        log.debug('A momentary event found no room', { endpoint: endpoint.id, event: entry.event })
        continue
      }
      inFlight.set(endpoint.id, posted + 1)
      const post = postTo(
        endpoint,
        { eventId: entry.id, event: entry.event, json: entry.json, attempt: 1 },
        clock.now(),
      )
      const task = sender.post(post, stopping.signal).then(({ outcome }) => {
        running.delete(task)
        const left = (inFlight.get(endpoint.id) ?? 1) - 1
        if (left === 0) inFlight.delete(endpoint.id)
        else inFlight.set(endpoint.id, left)
        if (!outcome.ok) log.debug('A momentary event was not taken', { why: outcome.says })
      })
      running.add(task)
    }
  }

  return {
    name: 'momentary webhook posts',
    start() {
      leave = journal.onEntries((entries) => {
        for (const entry of entries) {
          if (entry.seq !== null) continue
          try {
            tell(entry)
          } catch (error) {
            log.error('A momentary event cannot be posted', { error: String(error) })
          }
        }
      })
    },
    async stop() {
      leave?.()
      leave = null
      stopping.abort()
      await Promise.allSettled(running)
    },
  }
}
