/**
 * The messages of an absence come in while the connection is cut again and again, or the mark that ends them never comes;
 * the product stands there, or stock Baileys in its place.
 */
import { startSandboxProcess } from '../harness/sandbox-process'
import { startSink } from '../harness/sink'
import { type Gateway, numberOf, pairAll, rawGateway, wabunGateway } from '../harness/world'

export type DrainOptions = {
  gateway: Gateway['name']
  messages: number
  /**
   * The connection is cut as WhatsApp takes so many receipts since the cut before. Until the last cut no backlog comes to
   * its end mark; `NEVER` withholds it for good.
   */
  cuts: readonly number[]
  /** How long nothing may come before what is missing counts as lost (ms). */
  patience: number
  say?: (line: string) => void
}

/** `told`: messages at the webhook; `stored`: rows of the history, null for stock Baileys; `twice`: events of one message. */
export type Drained = { told: number; stored: number | null; twice: number; cuts: number; seconds: number }

/** More receipts than there ever are. */
export const NEVER = 1_000_000_000

/** Orders that phones give at once. */
const PIECE = 500

/** Lets the messages pile up, starts the gateway and waits until all have come or nothing comes any more. */
export async function drained(options: DrainOptions): Promise<Drained> {
  const { messages, cuts, patience } = options
  const toCome = cuts.filter((nth) => nth < NEVER).length
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const [us, ...peers] = [0, 1, 2, 3].map((index) => numberOf(index))
  if (us === undefined) throw new Error('There is no number')
  for (const peer of peers) await sandbox.addPhone(peer)
  const wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  const gateway = options.gateway === 'wabun' ? wabun : rawGateway({ sandbox, webhookUrl: sink.url })
  try {
    await gateway.start()
    const [id = ''] = await pairAll(gateway, sandbox, [us])
    if (gateway === wabun)
      await wabun.api('PUT', `/api/sessions/${id}/settings`, {
        // More cuts than a session would put up with, and no long waits between them.
        settings: { webhookUrl: sink.url, maxReconnectAttempts: 0, reconnectInterval: 1_000 },
      })
    await gateway.kill()
    const texts = Array.from({ length: messages }, (_, n) => `while you were away ${n}`)
    for (let from = 0; from < messages; from += PIECE) {
      const piece = texts.slice(from, from + PIECE)
      await sandbox.burst(piece.map((text, n) => ({ from: peers[n % peers.length] ?? '', to: us, text })))
    }
    await sandbox.dropAtReceipts(us, cuts)
    const before = (await sandbox.stats()).loginsOf[us] ?? 0
    const startedAt = performance.now()
    await gateway.start()

    const wanted = new Set<unknown>(texts)
    const eventsOf = () => {
      const ids = new Map<unknown, Set<unknown>>()
      for (const { body } of sink.deliveries)
        if (wanted.has(body.text)) ids.set(body.text, (ids.get(body.text) ?? new Set()).add(body.id))
      return ids
    }
    const logins = async () => ((await sandbox.stats()).loginsOf[us] ?? 0) - before
    let told = 0
    let cutSoFar = 0
    for (let last = '', since = performance.now(); performance.now() - since < patience; ) {
      told = eventsOf().size
      cutSoFar = Math.max(0, (await logins()) - 1)
      if (told === messages && cutSoFar >= toCome) break
      const now = `${told} ${cutSoFar}`
      if (now !== last) since = performance.now()
      last = now
      await Bun.sleep(20 + messages / 20)
    }
    const seconds = (performance.now() - startedAt) / 1000
    const stored = gateway === wabun ? (await wabun.history(id)).length : null
    const twice = [...eventsOf().values()].filter((ids) => ids.size > 1).length
    return { told, stored, twice, cuts: cutSoFar, seconds }
  } finally {
    await gateway.end()
    await sink.stop()
    await sandbox.stop()
  }
}
