/**
 * Traffic both ways, and a process that dies at named points, again and again; then a rest, and the judge.
 *
 * The sandbox, the webhook's receiver and the stream's reader live on, as the world does. Every random choice comes from
 * one seed. Within a batch the service is started armed, killed, and started armed again, so that recoveries are killed
 * as well; a batch ends with a start that nobody disturbs.
 */
import { FAULT_POINTS, type FaultPoint } from '../../src/lib/fault-points'
import { seeded, until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { API_KEY, numberOf, pairAll, wabunGateway } from '../harness/world'
import type { GuardName } from './guards'
import { type Accepted, faultsIn, type History, judge, type Row, type Told, type Verdict } from './history'
import { startMoodySink } from './moody-sink'
import { createStreamReader } from './stream-reader'
import { createTraffic } from './traffic'

/**
 * Two from outside: `receipt taken`, as WhatsApp takes the n-th receipt, after which it never sends that message again;
 * `message taken`, as it takes our n-th message.
 */
export const POINTS = [...FAULT_POINTS, 'receipt taken', 'message taken'] as const
export type Point = FaultPoint | 'receipt taken' | 'message taken'

export type PointRigOptions = {
  seed: number
  points?: readonly Point[]
  /** Orders of phones for each kill. */
  burst?: number
  /** Sends of ours for each kill. */
  sends?: number
  /** WhatsApp delivers every message twice. */
  twice?: boolean
  /** Phones that write to us, and chats that we write to; three unless given, and never fewer. */
  chats?: number
  /** Share of the webhook's posts that fail. The waits between attempts are short then. */
  sinkFails?: number
  /** Run without this guard. */
  without?: GuardName
  /** How long nothing may move before a batch counts as at rest, whatever is missing (ms). */
  patience?: number
  say?: (line: string) => void
}

/** `at`: killed there; `missed`: the point was not passed so often, and the process was killed when all was quiet. */
export type PointTally = Record<string, { at: number; missed: number; broken: number }>

/** `confirmed`: of what was said, how much WhatsApp was told has arrived; `failed`: posts that the webhook did not take. */
export type Batch = Verdict & {
  kills: number
  said: number
  confirmed: number
  accepted: number
  failed: number
}

export interface PointRig {
  readonly points: PointTally
  /** So many kills at points of the seed's choice, or at one; then a rest and the verdict. */
  batch(kills: number, point?: Point): Promise<Batch>
  /** One kill at each of these. */
  batchAt(points: readonly Point[]): Promise<Batch>
  /** Sends into a connection behind which nobody listens, and a kill; what was written there has reached nobody. */
  swallowed(sends: number): Promise<Batch>
  /** A kill the moment a message to the group counts as sent, and another message to it, for everybody to read. */
  afterSent(): Promise<Batch>
  stop(): Promise<void>
}

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=='
/** Points that pass but a few times in a burst, because many things share one commit or files are rare. */
const RARE: ReadonlySet<Point> = new Set([
  'delivery stored',
  'send accepted',
  'frame written',
  'acknowledgement arrived',
  'sent committed',
  'file uploaded',
  'file attached',
  'message taken',
])
const OUTSIDE: Partial<Record<Point, 'receipt' | 'message'>> = {
  'receipt taken': 'receipt',
  'message taken': 'message',
}
/** How long a send may be refused: the kills of a whole batch, for it may want a connection (ms). */
const ANSWERED_WITHIN = 900_000
/** Phones in the group. */
const MEMBERS = 3
/** One in so many of our messages goes to the group. */
const TO_GROUP = 5
/** The n-th passing at which it dies: at most this, or as many as there are messages. */
const MOST_RARE = 3

type View = Record<string, unknown> & { id: string; from: string; status: string }
type Pulled = { events: Record<string, unknown>[]; cursor: string; hasMore: boolean }

/** Rows read beyond those that are new. */
const OVERLAP = 60

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const toldBy = (body: Record<string, unknown>): Told => ({
  id: textOf(body.id),
  seq: Number(/-(\d+)$/.exec(textOf(body.cursor))?.[1] ?? 0),
  event: textOf(body.event),
  messageId: typeof body.messageId === 'string' ? body.messageId : null,
  fromMe: body.fromMe === true || body.from === 'me',
})

/** What deeds have made of a message, in one word. */
function lookOf(view: View): string {
  const reactions = (view.reactions ?? []) as { emoji: string }[]
  const votes = (view.votes ?? []) as { option: string; count: number }[]
  const [reaction] = reactions
  if (reaction) return reactions.length === 1 ? reaction.emoji : `${reactions.length} reactions`
  if (view.editedAt !== undefined) return textOf(view.text)
  const chosen = votes.filter(({ count }) => count > 0)
  return chosen.map(({ option, count }) => `${option} by ${count}`).join(', ')
}

/** Starts everything, links the session and resolves when it is connected. */
export async function startPointRig(options: PointRigOptions): Promise<PointRig> {
  const { seed, points = POINTS, burst = 24, sends = 4, chats = 3, sinkFails = 0, without } = options
  const { patience = 30_000 } = options
  const say = options.say ?? (() => undefined)
  const random = seeded(seed)
  const sandbox = await startSandboxProcess()
  const sink = await startMoodySink({ fails: sinkFails, random: seeded(seed + 1) })
  const us = numberOf(0)
  const peers = Array.from({ length: Math.max(MEMBERS, chats) }, (_, at) => numberOf(at + 1))
  const members = peers.slice(0, MEMBERS)
  for (const peer of peers) await sandbox.addPhone(peer)
  const wabun = wabunGateway({
    sandbox,
    preload: './test/crash/saboteur.ts',
    env: {
      LOG_LEVEL: 'warn',
      ...(without === undefined ? {} : { CRASH_WITHOUT: without }),
      ...(sinkFails > 0 ? { CRASH_WAITS: 'short' } : {}),
    },
  })
  await wabun.start()
  const [id = ''] = await pairAll(wabun, sandbox, [us])
  const group = await sandbox.addGroup(members[0] ?? '', 'crash', [us, ...members.slice(1)])
  await wabun.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })

  const pulledFrom = async (from: string | null): Promise<{ events: Told[]; cursor: string }> => {
    const events: Told[] = []
    for (let after = from; ; ) {
      const query = after === null ? '' : `&after=${after}`
      const page = await wabun.api<Pulled>('GET', `/api/events?limit=100${query}`)
      events.push(...page.events.map(toldBy))
      after = page.cursor
      if (!page.hasMore) return { events, cursor: after }
    }
  }
  const count = async (which: string) =>
    (await wabun.api<{ total: number }>('GET', `/api/messages/history/${id}?limit=1${which}`)).total
  const total = () => count('')
  const queued = () => count('&status=queued')
  const newest = async (count: number): Promise<View[]> => {
    const views: View[] = []
    while (views.length < count) {
      const page = await wabun.api<{ messages: View[]; hasMore: boolean }>(
        'GET',
        `/api/messages/history/${id}?limit=100&offset=${views.length}`,
      )
      views.push(...page.messages)
      if (!page.hasMore) break
    }
    return views.slice(0, count)
  }

  const traffic = createTraffic({ us, group, peers, members, random })
  const tally: PointTally = Object.fromEntries(
    points.map((point) => [point, { at: 0, missed: 0, broken: 0 }]),
  )
  let sendNumber = 0
  let accepted: Accepted[] = []
  /** Sends that nobody has said anything to, however often they were repeated. */
  let unanswered: string[] = []
  /** Kills since the last verdict, at points or not. */
  let kills = 0
  const atPhones = new Map(peers.map((peer) => [peer, 0]))

  /** All phones see each other before the first kill, and the readers stand at the same place. */
  const warm = traffic.orders(4 * peers.length)
  await sandbox.burst(warm)
  await until('the first messages', async () => ((await total()) >= warm.length ? true : null))
  await sandbox.confirmed(us)
  traffic.clear()
  let { cursor } = await pulledFrom(null)
  /** Everything up to here has been judged. */
  let judgedSeq = seqOf(cursor)
  /** What has been pulled since. */
  let journal: Told[] = []
  const pull = async () => {
    const more = await pulledFrom(cursor)
    journal.push(...more.events)
    cursor = more.cursor
  }
  const reader = createStreamReader({ 'x-api-key': API_KEY }, cursor)
  if (options.twice) await sandbox.fault({ kind: 'duplicate', phoneNumber: us })
  let rows = await total()
  /** Rows of the batch before. */
  let judged = new Set((await newest(OVERLAP)).map((view) => view.id))

  /** Repeated under its key until the service says that it has it. */
  const sendOnce = async (isFile: boolean, queue = sendNumber % 2 === 1, place?: string): Promise<void> => {
    sendNumber += 1
    const text = `ours ${sendNumber}`
    const to = place ?? (sendNumber % TO_GROUP === 0 ? group : (peers[sendNumber % peers.length] ?? ''))
    const key = { 'idempotency-key': `seed-${seed}-${sendNumber}` }
    const refusals = new Set<string>()
    const [path, body] = isFile
      ? (['image', { imageBase64: PIXEL, caption: text }] as const)
      : (['text', { text, queue }] as const)
    const answer = await until(
      `an answer for “${text}”`,
      () =>
        wabun
          .api<{ messageId: string }>(
            'POST',
            `/api/messages/send/${path}`,
            { sessionId: id, to, ...body },
            key,
          )
          .catch((error: unknown) => {
            refusals.add(String(error))
            return null
          }),
      ANSWERED_WITHIN,
      300,
    ).catch((error: unknown) => {
      unanswered.push(`${String(error)}; the answers were ${[...refusals].join(' | ')}`)
      return null
    })
    if (answer === null) return
    const recipients = to === group ? members : [to]
    accepted.push(...recipients.map((recipient) => ({ id: answer.messageId, to: recipient, text })))
  }

  const speak = async (count: number) => {
    const orders = traffic.orders(count)
    traffic.noted(orders, await sandbox.burst(orders))
  }

  const oneKill = async (point: Point, sending: Promise<void>[]): Promise<void> => {
    const count = tally[point] ?? { at: 0, missed: 0, broken: 0 }
    tally[point] = count
    const at = 1 + Math.floor(random() * (RARE.has(point) ? MOST_RARE : burst))
    const outside = OUTSIDE[point]
    // Half of it waits for the service as the backlog of a new connection, the other half comes while it lives.
    const backlog = Math.floor(burst / 2)
    await speak(backlog)
    const armed: Record<string, string> = outside ? {} : { CRASH_POINT: point, CRASH_AT: String(at) }
    let dead = false
    try {
      await wabun.start(armed, (pid) => {
        if (outside) void sandbox.killAt(outside, pid, us, at)
      })
    } catch (error) {
      // Killed before it has said that it listens; anything else is a failure of its own.
      if (!String(error).includes('exit code 137')) throw error
      count.at += 1
      kills += 1
      await speak(burst - backlog)
      return
    }
    const gone = wabun.child.exited.then(() => {
      dead = true
    })
    await reader.follow(wabun.child.url).catch(() => undefined)
    const isFile = point === 'file uploaded' || point === 'file attached'
    const late = speak(burst - backlog)
    for (let n = 0; n < sends; n++) sending.push(sendOnce(isFile || n === 3))
    await late
    // Not passed often enough: all of this start has been dealt with, or time is up.
    let quietSince = performance.now()
    let seen = sink.posts
    while (!dead && performance.now() - quietSince < 700) {
      await Promise.race([gone, Bun.sleep(50)])
      if (sink.posts !== seen) quietSince = performance.now()
      seen = sink.posts
    }
    if (dead) count.at += 1
    else {
      count.missed += 1
      await wabun.kill()
    }
    kills += 1
    await gone
  }

  const rest = async (sending: Promise<void>[]): Promise<void> => {
    await wabun.start()
    await reader.follow(wabun.child.url)
    await Promise.all(sending)
    const theirs = traffic.said.filter(({ isDeed }) => !isDeed).length
    const wanted = rows + theirs + new Set(accepted.map((one) => one.id)).size
    const missing = async (): Promise<string | null> => {
      const state = `${await total()} rows, ${await queued()} queued, ${sink.posts} posts`
      await pull()
      const delivered = new Set(sink.taken.map(({ body }) => body.id))
      const streamed = new Set(reader.frames.map((frame) => frame.id))
      const isTold = journal.every((event) => delivered.has(event.id) && streamed.has(event.id))
      return isTold && state.startsWith(`${wanted} rows, 0 queued`) ? null : state
    }
    // As long as anything moves it may take its time.
    for (let last = '', since = performance.now(); performance.now() - since < patience; ) {
      const now = await missing()
      if (now === null) break
      if (now !== last) since = performance.now()
      last = now
      await Bun.sleep(200)
    }
    for (const peer of peers) {
      const texts = accepted.filter(({ to }) => to === peer).map(({ text }) => text)
      if (texts.length === 0) continue
      const isThere = async () => {
        const there = new Set((await sandbox.received(peer, atPhones.get(peer))).map(({ text }) => text))
        return texts.every((text) => there.has(text)) ? true : null
      }
      await until('all at the phones', isThere, patience / 3, 100).catch(() => undefined)
    }
  }

  const recorded = async (): Promise<History> => {
    const before = rows
    rows = await total()
    // Our clock counts in milliseconds and WhatsApp's in seconds, so the last rows of a batch may stand among the next.
    const fresh = (await newest(rows - before + OVERLAP)).filter((view) => !judged.has(view.id))
    const views = fresh.slice(0, rows - before)
    judged = new Set(views.map((view) => view.id))
    await pull()
    const { ids, unreadable } = await sandbox.confirmed(us)
    const arrived = new Map<string, { id: string; text: string | null }[]>()
    for (const peer of peers) {
      const got = await sandbox.received(peer, atPhones.get(peer))
      atPhones.set(peer, (atPhones.get(peer) ?? 0) + got.length)
      arrived.set(peer, got)
    }
    const history: History = {
      said: traffic.said,
      confirmed: new Set(ids),
      stored: views
        .toReversed()
        .map((view): Row => ({ id: view.id, fromMe: view.from === 'me', status: view.status })),
      journal,
      delivered: sink.taken.map(({ body }) => toldBy(body)).filter(({ seq }) => seq > judgedSeq),
      failures: sink.failures,
      seen: reader.frames.map(toldBy),
      accepted,
      arrived,
      unreadable,
      deeds: traffic.deeds,
      looks: new Map(views.map((view) => [view.id, lookOf(view)])),
      kills,
    }
    return history
  }

  async function killed(): Promise<void> {
    kills += 1
    await wabun.kill()
  }

  async function connectedAgain(env: Record<string, string> = {}): Promise<void> {
    await killed()
    await wabun.start(env)
    await reader.follow(wabun.child.url)
    await until('a connection', async () => ((await wabun.statusOf(id)) === 'connected' ? true : null))
  }

  async function batchAt(chosen: readonly Point[]): Promise<Batch> {
    const sending: Promise<void>[] = []
    await killed()
    for (const point of chosen) await oneKill(point, sending)
    await rest(sending)
    return verdictOf(chosen)
  }

  async function swallowed(sends: number): Promise<Batch> {
    await connectedAgain()
    // Nothing has to be asked any more before something is written to these.
    await Promise.all(members.map((member) => sendOnce(false, false, member)))
    await sandbox.fault({ kind: 'stall', phoneNumber: us })
    await Promise.all(Array.from({ length: sends }, (_, at) => sendOnce(false, true, members[at % MEMBERS])))
    const allSent = async () => ((await queued()) > 0 ? null : true)
    // What is taken for sent now has not been; with the guard this waits in vain.
    await until('all sent', allSent, without === undefined ? 1_000 : 60_000).catch(() => undefined)
    await killed()
    await sandbox.clearFaults()
    if (options.twice) await sandbox.fault({ kind: 'duplicate', phoneNumber: us })
    await rest([])
    return verdictOf(['frame written'])
  }

  async function afterSent(): Promise<Batch> {
    // Everybody has the key of the group before.
    await connectedAgain()
    await sendOnce(false, false, group)
    await connectedAgain({ CRASH_POINT: 'sent committed' })
    const last = sendOnce(false, true, group)
    await wabun.child.exited
    kills += 1
    await rest([last, sendOnce(false, true, group)])
    return verdictOf(['sent committed'])
  }

  async function verdictOf(chosen: readonly Point[]): Promise<Batch> {
    const history = await recorded()
    const verdict = judge(history)
    verdict.strange.push(...unanswered)
    unanswered = []
    const sent = new Set(history.accepted.map((one) => one.id)).size
    const { said } = history
    const batch = {
      ...verdict,
      kills: chosen.length,
      said: said.length,
      confirmed: said.filter((one) => history.confirmed.has(one.id)).length,
      accepted: sent,
      failed: [...sink.failures.values()].flat().length,
    }
    if (faultsIn(verdict) > 0) for (const point of new Set(chosen)) if (tally[point]) tally[point].broken += 1
    say(
      `${chosen.length} kills (${[...new Set(chosen)].join(', ')}): ${batch.said} in, ${batch.accepted} out, ${verdict.lost.length} lost, ${verdict.doubled.length} doubled, ${verdict.disordered.length} disordered, ${verdict.strange.length} strange, ${verdict.repeated} deliveries repeated, ${batch.failed} refused`,
    )
    accepted = []
    journal = []
    judgedSeq = seqOf(cursor)
    kills = 0
    traffic.clear()
    sink.clear()
    reader.clear()
    return batch
  }

  return {
    points: tally,
    batchAt,
    swallowed,
    afterSent,
    batch: (kills, only) =>
      batchAt(
        Array.from(
          { length: kills },
          () => only ?? points[Math.floor(random() * points.length)] ?? 'stanza read',
        ),
      ),
    async stop() {
      reader.stop()
      await wabun.end()
      await sink.stop()
      await sandbox.stop()
    },
  }
}

const seqOf = (cursor: string): number => Number(/-(\d+)$/.exec(cursor)?.[1] ?? 0)
