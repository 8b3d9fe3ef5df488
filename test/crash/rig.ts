/**
 * The crash rig: bursts of messages, SIGKILL in the middle of them, a new start, and a count of what is missing.
 *
 * The sandbox is a process of its own and survives, as WhatsApp does. Every random choice comes from one seed.
 */
import { seeded, until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { startSink } from '../harness/sink'
import { type Gateway, numberOf, pairAll, rawGateway, wabunGateway } from '../harness/world'

export const BURST = 20

/** What a run of rounds came to. `strange` names anything else that must not be. */
export type Tally = { sent: number; lost: string[]; doubled: string[]; strange: string[]; kills: number }

const emptyTally = (): Tally => ({ sent: 0, lost: [], doubled: [], strange: [], kills: 0 })

/** One linked session of the product, or of the raw gateway as control, with two phones that write to it. */
export interface CrashRig {
  /** A burst towards the session; the service dies when the `k`-th message of it reaches the webhook receiver. */
  inboundRound(tally: Tally): Promise<void>
  /** Sends with an Idempotency-Key each, repeated until answered; the service dies at a random moment. */
  outboundRound(tally: Tally): Promise<void>
  stop(): Promise<void>
}

export type RigOptions = {
  seed: number
  /** `off` puts the raw Baileys gateway in the product's place: it must lose messages, or the rig proves nothing. */
  guard: 'on' | 'off'
  say?: (line: string) => void
}

/**
 * When the service dies: as the k-th message reaches the webhook receiver, or as WhatsApp takes the receipt of the k-th,
 * after which it will never send that message again.
 */
const MOMENTS = ['sink', 'receipt'] as const

async function within(what: string, moment: Promise<unknown>, ms = 30_000): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`Waited ${ms} ms in vain: ${what}`)), ms)
  await Promise.race([moment, late.promise]).finally(() => clearTimeout(timer))
}

/** How long a message may be missing after a restart before it counts as lost (ms). */
const PATIENCE = { on: 30_000, off: 2_500 }
const OUTGOING = 12

/** Starts the processes, links the session and resolves when it is connected. */
export async function startCrashRig(options: RigOptions): Promise<CrashRig> {
  const random = seeded(options.seed)
  const say = options.say ?? (() => undefined)
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const us = numberOf(0)
  const peers = [numberOf(1), numberOf(2)]
  for (const peer of peers) await sandbox.addPhone(peer)
  const wabun = options.guard === 'on' ? wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } }) : null
  const gateway: Gateway = wabun ?? rawGateway({ sandbox, webhookUrl: sink.url })
  await gateway.start()
  const [id = ''] = await pairAll(gateway, sandbox, [us])
  if (wabun !== null)
    await wabun.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
  let round = 0

  const restart = async (tally: Tally) => {
    tally.kills += 1
    await gateway.start()
    const status = await until('the session after the restart', async () => {
      const now = await gateway.statusOf(id)
      return now === 'connected' || now === 'qr_generated' ? now : null
    })
    if (status !== 'connected') tally.strange.push(`round ${round}: ${status} after the restart`)
  }

  const arrived = () =>
    new Map(
      sink.deliveries
        .filter((delivery) => delivery.event === 'message.received')
        .map((delivery) => [String(delivery.body.text), delivery]),
    )

  /** Texts that are not where they belong yet. */
  const missing = async (texts: readonly string[]): Promise<string[]> => {
    const atSink = arrived()
    const notTold = texts.filter((text) => !atSink.has(text))
    if (wabun === null || notTold.length > 0) return notTold
    const stored = new Set((await wabun.history(id)).map((message) => message.text))
    return texts.filter((text) => !stored.has(text))
  }

  const checkDoubles = async (texts: readonly string[], tally: Tally) => {
    const eventIds = new Map<string, Set<string>>()
    for (const delivery of sink.deliveries) {
      if (delivery.event !== 'message.received') continue
      const ids = eventIds.get(String(delivery.body.text)) ?? new Set()
      eventIds.set(String(delivery.body.text), ids.add(String(delivery.body.id)))
    }
    if (wabun === null) return
    for (const [text, ids] of eventIds)
      if (ids.size > 1) tally.doubled.push(`${text}: told as ${ids.size} different events`)
    const times = new Map<string, number>()
    for (const message of await wabun.history(id))
      times.set(message.text ?? '', (times.get(message.text ?? '') ?? 0) + 1)
    for (const text of texts)
      if ((times.get(text) ?? 0) > 1) tally.doubled.push(`${text}: ${times.get(text)} times in the history`)
  }

  return {
    async inboundRound(tally) {
      round += 1
      sink.clear()
      const k = 1 + Math.floor(random() * BURST)
      // Every second burst is sent while the service is down and comes as the backlog of a new connection.
      const away = round % 2 === 0
      const texts = Array.from({ length: BURST }, (_, n) => `round ${round} message ${n}`)
      const moment = MOMENTS[Math.floor((round - 1) / 2) % MOMENTS.length] ?? 'sink'
      let seen = 0
      const told = Promise.withResolvers<void>()
      const stopListening = sink.onDelivery((delivery) => {
        if (delivery.event !== 'message.received' || !texts.includes(String(delivery.body.text))) return
        seen += 1
        if (moment === 'sink' && seen === k) told.resolve(gateway.kill())
      })
      const atReceipt = (pid: number) => sandbox.killAt('receipt', pid, us, k)
      const burst = () =>
        sandbox.burst(texts.map((text, n) => ({ from: peers[n % peers.length] ?? '', to: us, text })))
      if (away) {
        await gateway.kill()
        await burst()
        // It may be dead before it has said that it listens.
        if (moment === 'receipt') await gateway.start({}, atReceipt).catch(() => undefined)
        else await gateway.start()
      } else {
        if (moment === 'receipt') await atReceipt(gateway.child.pid)
        await burst()
      }
      const dead = moment === 'sink' ? told.promise : gateway.child.exited
      await within(`the ${k}-th ${moment} of round ${round}`, dead)
      stopListening()
      await restart(tally)
      await until(
        'all messages',
        async () => ((await missing(texts)).length === 0 ? true : null),
        PATIENCE[options.guard],
        50,
      ).catch(() => undefined)
      const lost = await missing(texts)
      tally.sent += texts.length
      tally.lost.push(...lost)
      await checkDoubles(texts, tally)
      say(
        `round ${round}: ${away ? 'backlog' : 'live'}, killed at ${moment} ${k} of ${BURST}, ${lost.length} lost`,
      )
    },

    async outboundRound(tally) {
      round += 1
      const to = peers[0] ?? ''
      const texts = Array.from({ length: OUTGOING }, (_, n) => `round ${round} sent ${n}`)
      const answered = new Map<string, string>()
      const sendUntilAnswered = async (text: string) => {
        const refusals = new Set<string>()
        const messageId = await until(
          `an answer for ${text}`,
          async () => {
            try {
              return await gateway.send(id, to, text, `key-of-${text.replaceAll(' ', '-')}`)
            } catch (error) {
              refusals.add(error instanceof Error ? error.message : String(error))
              return null
            }
          },
          60_000,
          100,
        ).catch((error: Error) => {
          throw new Error(`${error.message}; the answers were ${[...refusals].join(' | ')}`)
        })
        answered.set(text, messageId)
      }
      const killed = Bun.sleep(Math.floor(random() * 40)).then(() => gateway.kill())
      const lanes = [0, 1, 2].map(async (lane) => {
        for (let n = lane; n < texts.length; n += 3) await sendUntilAnswered(texts[n] ?? '')
      })
      await killed
      await restart(tally)
      await Promise.all(lanes)
      const received = () => sandbox.received(to)
      await until(
        'all messages at the phone',
        async () => {
          const there = new Set((await received()).map((message) => message.text))
          return texts.every((text) => there.has(text)) ? true : null
        },
        20_000,
      ).catch(() => undefined)
      const byText = new Map<string, string[]>()
      for (const message of await received())
        byText.set(message.text ?? '', [...(byText.get(message.text ?? '') ?? []), message.id])
      tally.sent += texts.length
      for (const text of texts) {
        const ids = byText.get(text) ?? []
        if (ids.length === 0) tally.lost.push(text)
        if (ids.length > 1) tally.doubled.push(`${text}: at the phone as ${ids.join(', ')}`)
        if (ids.length === 1 && ids[0] !== answered.get(text))
          tally.strange.push(`${text}: answered ${answered.get(text)}, arrived as ${ids[0]}`)
      }
      say(`round ${round}: ${OUTGOING} sent over a kill, ${tally.lost.length} lost so far`)
    },

    async stop() {
      await gateway.end()
      await sink.stop()
      await sandbox.stop()
    },
  }
}

/** Runs rounds of one kind and adds them up. */
export async function runRounds(rig: CrashRig, kind: 'inbound' | 'outbound', rounds: number): Promise<Tally> {
  const tally = emptyTally()
  for (let round = 0; round < rounds; round++)
    await (kind === 'inbound' ? rig.inboundRound(tally) : rig.outboundRound(tally))
  return tally
}
