/** What is the matter with a session: what became of it, what holds it up, and the one thing to do. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { CLOSE_REASONS } from '../domain/close-reasons'
import type { QueueHold, QueueState } from '../domain/sending'
import {
  OWN_REASONS,
  SESSION_STATUSES,
  type Session,
  type Sessions,
  type TimelineEntry,
} from '../domain/session'
import { STALL_REASONS, stallRow } from '../domain/stalls'
import { type Clock, isoTime } from '../lib/clock'
import type { Supervisor } from '../sessions/supervisor'
import { adviceFor } from './diagnosis-advice'
import { endedBecause, entrySays, outageBecause, spoken } from './diagnosis-words'
import { answer, notes, nullable, oneOf, time } from './docs'
import type { Guard, SessionGate } from './guard'
import { shownActivity } from './session-view'
import { SessionParams } from './sessions'

export type DiagnosisRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'queueState' | 'stall' | 'dropped'>
  sessions: Pick<Sessions, 'timeline' | 'inbox' | 'lastTraffic' | 'lateCount'>
  clock: Clock
  /** What does not work yet or any more; `storage` is looked for. */
  notReady(): string[]
}

/** Entries of the timeline in an answer. */
const SHOWN = 50

const Diagnosis = Type.Object(
  {
    sessionId: Type.String(),
    status: oneOf(SESSION_STATUSES),
    since: nullable(time('Since when it has this status')),
    problem: Type.String({ description: 'What is the matter, as a sentence' }),
    action: Type.String({ description: 'The one thing to do' }),
    code: Type.String({ description: 'The situation, for programs', examples: ['ok', 'scan_code'] }),
    lastError: nullable(
      Type.Object(
        { at: time(), reason: oneOf(CLOSE_REASONS), says: Type.String(), detail: Type.String() },
        { description: 'How the last connection ended' },
      ),
    ),
    nextAttempt: nullable(
      Type.Object({
        at: time(),
        attempt: Type.Integer(),
        max: Type.Integer({ description: '0 = for ever' }),
      }),
    ),
    stalled: nullable(
      Type.Object(
        { since: time(), reason: oneOf(STALL_REASONS), says: Type.String() },
        { description: 'Something that does not move at the moment' },
      ),
    ),
    outage: nullable(
      Type.Object(
        {
          from: time('The last moment at which the session was through'),
          reason: oneOf([...new Set([...CLOSE_REASONS, ...OWN_REASONS])]),
          says: Type.String(),
          late: Type.Integer({ description: 'Messages that have come late so far' }),
        },
        { description: 'Goes on until the messages of that time have come in' },
      ),
    ),
    restriction: nullable(
      Type.Object({ type: Type.String(), since: time(), until: nullable(time()), says: Type.String() }),
    ),
    queue: Type.Object({
      waiting: Type.Integer(),
      scheduled: Type.Integer({ description: 'Those whose time has not come' }),
      paused: Type.Boolean(),
      says: Type.String({ description: 'Why it moves or not' }),
      nextAt: nullable(time()),
    }),
    inbox: Type.Object(
      { waiting: Type.Integer(), oldest: nullable(time()) },
      { description: 'Received messages that are on disk and not handled yet' },
    ),
    dropped: Type.Object(
      {
        forged: Type.Integer({
          description: 'Messages of others that pretended to come from the account’s own phone',
        }),
        refused: Type.Integer({
          description: 'Stanzas that are no messages: unencrypted, too large, without id',
        }),
        undecrypted: Type.Integer({
          description: 'Messages that could not be decrypted; they are asked for again',
        }),
        unreadable: Type.Integer({ description: 'Frames and messages that could not be read' }),
      },
      { description: 'What came in and was dropped since the server was started' },
    ),
    lastActivity: nullable(time('The last sign of life of WhatsApp')),
    lastReceived: nullable(time('The newest message of somebody else')),
    lastSent: nullable(time('The newest message of ours')),
    timeline: Type.Array(
      Type.Object({
        at: time(),
        status: oneOf(SESSION_STATUSES),
        says: Type.String(),
        reason: nullable(oneOf(CLOSE_REASONS)),
        detail: nullable(Type.String({ description: 'What was heard of the cause, for a closer look' })),
      }),
      { description: 'What became of the session, newest first; kept over restarts' },
    ),
  },
  { title: 'Diagnosis' },
)

const HOLDS: Record<Exclude<QueueHold, null>, string> = {
  paused: 'The queue is paused: messages are taken and wait',
  not_connected: 'Messages wait until the session is connected',
  pacing: 'Messages leave one after another, as the settings pace them',
  scheduled: 'Messages wait for the time that was set for them',
}

const queueSays = ({ waiting, hold }: QueueState): string => {
  if (waiting === 0) return 'Nothing waits to be sent'
  return hold === null ? 'Messages are being sent' : HOLDS[hold]
}

const restrictionOf = ({ restriction }: Session) =>
  restriction && {
    type: restriction.type,
    since: isoTime(restriction.since),
    until: orNull(restriction.until),
    says:
      restriction.until === null
        ? 'WhatsApp does not let this number write to new chats; it has not said until when'
        : `WhatsApp does not let this number write to new chats until ${spoken(restriction.until)}`,
  }

const orNull = (ms: number | null): string | null => (ms === null ? null : isoTime(ms))

const entryView = (entry: TimelineEntry) => ({
  at: isoTime(entry.at),
  status: entry.status,
  says: entrySays(entry),
  reason: entry.reason,
  detail: entry.detail,
})

/** Makes `GET /api/sessions/:id/diagnosis`. */
export function diagnosisRoutes(parts: DiagnosisRoutesParts) {
  const { guard, gate, supervisor, sessions, clock } = parts

  const diagnosisOf = (session: Session) => {
    const { id, state, settings, lastDisconnect, outage } = session
    const queue = supervisor.queueState(id)
    const stall = supervisor.stall(id)
    const timeline = sessions.timeline(id, SHOWN)
    const inbox = sessions.inbox(id)
    const traffic = sessions.lastTraffic(id)
    const storageWorks = !parts.notReady().includes('storage')
    const advice = adviceFor({ session, now: clock.now(), queue, stall, storageWorks })
    const [newest] = timeline
    return {
      sessionId: id as string,
      status: state.status,
      since: newest?.status === state.status ? isoTime(newest.at) : null,
      problem: advice.says,
      action: advice.action,
      code: advice.code,
      lastError: lastDisconnect && {
        at: isoTime(lastDisconnect.at),
        reason: lastDisconnect.reason,
        says: endedBecause(lastDisconnect.reason),
        detail: lastDisconnect.detail,
      },
      nextAttempt:
        state.status === 'disconnected' && state.retryAt !== null
          ? { at: isoTime(state.retryAt), attempt: state.attempt, max: settings.maxReconnectAttempts }
          : null,
      stalled: stall && {
        since: isoTime(stall.since),
        reason: stall.reason,
        says: stallRow(stall.reason).says,
      },
      outage: outage && {
        from: isoTime(outage.from),
        reason: outage.reason,
        says: outageBecause(outage.reason),
        late: sessions.lateCount(id),
      },
      restriction: restrictionOf(session),
      queue: {
        waiting: queue.waiting,
        scheduled: queue.scheduled,
        paused: settings.queuePaused,
        says: queueSays(queue),
        nextAt: orNull(queue.nextAt),
      },
      inbox: { waiting: inbox.length, oldest: orNull(inbox[0]?.at ?? null) },
      dropped: supervisor.dropped(id),
      lastActivity: shownActivity(session),
      lastReceived: orNull(traffic.received),
      lastSent: orNull(traffic.sent),
      timeline: timeline.map(entryView),
    }
  }

  return new Elysia({ normalize: false }).use(guard).get(
    '/api/sessions/:id/diagnosis',
    ({ caller, params }) => ({
      success: true as const,
      diagnosis: diagnosisOf(gate(caller, params.id)),
    }),
    {
      access: 'sessions:read',
      params: SessionParams,
      response: { 200: answer({ diagnosis: Diagnosis }) },
      detail: notes({
        summary: 'Diagnose a session',
        description:
          'What became of the session and why, what holds it up at the moment, and the one thing to do about it.',
        tags: ['Sessions'],
        errors: ['SESSION_NOT_FOUND'],
        example: EXAMPLE,
      }),
    },
  )
}

const EXAMPLE = {
  success: true,
  diagnosis: {
    sessionId: '5bc99cea8975b95fe7077c64a3312145',
    status: 'disconnected',
    since: '2024-01-01T12:00:00.000Z',
    problem: 'The connection to WhatsApp was lost',
    action: 'Wait until 2024-01-01 12:00 UTC: the session reconnects by itself',
    code: 'reconnecting',
    lastError: {
      at: '2024-01-01T12:00:00.000Z',
      reason: 'connection_lost',
      says: 'The connection to WhatsApp was lost',
      detail: 'WhatsApp does not answer any more',
    },
    nextAttempt: { at: '2024-01-01T12:00:02.100Z', attempt: 1, max: 10 },
    stalled: null,
    outage: {
      from: '2024-01-01T11:59:26.000Z',
      reason: 'connection_lost',
      says: 'The connection to WhatsApp was lost',
      late: 0,
    },
    restriction: null,
    queue: {
      waiting: 3,
      scheduled: 0,
      paused: false,
      says: 'Messages wait until the session is connected',
      nextAt: null,
    },
    inbox: { waiting: 0, oldest: null },
    dropped: { forged: 0, refused: 0, undecrypted: 1, unreadable: 0 },
    lastActivity: '2024-01-01T11:59:26.000Z',
    lastReceived: '2024-01-01T11:41:07.000Z',
    lastSent: '2024-01-01T11:42:30.000Z',
    timeline: [
      {
        at: '2024-01-01T12:00:00.000Z',
        status: 'disconnected',
        says: 'The connection to WhatsApp was lost',
        reason: 'connection_lost',
        detail: 'WhatsApp does not answer any more',
      },
      {
        at: '2024-01-01T10:00:00.000Z',
        status: 'connected',
        says: 'The session is connected to WhatsApp',
        reason: null,
        detail: null,
      },
    ],
  },
}
