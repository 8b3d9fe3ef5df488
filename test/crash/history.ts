/**
 * What happened in a run, written down from outside, and the judge over it.
 *
 * The promises form a chain: what WhatsApp was told has arrived is stored, what is stored was told in an event, and every
 * event has reached the webhook and the stream. The other way round, every accepted message has come to an end and is at
 * its recipient once.
 */

/**
 * A message that somebody has sent to the session. Those of one `line` have an order; null = it is said when it is ready.
 * A deed acts on an earlier message and is shown there, not by itself.
 */
export type Said = { id: string; line: string | null; isDeed: boolean }
/** A message that the service has accepted. */
export type Accepted = { id: string; to: string; text: string }
/** An event as one of the readers got it. `seq` is the journal's number. */
export type Told = {
  id: string
  seq: number
  event: string
  messageId: string | null
  fromMe: boolean
}
/** A row of the message history. */
export type Row = { id: string; fromMe: boolean; status: string }
/** A deed and what the message it acts on should look like since: `look` in the words of the API. */
export type Deed = { targetId: string; look: string }

export type History = {
  /** Those of a line in the order in which they were said. */
  said: readonly Said[]
  /** Ids whose arrival was confirmed to WhatsApp. */
  confirmed: ReadonlySet<string>
  /** Oldest first. */
  stored: readonly Row[]
  /** The journal, as pulled when all was quiet. */
  journal: readonly Told[]
  /** The webhook's deliveries that were answered 2xx, in the order of their arrival, repetitions included. */
  delivered: readonly Told[]
  /** By id of the event: how the webhook's receiver answered other attempts, 0 for not at all. */
  failures?: ReadonlyMap<string, readonly number[]>
  /** The frames of the stream, over all its connections. */
  seen: readonly Told[]
  accepted: readonly Accepted[]
  /** By recipient: what is in that phone, decrypted. */
  arrived: ReadonlyMap<string, readonly { id: string; text: string | null }[]>
  /** Messages that somebody could not decrypt: a ratchet was behind the wire. */
  unreadable: readonly string[]
  deeds: readonly Deed[]
  /** How the targets of deeds look now, by id. */
  looks: ReadonlyMap<string, string>
  /** Times at which the process was killed. */
  kills: number
}

export type Verdict = {
  /** Promises broken: what is missing, and where. */
  lost: string[]
  /** What is there more than once. */
  doubled: string[]
  /** Events that came in another order than the journal's, or messages in another than their chat's. */
  disordered: string[]
  /** Anything else that must not be. */
  strange: string[]
  /** Deliveries that came again under the same event id; allowed, one for each kill and lane. */
  repeated: number
}

const without = <T>(all: Iterable<T>, those: ReadonlySet<T>): T[] => [...all].filter((one) => !those.has(one))

/** Values that come more than once. */
function repeats(values: readonly string[]): string[] {
  const once = new Set<string>()
  return [...new Set(values.filter((value) => once.size === once.add(value).size))]
}

/** The first of each id, in order. */
function firsts(events: readonly Told[]): Told[] {
  const known = new Set<string>()
  return events.filter(({ id }) => known.size !== known.add(id).size)
}

const isDescending = (events: readonly Told[]): Told[] =>
  events.filter(({ seq }, at) => seq < (events[at - 1]?.seq ?? 0))

const name = ({ event, messageId, seq }: Told) => `${event} ${messageId ?? ''} (${seq})`

/**
 * Outcomes of a lane that may not be on disk yet when a kill comes: it goes on while they are written together. What was
 * set aside stands in a lane of its own, which does not.
 */
const IN_A_TURN = 16

const ENDED = new Set(['sent', 'delivered', 'read', 'played', 'failed'])

/** Judges a run that has come to rest. */
export function judge(history: History): Verdict {
  const verdict: Verdict = { lost: [], doubled: [], disordered: [], strange: [], repeated: 0 }
  const { said, confirmed, stored, journal, delivered, seen, accepted, arrived } = history
  const failures = history.failures ?? new Map<string, number[]>()
  const rows = new Map(stored.map((row) => [row.id, row]))

  // Confirmed to WhatsApp or not: what was said is stored, or it has not come yet, which at rest is no excuse.
  for (const { id, isDeed } of said) {
    if (rows.has(id) || isDeed) continue
    verdict.lost.push(confirmed.has(id) ? `${id}: confirmed to WhatsApp, not stored` : `${id}: never arrived`)
  }
  for (const id of repeats(stored.map((row) => row.id))) verdict.doubled.push(`${id}: stored twice`)
  const foreign = new Set([...said.map(({ id }) => id), ...accepted.map(({ id }) => id)])
  for (const id of without(rows.keys(), foreign))
    verdict.strange.push(`${id}: stored, and nobody has said it`)

  const arrivals = journal.filter(
    ({ messageId, fromMe, event }) => !fromMe && messageId !== null && isArrival(event),
  )
  const toldOf = new Set(arrivals.map(({ messageId }) => messageId))
  for (const { id, isDeed } of said)
    if ((rows.has(id) || isDeed) && !toldOf.has(id))
      verdict.lost.push(`${id}: ${confirmed.has(id) ? 'confirmed to WhatsApp' : 'said'}, not told`)
  for (const id of repeats(arrivals.map(({ messageId }) => messageId ?? '')))
    verdict.doubled.push(`${id}: told in two events`)
  for (const id of repeats(journal.map((event) => event.id)))
    verdict.doubled.push(`event ${id}: twice in the journal`)

  const atWebhook = new Set(delivered.map(({ id }) => id))
  const inStream = new Set(seen.map(({ id }) => id))
  for (const event of journal) {
    if (!atWebhook.has(event.id)) verdict.lost.push(`${name(event)}: not delivered to the webhook`)
    if (!inStream.has(event.id)) verdict.lost.push(`${name(event)}: not in the stream`)
  }
  const known = new Set(journal.map(({ id }) => id))
  for (const event of firsts([...delivered, ...seen]))
    if (!known.has(event.id)) verdict.strange.push(`${name(event)}: told before it was on disk`)

  verdict.repeated = delivered.length - atWebhook.size
  if (verdict.repeated > history.kills * (IN_A_TURN + (failures.size > 0 ? 1 : 0)))
    verdict.doubled.push(`${verdict.repeated} deliveries repeated over ${history.kills} kills`)
  for (const id of repeats(seen.map((event) => event.id)))
    verdict.doubled.push(`event ${id}: twice in the stream`)
  const inLane = firsts(delivered).filter(({ id }) => !isSetAside(failures.get(id) ?? []))
  for (const event of isDescending(inLane)) verdict.disordered.push(`${name(event)}: late at the webhook`)
  for (const event of isDescending(seen)) verdict.disordered.push(`${name(event)}: late in the stream`)
  verdict.disordered.push(
    ...disorderOfLines(said, arrivals).map((id) => `${id}: told after a later one of its line`),
    ...disorderOfLines(
      said,
      stored.map(({ id }) => ({ messageId: id })),
    ).map((id) => `${id}: behind a later one of its line in the history`),
  )

  for (const { id, to, text } of accepted) {
    const row = rows.get(id)
    if (!row) verdict.lost.push(`${id}: accepted, not stored`)
    else if (!ENDED.has(row.status)) verdict.lost.push(`${id}: accepted and still ${row.status}`)
    const there = (arrived.get(to) ?? []).filter((message) => message.text === text)
    if (there.length === 0 && row?.status !== 'failed')
      verdict.lost.push(`${id}: ${row?.status}, not at ${to}`)
    if (there.length > 1) verdict.doubled.push(`${id}: ${there.length} times at ${to}`)
    for (const other of there) if (other.id !== id) verdict.strange.push(`${id}: arrived as ${other.id}`)
  }
  for (const id of history.unreadable) verdict.strange.push(`${id}: could not be decrypted`)
  for (const { targetId, look } of history.deeds) {
    const now = history.looks.get(targetId)
    if (now !== look) verdict.strange.push(`${targetId}: should be ${look} and is ${now ?? 'nothing'}`)
  }
  return verdict
}

/** Whether an event tells of a message that has come, whatever it is. */
const isArrival = (event: string): boolean => ARRIVALS.has(event)
const ARRIVALS = new Set([
  'message.received',
  'message.reaction',
  'message.edited',
  'message.deleted',
  'message.poll_vote',
])

/**
 * Whether an event may come behind later ones of its session: the receiver has refused it, or was down for more than the
 * two retries for which those behind it wait.
 */
function isSetAside(statuses: readonly number[]): boolean {
  const isRefusal = (status: number) => status >= 400 && status < 500 && !OF_THE_MOMENT.has(status)
  return statuses.length > 2 || statuses.some(isRefusal)
}
const OF_THE_MOMENT = new Set([408, 410, 425, 429])

/** Messages that come in another order than they were said in. */
function disorderOfLines(said: readonly Said[], arrivals: readonly Pick<Told, 'messageId'>[]): string[] {
  const place = new Map(said.map(({ id }, at) => [id, at]))
  const lineOf = new Map(said.map(({ id, line }) => [id, line]))
  const last = new Map<string, number>()
  const late: string[] = []
  for (const { messageId } of arrivals) {
    const at = place.get(messageId ?? '')
    const line = lineOf.get(messageId ?? '')
    if (at === undefined || line === undefined || line === null) continue
    if (at < (last.get(line) ?? -1)) late.push(messageId ?? '')
    last.set(line, Math.max(at, last.get(line) ?? -1))
  }
  return late
}

/** Number of broken promises; repetitions of deliveries are none. */
export const faultsIn = ({ lost, doubled, disordered, strange }: Verdict): number =>
  lost.length + doubled.length + disordered.length + strange.length
