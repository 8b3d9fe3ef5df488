/**
 * What a connection reports, from arrival to disk: reports that wait are taken together and committed at once; those that
 * move the session's life are handed on one by one, in their place.
 */
import type { Fact } from '../domain/changes'
import type { NewEvent } from '../domain/events'
import type { Message, Messages, StoredMessage } from '../domain/message'
import type { Restriction, Session } from '../domain/session'
import type { Report, StatusReport } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import { faultPoint } from '../lib/fault-points'
import type { Log } from '../lib/log'
import type { Places } from './payload'
import { type DataReport, factsOf, type LifeReport, momentaryEvent, type VanishingReport } from './recorder'

/** Facts of one commit. */
const BATCH = 500
/** Activity is written along with other facts, at most this often (ms) … */
const ACTIVITY_WITH_FACTS = 5_000
/** … and by itself, when nothing but signs of life arrive, this often (ms). */
const ACTIVITY_ALONE = 30_000

export type IntakeParts = {
  session: () => Session
  messages: Messages
  places: Places
  clock: Clock
  log: Log
  commit: (facts: readonly Fact[], when: 'now' | 'soon') => Promise<void>
  tell: (event: NewEvent) => void
  /** Acts on a report about the session's life; may reject with the storage's failure. */
  onLife: (generation: number, report: LifeReport) => Promise<void>
  /** One of our own latest messages, known without asking the disk. */
  recent: (id: string) => StoredMessage | null
  /** How far own messages have come, by whatever way it was told; they are on disk. */
  onStatuses: (statuses: readonly StatusReport[]) => void
  /** Messages that are on disk now; those of the history are not among them. */
  onMessages: (messages: readonly Message[]) => void
  /** A chat was set to let its messages vanish, or to keep them. */
  onVanishing: (report: VanishingReport) => void
  /** WhatsApp has told what the number may not do. */
  onRestriction: (restriction: Restriction | null) => void
  /** What came could not be stored, and is out of memory now. */
  onFailure: (error: unknown) => Promise<void>
}

export interface Intake {
  /** The last traffic of any kind (ms), newer than what is on disk. */
  lastActivity(): number | null
  /** Milliseconds since anything came from WhatsApp, by the clock that never jumps; null before the first. */
  silentFor(): number | null
  put(generation: number, report: Report): void
  /** Writes all that waits; never rejects. */
  record(): Promise<void>
  /** Forgets what waits. */
  drop(): void
  /** The activity to write, when the last writing is at least `spacing` ms ago. */
  activity(spacing: number): Fact[]
}

export const isLife = (report: Report): report is LifeReport =>
  report.kind === 'qr' || report.kind === 'paired' || report.kind === 'opened' || report.kind === 'closed'

export function createIntake(parts: IntakeParts): Intake {
  const { clock, log } = parts
  let pending: { generation: number; report: Report }[] = []
  let lastActivity = parts.session().lastActivity
  let heardAt: number | null = null
  let activityWritten = Number.NEGATIVE_INFINITY

  const newest = (): number | null => {
    const stored = parts.session().lastActivity
    return lastActivity === null ? stored : Math.max(lastActivity, stored ?? 0)
  }

  /** The phone's own receipt repeats what the server's acknowledgement of our sending has said. */
  const withoutEchoes = (report: DataReport): DataReport =>
    report.kind === 'statuses'
      ? {
          ...report,
          statuses: report.statuses.filter(
            ({ status, messageId }) => status !== 'sent' || !parts.recent(messageId),
          ),
        }
      : report

  const factsOfOne = (report: Report): Fact[] => {
    if (isLife(report) || report.kind === 'alive' || report.kind === 'vanishing') return []
    if (report.kind === 'presence') {
      parts.tell(momentaryEvent(report, parts.session()))
      return []
    }
    if (report.kind === 'restriction') {
      parts.onRestriction(report.restriction)
      return []
    }
    try {
      const session = parts.session()
      return factsOf(withoutEchoes(report), {
        session,
        places: parts.places,
        stored: (id) => parts.recent(id) ?? parts.messages.get(session.id, id),
      })
    } catch (error) {
      // Its stanza stays in the inbox; the session goes on with what it understands.
      log.error('A report could not be read', { kind: report.kind, error: String(error) })
      return []
    }
  }

  const tellOfCommitted = (reports: readonly Report[], facts: readonly Fact[]) => {
    const statuses = reports.flatMap((report) => (report.kind === 'statuses' ? report.statuses : []))
    const known = statuses.filter(({ status }) => status !== 'failed' && status !== 'queued')
    if (known.length > 0) parts.onStatuses(known)
    const messages = facts.flatMap(({ change }) =>
      change.kind === 'message' && !change.message.history ? [change.message] : [],
    )
    if (messages.length > 0) {
      faultPoint('message stored')
      parts.onMessages(messages)
    }
    // What a chat was set to says more than messages of somebody who did not know it yet.
    for (const report of reports) if (report.kind === 'vanishing') parts.onVanishing(report)
  }

  /** The data reports at the head of what waits, as many as one commit takes. */
  const takeData = (): { reports: Report[]; facts: Fact[] } => {
    const reports: Report[] = []
    const facts: Fact[] = []
    let count = 0
    for (const { report } of pending) {
      if (isLife(report) || facts.length >= BATCH) break
      count += 1
      reports.push(report)
      facts.push(...factsOfOne(report))
    }
    pending = pending.slice(count)
    return { reports, facts }
  }

  /** A piece of history may hold more than one commit should; the event that tells of it comes with the last. */
  const inPieces = async (facts: readonly Fact[], when: 'now' | 'soon') => {
    for (let at = 0; at < facts.length; at += BATCH) await parts.commit(facts.slice(at, at + BATCH), when)
  }

  const intake: Intake = {
    lastActivity: newest,
    silentFor: () => (heardAt === null ? null : clock.monotonic() - heardAt),
    put(generation, report) {
      if (!isLife(report)) {
        const at = report.kind === 'alive' ? report.at : clock.now()
        lastActivity = Math.max(lastActivity ?? 0, at)
      }
      if (report.kind !== 'closed') heardAt = clock.monotonic()
      pending.push({ generation, report })
    },
    async record() {
      try {
        while (pending.length > 0) {
          const { reports, facts } = takeData()
          const active = intake.activity(facts.length > 0 ? ACTIVITY_WITH_FACTS : ACTIVITY_ALONE)
          // Nobody waits for receipts, and WhatsApp tells them again.
          const isUrgent = reports.some(
            ({ kind }) => kind !== 'statuses' && kind !== 'handled' && kind !== 'alive',
          )
          await inPieces([...facts, ...active], isUrgent ? 'now' : 'soon')
          tellOfCommitted(reports, facts)
          const next = pending[0]
          if (!next || !isLife(next.report)) continue
          pending = pending.slice(1)
          await parts.onLife(next.generation, next.report)
        }
      } catch (error) {
        pending = []
        await parts.onFailure(error)
      }
    },
    drop() {
      pending = []
    },
    activity(spacing) {
      const at = newest()
      if (at === null || clock.monotonic() - activityWritten < spacing) return []
      activityWritten = clock.monotonic()
      return [{ change: { kind: 'session_active', sessionId: parts.session().id, at }, events: [] }]
    },
  }
  return intake
}
