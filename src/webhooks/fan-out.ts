/**
 * Follows the journal and turns its entries into deliveries, from the stored position on, across restarts.
 *
 * The position and the deliveries it stands for are one commit, so every entry becomes a delivery exactly once per
 * endpoint.
 */
import type { Journal } from '../domain/journal'
import type { Webhooks } from '../domain/webhook'
import { backoffDelay } from '../lib/backoff'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'

const STORAGE_RETRY = { first: 200, cap: 30_000 }

export type FanOutDeps = {
  webhooks: Pick<Webhooks, 'fanOut' | 'position'>
  journal: Pick<Journal, 'head' | 'onEntries'>
  clock: Clock
  random: () => number
  log: Log
  /** Called after each commit that may have made deliveries. */
  onDeliveries: () => void
}

/** Makes the reader; it works between `start` and `stop`. */
export function createFanOut(deps: FanOutDeps): Part {
  const { webhooks, journal, clock, random, log } = deps
  const stopping = new AbortController()
  let active = false
  let running: Promise<void> = Promise.resolve()
  let leave: (() => void) | null = null

  function wake(): void {
    if (active || stopping.signal.aborted) return
    active = true
    running = catchUp()
  }

  async function catchUp(): Promise<void> {
    for (let failures = 0; ; ) {
      try {
        const head = journal.head()
        const before = webhooks.position()
        if (before >= head || stopping.signal.aborted) {
          // In the same turn as the look at the head, so that no entry falls in between unseen.
          active = false
          return
        }
        const after = await webhooks.fanOut(head)
        if (after <= before) throw new Error(`The position did not move from ${before} towards ${head}`)
        failures = 0
        deps.onDeliveries()
      } catch (error) {
        failures += 1
        log.error('Webhook deliveries cannot be made from the journal yet', { error: String(error) })
        if (!(await pause(backoffDelay(failures, STORAGE_RETRY, random)))) return
      }
    }
  }

  /** False when stopped meanwhile. */
  const pause = (ms: number): Promise<boolean> =>
    clock.sleep(ms, stopping.signal).then(
      () => true,
      () => false,
    )

  return {
    name: 'webhook fan-out',
    start() {
      leave = journal.onEntries((entries) => {
        if (entries.some((entry) => entry.seq !== null)) wake()
      })
      wake()
    },
    async stop() {
      leave?.()
      leave = null
      stopping.abort()
      await running
    },
  }
}
