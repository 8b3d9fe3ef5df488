/** The session routes: create, list, look, change, delete. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { AppError, fail } from '../domain/errors'
import type { SessionId } from '../domain/ids'
import type { Plans } from '../domain/plans'
import { SESSION_STATUSES, type Session, type Sessions } from '../domain/session'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Supervisor } from '../sessions/supervisor'
import { answer, notes, nullable, oneOf, says, time } from './docs'
import { type Caller, type Guard, isAdmitted, type SessionGate, wholeAccount } from './guard'
import type { Idempotent } from './idempotent'
import { readJson } from './json'
import { limitParameter, offsetParameter } from './query'
import { CREATE_REQUEST, CREATED, SESSION, STATUS, UPDATE_REQUEST } from './session-docs'
import { CreateSessionBody, checkedInput, UpdateSessionBody } from './session-input'
import { type SessionNumbers, SessionView, sessionViews, shownActivity, shownNumber } from './session-view'

export type SessionRoutesParts = SessionNumbers & {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'find' | 'create' | 'update' | 'remove'>
  plans: Plans
  sessions: Sessions
  webhooks: Pick<Webhooks, 'endpoints'>
  idempotent: Idempotent
  clock: Clock
}

const tags = ['Sessions']
const WebhookSecret = Type.Optional(
  Type.String({ description: 'Verifies deliveries to settings.webhookUrl; shown this once' }),
)
export const SessionParams = Type.Object({ id: Type.String({ description: 'Session id' }) })

/** Makes the routes under `/api/sessions`. */
export function sessionRoutes(parts: SessionRoutesParts) {
  const { guard, gate, supervisor, sessions, idempotent, clock } = parts
  const view = (session: Session): SessionView => {
    const [shown] = sessionViews([session], parts)
    if (!shown) throw new Error('A session has no view')
    return shown
  }
  const settingsSecrets = (session: Session) =>
    parts.webhooks.endpoints(session.id).filter(({ fromSettings }) => fromSettings)

  /** Secrets that exist now and did not before, as they are shown just once. */
  const newSecret = (session: Session, before: readonly string[]) => {
    const made = settingsSecrets(session).find(({ secret }) => !before.includes(secret))
    return made ? { webhookSecret: made.secret } : {}
  }

  const create = async (caller: Caller, body: typeof CreateSessionBody.static) => {
    wholeAccount(caller)
    const { principal } = caller
    const maxSessions = parts.plans[principal.plan].sessions
    const session = await supervisor
      .create(principal.tenantId, checkedInput(body), maxSessions)
      .catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code !== 'SESSION_LIMIT_REACHED') throw error
        throw fail('SESSION_LIMIT_REACHED', { ...error.details, plan: principal.plan })
      })
    return {
      success: true as const,
      message: 'Session created successfully',
      session: view(session),
      ...newSecret(session, []),
    }
  }

  return new Elysia({ prefix: '/api/sessions', normalize: false })
    .use(guard)
    .post(
      '/',
      async (context) => {
        const { caller, set } = context
        const answer = await idempotent(context, () => create(caller, context.body), 201)
        const made = supervisor.find(answer.session.id as SessionId)
        // The first answer given again tells of a session whose list may shut this caller out.
        const isShut = 'idempotency-replayed' in set.headers && made && !isAdmitted(made, caller.address)
        if (isShut) throw fail('IP_NOT_ALLOWED')
        return answer
      },
      {
        access: 'sessions:write',
        parse: readJson,
        body: CreateSessionBody,
        response: {
          201: answer({
            message: says('Session created successfully'),
            session: SessionView,
            webhookSecret: WebhookSecret,
          }),
        },
        detail: notes({
          summary: 'Create a session',
          description: 'The session is inactive until it is started.',
          tags,
          errors: ['SESSION_LIMIT_REACHED', 'WEBHOOK_URL_FORBIDDEN', 'PROXY_URL_FORBIDDEN'],
          requestExample: CREATE_REQUEST,
          example: CREATED,
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .get(
      '/',
      ({ caller, query: { status, limit, offset } }) => {
        const { tenantId, sessionIds: only } = caller.principal
        // A session that is closed to this address is not there at all: neither in the page nor in the count.
        const except = sessions
          .fenced(tenantId)
          .filter((session) => !isAdmitted(session, caller.address))
          .map(({ id }) => id)
        const page = sessions.list({ tenantId, except, only, limit, offset, ...(status ? { status } : {}) })
        const live = page.sessions.map((session) => supervisor.find(session.id) ?? session)
        return {
          success: true as const,
          sessions: sessionViews(live, parts),
          total: page.total,
          limit,
          offset,
          hasMore: offset + page.sessions.length < page.total,
        }
      },
      {
        access: 'sessions:read',
        query: Type.Object(
          {
            status: Type.Optional(oneOf(SESSION_STATUSES)),
            limit: limitParameter,
            offset: offsetParameter,
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            sessions: Type.Array(SessionView),
            total: Type.Integer({ description: 'All that match, not only this page' }),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({
          summary: 'List sessions',
          tags,
          example: { success: true, sessions: [SESSION], total: 1, limit: 50, offset: 0, hasMore: false },
        }),
      },
    )
    .get(
      '/:id',
      ({ caller, params }) => ({ success: true as const, session: view(gate(caller, params.id)) }),
      {
        access: 'sessions:read',
        params: SessionParams,
        response: { 200: answer({ session: SessionView }) },
        detail: notes({
          summary: 'Get a session',
          tags,
          errors: ['SESSION_NOT_FOUND'],
          example: { success: true, session: SESSION },
        }),
      },
    )
    .get(
      '/:id/status',
      ({ caller, params }) => {
        const session = gate(caller, params.id)
        return {
          success: true as const,
          status: session.state.status,
          phoneNumber: shownNumber(session),
          lastActivity: shownActivity(session),
          qrAvailable: session.state.status === 'qr_generated' && session.state.expiresAt > clock.now(),
        }
      },
      {
        access: 'sessions:read',
        params: SessionParams,
        response: {
          200: answer({
            status: oneOf(SESSION_STATUSES),
            phoneNumber: nullable(Type.String()),
            lastActivity: nullable(time()),
            qrAvailable: Type.Boolean({ description: 'A current QR code can be fetched' }),
          }),
        },
        detail: notes({
          summary: 'Monitor the status',
          tags,
          errors: ['SESSION_NOT_FOUND'],
          example: STATUS,
        }),
      },
    )
    .put(
      '/:id/settings',
      async ({ caller, params, body }) => {
        const present = gate(caller, params.id)
        const before = settingsSecrets(present).map(({ secret }) => secret)
        const session = await supervisor.update(present.id, checkedInput(body))
        return {
          success: true as const,
          message: 'Session settings updated successfully',
          session: view(session),
          ...newSecret(session, before),
        }
      },
      {
        access: 'sessions:write',
        parse: readJson,
        params: SessionParams,
        body: UpdateSessionBody,
        response: {
          200: answer({
            message: says('Session settings updated successfully'),
            session: SessionView,
            webhookSecret: WebhookSecret,
          }),
        },
        detail: notes({
          summary: 'Update name, description and settings',
          description: 'Partial: what is left out keeps its value. The connection stays up.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_URL_FORBIDDEN', 'PROXY_URL_FORBIDDEN'],
          requestExample: UPDATE_REQUEST,
        }),
      },
    )
    .delete(
      '/:id',
      async ({ caller, params }) => {
        await supervisor.remove(gate(caller, params.id).id)
        return { success: true as const, message: 'Session deleted successfully' }
      },
      {
        access: 'sessions:write',
        params: SessionParams,
        response: { 200: answer({ message: says('Session deleted successfully') }) },
        detail: notes({
          summary: 'Delete a session',
          description: 'Unlinks the device and removes the session with all that belongs to it, for good.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
          example: { success: true, message: 'Session deleted successfully' },
        }),
      },
    )
}
