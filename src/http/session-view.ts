/** A session as the API shows it: always whole, in the manual's names. */
import { type Static, Type } from '@sinclair/typebox'
import { CLOSE_REASONS } from '../domain/close-reasons'
import type { SessionId } from '../domain/ids'
import { type MessageCounts, SESSION_STATUSES, type Session, SessionSettingsSchema } from '../domain/session'
import { actionFor } from '../domain/session-life'
import { isoTime } from '../lib/clock'
import { maskedProxy } from '../lib/proxy-url'
import { nullable, oneOf, time } from './docs'

export const SessionView = Type.Object(
  {
    id: Type.String({
      description: '32 lower-case hex characters',
      examples: ['5bc99cea8975b95fe7077c64a3312145'],
    }),
    name: Type.String({ examples: ['Customer Support'] }),
    description: nullable(Type.String()),
    status: oneOf(SESSION_STATUSES),
    phoneNumber: nullable(Type.String({ description: 'The linked number', examples: ['+1234567890'] })),
    createdAt: time(),
    updatedAt: time(),
    lastActivity: nullable(time('The last traffic of any kind')),
    connectionInfo: Type.Optional(
      Type.Object(
        {
          connectedAt: time(),
          clientVersion: nullable(Type.String({ description: 'WhatsApp Web version in use' })),
          deviceModel: nullable(Type.String({ description: 'The phone’s platform as WhatsApp reports it' })),
        },
        { description: 'There while connected' },
      ),
    ),
    reconnect: Type.Optional(
      Type.Object(
        {
          attempt: Type.Integer(),
          max: Type.Integer({ description: '0 = for ever' }),
          nextAt: time(),
        },
        { description: 'There while the next attempt is awaited' },
      ),
    ),
    lastDisconnect: nullable(
      Type.Object({
        code: nullable(Type.Integer()),
        reason: oneOf(CLOSE_REASONS),
        detail: Type.String(),
        action: Type.String({ description: 'What to do' }),
        at: time(),
      }),
    ),
    restriction: nullable(
      Type.Object(
        {
          type: Type.String({ description: 'WhatsApp’s own name of it' }),
          since: time(),
          until: nullable(time('When it ends; null when WhatsApp has not said')),
        },
        { description: 'WhatsApp does not let this number write to new chats; chats that exist go on' },
      ),
    ),
    messageStats: Type.Object({ sent: Type.Integer(), received: Type.Integer(), failed: Type.Integer() }),
    messageQueue: Type.Integer({
      description: 'Messages that wait: for their time, their turn, or WhatsApp’s acknowledgement',
    }),
    settings: SessionSettingsSchema,
  },
  { title: 'Session' },
)
export type SessionView = Static<typeof SessionView>

/** What a view needs beside the session. */
export type SessionNumbers = {
  sessions: { counts(ids: readonly SessionId[]): Map<SessionId, MessageCounts> }
  messages: { queueLengths(ids: readonly SessionId[]): Map<SessionId, number> }
}

const NOTHING: MessageCounts = { sent: 0, received: 0, failed: 0 }

/** Views of many sessions with one query per kind of number. */
export function sessionViews(
  list: readonly Session[],
  { sessions, messages }: SessionNumbers,
): SessionView[] {
  const ids = list.map(({ id }) => id)
  const counts = sessions.counts(ids)
  const queues = messages.queueLengths(ids)
  return list.map((session) =>
    sessionView(session, counts.get(session.id) ?? NOTHING, queues.get(session.id) ?? 0),
  )
}

type Made = MessageCounts & { queued: number; view: SessionView }
/** The latest view of each session: monitors ask far more often than anything changes. */
const made = new WeakMap<Session, Made>()

/** Depends on nothing but what it is given; a session is never changed, only replaced. */
export function sessionView(session: Session, counts: MessageCounts, queued: number): SessionView {
  const { sent, received, failed } = counts
  const before = made.get(session)
  if (before?.sent === sent && before.received === received && before.failed === failed) {
    if (before.queued === queued) return before.view
  }
  const view = freshView(session, counts, queued)
  made.set(session, { sent, received, failed, queued, view })
  return view
}

function freshView(session: Session, counts: MessageCounts, queued: number): SessionView {
  const { state, me, lastDisconnect, restriction, settings } = session
  return {
    id: session.id,
    name: session.name,
    description: session.description,
    status: state.status,
    phoneNumber: shownNumber(session),
    createdAt: isoTime(session.createdAt),
    updatedAt: isoTime(session.updatedAt),
    lastActivity: shownActivity(session),
    ...(state.status === 'connected'
      ? {
          connectionInfo: {
            connectedAt: isoTime(state.since),
            clientVersion: session.clientVersion,
            deviceModel: me?.platform ?? null,
          },
        }
      : {}),
    ...(state.status === 'disconnected' && state.retryAt !== null
      ? {
          reconnect: {
            attempt: state.attempt,
            max: settings.maxReconnectAttempts,
            nextAt: isoTime(state.retryAt),
          },
        }
      : {}),
    lastDisconnect: lastDisconnect && {
      code: lastDisconnect.code,
      reason: lastDisconnect.reason,
      detail: lastDisconnect.detail,
      action: actionFor(
        lastDisconnect.reason,
        state.status === 'disconnected' ? state.retryAt : lastDisconnect.at,
      ),
      at: isoTime(lastDisconnect.at),
    },
    restriction: restriction && {
      type: restriction.type,
      since: isoTime(restriction.since),
      until: restriction.until === null ? null : isoTime(restriction.until),
    },
    messageStats: { sent: counts.sent, received: counts.received, failed: counts.failed },
    messageQueue: queued,
    settings: { ...settings, proxyUrl: settings.proxyUrl && maskedProxy(settings.proxyUrl) },
  }
}

/** Null before the first link: what a session exchanges while it waits for a phone is nobody's traffic. */
export const shownActivity = ({ lastActivity, clientVersion }: Session): string | null =>
  lastActivity === null || clientVersion === null ? null : isoTime(lastActivity)

/** `+` and digits, null until a phone is linked. */
export const shownNumber = ({ me }: Session): string | null => (me ? `+${me.phoneNumber}` : null)
