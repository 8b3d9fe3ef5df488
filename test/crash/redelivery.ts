/**
 * WhatsApp delivers again what it has delivered before: every message of people and of a group, many times, in another
 * order each time, to the process that has handled it and to the one after a kill.
 */
import { until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { startSink } from '../harness/sink'
import { numberOf, pairAll, wabunGateway } from '../harness/world'
import type { GuardName } from './guards'

export type RedeliveryOptions = {
  seed: number
  messages: number
  /** How often each comes again, before the kill and after it. */
  times: number
  /** Run without this guard. */
  without?: GuardName
}

export type Redelivered = {
  /** Stanzas that came again. */
  again: number
  /** Rows of the history that nobody has said or that stand there twice. */
  rowsTooMany: number
  /** Events about a message beyond its first, in the journal and at the webhook. */
  eventsTooMany: number
  /** Messages that could not be decrypted, and stanzas that were refused. */
  troubles: string[]
}

type Page = { events: { id: string; event: string; messageId?: string }[]; cursor: string; hasMore: boolean }

/** Runs it; rejects when a message does not arrive at all. */
export async function redelivered(options: RedeliveryOptions): Promise<Redelivered> {
  const { seed, messages, times, without } = options
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const [us, ...peers] = [0, 1, 2, 3].map((index) => numberOf(index))
  const [owner] = peers
  if (us === undefined || owner === undefined) throw new Error('There is no number')
  for (const peer of peers) await sandbox.addPhone(peer)
  const wabun = wabunGateway({
    sandbox,
    preload: './test/crash/saboteur.ts',
    env: { LOG_LEVEL: 'warn', ...(without === undefined ? {} : { CRASH_WITHOUT: without }) },
  })
  try {
    await wabun.start()
    const [id = ''] = await pairAll(wabun, sandbox, [us])
    await wabun.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
    const group = await sandbox.addGroup(owner, 'again and again', [us, ...peers.slice(1)])
    await sandbox.remember(us)
    const texts = Array.from({ length: messages }, (_, n) => `message ${n}`)
    const ids = await sandbox.burst(
      texts.map((text, n) => ({
        from: peers[n % peers.length] ?? '',
        to: n % 4 === 0 ? group : us,
        text,
      })),
    )
    const isTold = (messageId: string) => sink.deliveries.some((delivery) => delivery.messageId === messageId)
    await until('all messages', () => (ids.every(isTold) ? true : null))

    /** Stanzas are handled one after another: when the message behind them has come, they have been. */
    const comeAgain = async (salt: number): Promise<number> => {
      const sent = await sandbox.redeliver(us, times, seed + salt)
      const last = await sandbox.say(owner, us, `behind them ${salt}`)
      ids.push(last)
      await until('the message behind them', () => (isTold(last) ? true : null), 300_000)
      return sent
    }
    let again = await comeAgain(1)
    await wabun.kill()
    await wabun.start()
    await until('a connection', async () => ((await wabun.statusOf(id)) === 'connected' ? true : null))
    again += await comeAgain(2)

    const rows = await wabun.history(id)
    const told: string[] = []
    for (let after = ''; ; ) {
      const page = await wabun.api<Page>('GET', `/api/events?limit=100${after}`)
      for (const { event, messageId } of page.events)
        if (event === 'message.received' && messageId) told.push(messageId)
      after = `&after=${page.cursor}`
      if (!page.hasMore) break
    }
    const atWebhook = new Set(
      sink.deliveries.flatMap(({ event, messageId, body }) =>
        event === 'message.received' ? [`${messageId} ${body.id}`] : [],
      ),
    )
    const { unreadable } = await sandbox.confirmed(us)
    return {
      again,
      rowsTooMany: rows.length - ids.length,
      eventsTooMany: told.length - ids.length + (atWebhook.size - ids.length),
      troubles: [...unreadable, ...(await sandbox.refused())],
    }
  } finally {
    await wabun.end()
    await sink.stop()
    await sandbox.stop()
  }
}
