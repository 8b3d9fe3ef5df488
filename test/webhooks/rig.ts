/** Webhook delivery over a real storage, with sessions and endpoints made by a few words. */
import type { EventName } from '../../src/domain/events'
import { asSessionId, type SessionId } from '../../src/domain/ids'
import type { Endpoint, Webhooks } from '../../src/domain/webhook'
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import type { Storage } from '../../src/storage/open'
import type { AdmissionLimits } from '../../src/webhooks/admission'
import { createWebhookDelivery, type WebhookDelivery } from '../../src/webhooks/delivery'
import { createSender } from '../../src/webhooks/sender'
import { newWebhookSecret } from '../../src/webhooks/signature'
import { created, makeEvent, makeRig, makeSession, TENANT } from '../storage/rig'

export const sessionOf = (n: number): SessionId => asSessionId(n.toString(16).padStart(32, '0'))

export interface WebhookRig {
  readonly storage: Storage
  /** Starts delivering, with a fixed spread of the retries; the previous delivery, if any, must have been stopped. */
  deliver(options?: {
    timeoutMs?: number
    random?: () => number
    limits?: AdmissionLimits
    /** Puts something between the delivery and the queue. */
    between?: (webhooks: Webhooks) => Partial<Webhooks>
  }): Promise<WebhookDelivery>
  sessions(...numbers: number[]): Promise<void>
  endpoint(id: string, url: string, also?: Partial<Endpoint>): Promise<Endpoint>
  /** Commits one `message.received` per number, in this order and in one commit. */
  happen(session: SessionId, numbers: readonly number[], name?: EventName): Promise<void>
  /** Stops delivering, closes the storage and opens it again. */
  reopen(): Promise<void>
  /** Resolves when nothing is waiting for delivery. */
  drained(): Promise<void>
  clear(): Promise<void>
}

export function makeWebhookRig(clock: Clock = systemClock): WebhookRig {
  const files = makeRig()
  let storage = files.open({ clock })
  let delivery: WebhookDelivery | null = null
  const rig: WebhookRig = {
    get storage() {
      return storage
    },
    async deliver({ timeoutMs = 10_000, random = () => 0.5, between, limits } = {}) {
      delivery = createWebhookDelivery({
        webhooks: { ...storage.webhooks, ...between?.(storage.webhooks) },
        journal: storage.journal,
        ledger: storage.ledger,
        sender: createSender({
          fetch: (url, init) => fetch(url, init),
          // Real sockets answer in real time, whatever clock the rest goes by.
          clock: systemClock,
          allowInsecure: true,
          allowNetworks: [],
          timeoutMs,
        }),
        clock,
        random,
        log: silentLog,
        ...(limits ? { limits } : {}),
      })
      await delivery.start()
      return delivery
    },
    async sessions(...numbers) {
      await storage.ledger.commit(numbers.map((n) => created(makeSession(sessionOf(n)))))
    },
    async endpoint(id, url, also = {}) {
      const endpoint: Endpoint = {
        id,
        tenantId: TENANT,
        sessionId: sessionOf(1),
        url,
        description: null,
        events: [],
        headers: {},
        secret: newWebhookSecret(),
        previousSecret: null,
        isActive: true,
        disabledReason: null,
        failingSince: null,
        fromSettings: false,
        isConfig: false,
        createdAt: clock.now(),
        ...also,
      }
      await storage.webhooks.saveEndpoint(endpoint)
      return endpoint
    },
    async happen(session, numbers, name = 'message.received') {
      await storage.ledger.commit(
        numbers.map((n) => ({ change: { kind: 'told' }, events: [makeEvent(name, { n }, session)] })),
      )
    },
    async reopen() {
      await delivery?.stop()
      delivery = null
      await storage.close()
      storage = files.open({ clock })
    },
    async drained() {
      const { webhooks, journal } = storage
      for (;;) {
        const { pending, processing, retrying } = webhooks.queueCounts(TENANT)
        if (webhooks.position() >= journal.head() && pending + processing + retrying === 0) return
        await Bun.sleep(2)
      }
    },
    async clear() {
      await delivery?.stop()
      await files.clear()
    },
  }
  return rig
}
