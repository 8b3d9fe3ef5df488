/**
 * Posts what is due, and notes what became of it.
 *
 * Deliveries of one lane (endpoint and session) go out one after another; lanes are independent, and what keeps failing
 * leaves its lane to those behind it (`leavesLane`) and is retried beside it. Nothing is claimed on
 * disk: an attempt that was in flight when the process ended is simply due again, under the same event id.
 *
 * Woken by new deliveries and by ended attempts; otherwise asleep until the next retry is due.
 */
import type { Ledger } from '../domain/changes'
import {
  type DueDelivery,
  laneOf,
  leavesLane,
  nextAttemptAt,
  type Outcome,
  type Webhooks,
} from '../domain/webhook'
import { backoffDelay } from '../lib/backoff'
import type { Clock } from '../lib/clock'
import { faultPoint } from '../lib/fault-points'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import { type Admission, type AdmissionLimits, createAdmission, DEFAULT_ADMISSION } from './admission'
import { createDisabling } from './disabling'
import { postTo, type Sender } from './sender'

/** An attempt that takes longer gives its place to others (ms). */
const SLOW_AFTER = 250
/** A lane's turn ends after so long (ms), and after what `following` has at hand; then those that wait for a place come first. */
const TURN = 100
/** While attempts are in flight the earliest due time may belong to one of them and hide the next (ms). */
const RECHECK_WHILE_BUSY = 1_000
/** Longest sleep, so that a change of the machine's clock is noticed (ms). */
const LONGEST_SLEEP = 60_000
/** How long `stop` lets attempts finish (ms). Those cut off are due again at the next start. */
const STOP_GRACE = 3_000
/** A parked delivery is read again after this long (ms): its endpoint may have been changed or removed. */
const PARKED_FRESH = 1_000
const STORAGE_RETRY = { first: 200, cap: 30_000 }

export type DispatcherDeps = {
  webhooks: Webhooks
  ledger: Ledger
  sender: Sender
  clock: Clock
  random: () => number
  log: Log
  limits?: Partial<AdmissionLimits>
}

/** Its endpoint was failing when it was last heard of, perhaps by an earlier process. */
const isDoubtful = ({ attempt, endpoint }: DueDelivery): boolean =>
  attempt > 1 || endpoint.failingSince !== null

type Parked = { delivery: DueDelivery; since: number }

export interface Dispatcher extends Part {
  /** Something may have become due. */
  wake(): void
}

/** Makes a dispatcher; it posts between `start` and `stop`. */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { webhooks, sender, clock, random, log } = deps
  const admission: Admission = createAdmission({ ...DEFAULT_ADMISSION, ...deps.limits })
  const disable = createDisabling(deps)
  const stopping = new AbortController()
  const cutting = new AbortController()
  const running = new Set<Promise<void>>()
  /** Lanes that must not be claimed now: in flight, or parked. */
  const busy = new Set<string>()
  /** By endpoint: claimed deliveries that wait because their endpoint has all it may have. */
  const parked = new Map<string, Parked[]>()
  /** The last claim ended for want of places, so there may be more. */
  let cutShort = false
  let started = false
  let scheduled = false
  let failures = 0
  let cancelSleep: (() => void) | null = null

  function wake(): void {
    if (scheduled || !started || stopping.signal.aborted) return
    scheduled = true
    queueMicrotask(() => {
      scheduled = false
      if (!stopping.signal.aborted) pump()
    })
  }

  function sleep(ms: number): void {
    cancelSleep?.()
    cancelSleep = clock.after(Math.min(ms, LONGEST_SLEEP), wake)
  }

  function pump(): void {
    if (cutShort && !admission.roomy()) return
    try {
      claim()
      failures = 0
      sleepUntilNext()
    } catch (error) {
      failures += 1
      log.error('Webhook deliveries cannot be read', { error: String(error) })
      sleep(backoffDelay(failures, STORAGE_RETRY, random))
    }
  }

  function claim(): void {
    for (;;) {
      const free = admission.free()
      cutShort = free === 0
      if (cutShort) return
      const deliveries = webhooks.due(clock.now(), free, busy)
      if (deliveries.length === 0) return
      for (const delivery of deliveries) {
        busy.add(laneOf(delivery))
        if (admission.admits(delivery.endpoint.id, isDoubtful(delivery))) launch(delivery)
        else park(delivery)
      }
    }
  }

  function sleepUntilNext(): void {
    const next = webhooks.nextDueAt()
    if (next === null) {
      cancelSleep?.()
      cancelSleep = null
      return
    }
    const wait = next - clock.now()
    sleep(wait > 0 ? wait : RECHECK_WHILE_BUSY)
  }

  function park(delivery: DueDelivery): void {
    const { id } = delivery.endpoint
    const queue = parked.get(id) ?? []
    parked.set(id, queue)
    queue.push({ delivery, since: clock.monotonic() })
  }

  /** Lets parked deliveries of an endpoint go, as many as it may have now. */
  function unpark(endpointId: string): void {
    const queue = parked.get(endpointId)
    while (queue?.[0] && admission.admits(endpointId, isDoubtful(queue[0].delivery))) {
      const { delivery, since } = queue[0]
      queue.shift()
      if (clock.monotonic() - since <= PARKED_FRESH) {
        launch(delivery)
        continue
      }
      busy.delete(laneOf(delivery))
      wake()
    }
    if (queue?.length === 0) parked.delete(endpointId)
  }

  function launch(delivery: DueDelivery): void {
    const task = turn(delivery).finally(() => running.delete(task))
    running.add(task)
  }

  /**
   * Posts a delivery and, while its endpoint takes them at once, those behind it in its lane. Their outcomes are written
   * together meanwhile; the lane stays busy until all of them are on disk, else the same bytes would be posted again.
   */
  async function turn(first: DueDelivery): Promise<void> {
    const place = admission.enter(first.endpoint.id)
    const following = webhooks.following(first)
    const end = clock.monotonic() + TURN
    const notes: Promise<void>[] = []
    let refused = false
    const onRefused = () => {
      refused = true
    }
    for (let delivery: DueDelivery | null = first; delivery; ) {
      const current: DueDelivery = delivery
      const { id } = current.endpoint
      const disarm = clock.after(SLOW_AFTER, () => giveBack(id, place.slow))
      const { outcome } = await sender.post(postTo(current.endpoint, current, clock.now()), cutting.signal)
      disarm()
      const isOver = !outcome.ok || refused || stopping.signal.aborted || clock.monotonic() >= end
      delivery = !isOver && place.passOn() ? following() : null
      if (delivery) unpark(id)
      else giveBack(id, () => place.leave(outcome.ok))
      if (cutting.signal.aborted) break
      if (outcome.ok) faultPoint('webhook answered')
      notes.push(settle(current, outcome, delivery !== null, onRefused))
    }
    await Promise.all(notes)
    busy.delete(laneOf(first))
    wake()
  }

  /** Gives a place back, and lets in whom that concerns. */
  function giveBack(endpointId: string, change: () => void): void {
    const wasTight = admission.tight()
    change()
    if (stopping.signal.aborted) return
    for (const id of wasTight ? [...parked.keys()] : [endpointId]) unpark(id)
    if (cutShort) wake()
  }

  /** Notes the outcome, as often as it takes. */
  async function settle(
    delivery: DueDelivery,
    outcome: Outcome,
    goesOn: boolean,
    onRefused: () => void,
  ): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await note(delivery, outcome, goesOn)
      } catch (error) {
        onRefused()
        log.error('The outcome of a webhook delivery cannot be stored yet', { error: String(error) })
      }
      try {
        await clock.sleep(backoffDelay(tries, STORAGE_RETRY, random), stopping.signal)
      } catch {
        // Stopping; the delivery is due again at the next start.
        return
      }
    }
  }

  async function note(delivery: DueDelivery, outcome: Outcome, goesOn: boolean): Promise<void> {
    if (outcome.ok) return webhooks.record(delivery, outcome, null, goesOn)
    log.debug('A webhook delivery has failed', {
      endpoint: delivery.endpoint.id,
      session: delivery.sessionId,
      event: delivery.event,
      attempt: delivery.attempt,
      status: outcome.status,
      why: outcome.says,
    })
    await disable(delivery, outcome)
    const at = nextAttemptAt(delivery.attempt, clock.now(), outcome.retryAfterMs, random)
    // Nobody switches the endpoint of a deleted session on again.
    const { tenantId, id } = delivery.endpoint
    const isOver = outcome.status === 410 && webhooks.endpoint(tenantId, id) === null
    const next = at === null || isOver ? null : { at, aside: leavesLane(delivery.attempt, outcome.status) }
    return webhooks.record(delivery, outcome, next)
  }

  return {
    name: 'webhook dispatcher',
    wake,
    start() {
      started = true
      wake()
    },
    async stop() {
      if (stopping.signal.aborted) return
      stopping.abort()
      cancelSleep?.()
      cancelSleep = null
      const cut = clock.after(STOP_GRACE, () => cutting.abort())
      await Promise.allSettled(running)
      cut()
      cutting.abort()
    },
  }
}
