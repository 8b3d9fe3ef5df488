/**
 * One measurement of webhook deliveries in a process of its own: `webhook-child.ts sink` answers 204, and hangs below
 * `/hang/`; `bare|wabun|hanging <sink url>` post to it and print `{"perSecond": n, "cpuMicros": n}`.
 */
import type { SessionId } from '../../src/domain/ids'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { limitsFor } from '../../src/webhooks/admission'
import { createWebhookDelivery } from '../../src/webhooks/delivery'
import { createSender } from '../../src/webhooks/sender'
import { newWebhookSecret, sign } from '../../src/webhooks/signature'
import { created, makeEvent, makeRig, makeSession, TENANT } from '../storage/rig'

const ENDPOINTS = 100
const HANGING = 10
const POSTS = 8_000
const IN_FLIGHT = 64
/** About 1 KB with its envelope. */
const TEXT = 'x'.repeat(800)

const sessionOf = (n: number) => n.toString(16).padStart(32, '0') as SessionId

type Measured = { perSecond: number; cpuMicros: number }

/** Begins to measure; the returned function says what `posts` posts have cost since. */
function measure(): (posts: number) => Measured {
  const started = performance.now()
  const before = process.cpuUsage()
  return (posts) => {
    const { user, system } = process.cpuUsage(before)
    return { perSecond: (posts / (performance.now() - started)) * 1_000, cpuMicros: (user + system) / posts }
  }
}

function sink(): void {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      if (request.url.includes('/hang/')) return new Promise<Response>(() => {})
      await request.arrayBuffer()
      return new Response(null, { status: 204 })
    },
  })
  console.log(`listening on http://127.0.0.1:${server.port}`)
}

/** The least that signed posts cost: the same bodies, the same headers, nothing kept. */
async function bare(url: string): Promise<Measured> {
  const secret = newWebhookSecret()
  const measured = measure()
  let next = 0
  const post = async () => {
    for (let n = next++; n < POSTS; n = next++) {
      const id = `evt_${n}`
      const body = JSON.stringify({ id, cursor: `00000000-${n}`, event: 'message.received', n, text: TEXT })
      const headers = {
        'Content-Type': 'application/json',
        ...sign(secret, id, Math.floor(Date.now() / 1000), body),
      }
      await (await fetch(`${url}/${n % ENDPOINTS}`, { method: 'POST', body, headers })).arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, post))
  return measured(POSTS)
}

/** Committed events, turned into rows, posted, and noted on disk; those of the first endpoints to receivers that hang. */
async function wabun(url: string, hanging: number): Promise<Measured> {
  const rig = makeRig()
  const storage = rig.open({ sync: 'full' })
  const numbers = Array.from({ length: ENDPOINTS }, (_, n) => n)
  await storage.ledger.commit(numbers.map((n) => created(makeSession(sessionOf(n)))))
  for (const n of numbers) {
    await storage.webhooks.saveEndpoint({
      id: `ep_${n}`,
      tenantId: TENANT,
      sessionId: sessionOf(n),
      url: `${url}/${n < hanging ? 'hang/' : ''}${n}`,
      description: null,
      events: ['message.*'],
      headers: {},
      secret: newWebhookSecret(),
      previousSecret: null,
      isActive: true,
      disabledReason: null,
      failingSince: null,
      fromSettings: false,
      isConfig: false,
      createdAt: Date.now(),
    })
  }
  for (let made = 0; made < POSTS; made += 400) {
    await storage.ledger.commit(
      Array.from({ length: 400 }, (_, n) => ({
        change: { kind: 'told' as const },
        events: [makeEvent('message.received', { n: made + n, text: TEXT }, sessionOf(n % ENDPOINTS))],
      })),
    )
  }
  const wanted = POSTS - (POSTS / ENDPOINTS) * hanging
  let done = 0
  const all = Promise.withResolvers<void>()
  const { webhooks } = storage
  const delivery = createWebhookDelivery({
    webhooks: {
      ...webhooks,
      async record(taken, outcome, ...more) {
        await webhooks.record(taken, outcome, ...more)
        if (outcome.ok) done += 1
        if (done === wanted) all.resolve()
      },
    },
    journal: storage.journal,
    ledger: storage.ledger,
    sender: createSender({
      fetch: (address, init) => fetch(address, init),
      clock: systemClock,
      allowInsecure: true,
      allowNetworks: [],
    }),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    limits: limitsFor(Number(process.env.BUN_CONFIG_MAX_HTTP_REQUESTS ?? 256)),
  })
  const measured = measure()
  await delivery.start()
  await all.promise
  const found = measured(wanted)
  await rig.clear()
  return found
}

const [mode = '', url = ''] = process.argv.slice(2)
if (mode === 'sink') sink()
else {
  console.log(
    JSON.stringify(mode === 'bare' ? await bare(url) : await wabun(url, mode === 'hanging' ? HANGING : 0)),
  )
  process.exit(0)
}
