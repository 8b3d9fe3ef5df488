/** The whole HTTP surface, assembled: one Elysia app whose type is the client's type. */
import { type AnyElysia, Elysia } from 'elysia'
import type { Access } from '../access/access'

import type { Audit } from '../domain/audit'
import { errorBody } from '../domain/errors'
import type { Idempotency } from '../domain/idempotency'
import type { TenantId } from '../domain/ids'
import type { MediaDesk, MediaStore } from '../domain/media'
import type { Messages } from '../domain/message'
import type { Plans } from '../domain/plans'
import type { Accounts } from '../domain/principal'
import type { Sessions } from '../domain/session'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { freshName } from '../lib/token'
import type { Supervisor } from '../sessions/supervisor'
import type { Sender } from '../webhooks/sender'
import { addressReader } from './address'
import { adminUserRoutes } from './admin-users'
import { auditRoutes } from './audit'
import { createAuditTrail } from './audit-trail'
import { authRoutes } from './auth'
import { crossOrigin } from './cross-origin'
import { diagnosisRoutes } from './diagnosis'
import { docsRoutes } from './docs-page'
import { errorHeaders, type Translate, toAppError } from './errors'
import { assertGuarded, type Guard, guard as makeGuard, sessionGate } from './guard'
import { createIdempotent } from './idempotent'
import { tooLarge } from './json'
import { FORM_MARGIN, IDLE_TIMEOUT, MAX_SENT_FILE, MAX_UPLOAD } from './limits'
import { messageRoutes } from './messages'
import { type ListedRoute, openApiDocument } from './openapi'
import { methodLookUp } from './paths'
import type { QrDrawing } from './qr-format'
import { strictQuery } from './query'
import { createRateLimits } from './rate-limit'
import { sessionControlRoutes } from './session-control'
import { sessionRoutes } from './sessions'
import { statsRoutes } from './stats'
import { statusRoutes } from './status'
import { type StreamRoutesParts, streamRoutes } from './stream'
import { createTickets } from './tickets'
import type { UploadLinks } from './upload-links'
import { webhookRoutes } from './webhooks'

export type ApiParts = {
  supervisor: Supervisor
  access: Access
  accounts: Pick<Accounts, 'userById' | 'userByLogin' | 'listUsers' | 'keysOf'>
  /** Removes everything that belongs to an account that is closed. */
  removeAccount(id: TenantId): Promise<void>
  /** Stops the sessions of an account; their devices stay linked. */
  stopAccount(id: TenantId): Promise<void>
  audit: Audit
  sessions: Sessions
  messages: Messages
  webhooks: Webhooks
  idempotency: Idempotency
  desk: MediaDesk
  files: MediaStore
  links: UploadLinks
  /** Largest file that a form may bring along to be sent (bytes); 100 MB unless given. */
  maxFileBytes?: number
  journal: StreamRoutesParts['journal']
  streams: StreamRoutesParts['streams']
  clock: Clock
  log: Log
  version: string
  drawQr: QrDrawing
  webhook: { checkUrl(url: string): void; newSecret(): string; post: Sender['post']; wake(): void }
  endpoint: 'whatsapp' | 'sandbox' | 'other'
  notReady(): string[]
  plans: Plans
  /** Attempts with a password, and refused credentials, that an address has in a minute; null = any number. */
  attempts: { passwords: number | null; failures: number | null }
  trustedProxies: readonly string[]
  corsOrigins: readonly string[]
  publicUrl: string | null
  /** Further routes, each with an `access` of its own (the sandbox's control API). */
  also?: (guard: Guard) => AnyElysia
  /** The parts of an error of those routes, or null when it is not one of theirs. */
  translate?: Translate
}

/** A request id that is taken over from the caller. */
const SANE_ID = /^[\w.:=+/@-]{1,128}$/

/** Builds the app, which listens when `listen` is called on it, and its OpenAPI document. */
export function createApi(parts: ApiParts) {
  const { supervisor, access, clock, log } = parts
  const tickets = createTickets(clock)
  const limits = createRateLimits({ ...parts.attempts, clock, plans: parts.plans })
  const crossing = crossOrigin(parts.corsOrigins, parts.publicUrl)
  const addressOf = addressReader(parts.trustedProxies)
  const trail = createAuditTrail({
    audit: parts.audit,
    accountOf: (login) => parts.accounts.userByLogin(login)?.id ?? null,
    addressOf,
    clock,
    log,
  })
  const guard = makeGuard({
    authenticate: access.authenticate,
    current: access.current,
    tickets,
    addressOf,
    onCaller: trail.caller,
    originAllowed: crossing.allowed,
    limits,
  })
  const gate = sessionGate(supervisor.find)
  const idempotent = createIdempotent(parts.idempotency)
  const maxFileBytes = parts.maxFileBytes ?? MAX_SENT_FILE
  const maxBody = Math.max(maxFileBytes, MAX_UPLOAD) + FORM_MARGIN
  const shared = { ...parts, find: supervisor.find, guard, gate, idempotent, tickets, limits, maxFileBytes }
  // Both look at the routes, which exist only once everything below is put together.
  let methodsOf: (path: string) => string[] = () => []
  let document: () => object = () => ({})

  const app = new Elysia({
    name: 'api',
    normalize: false,
    serve: { reusePort: false, idleTimeout: IDLE_TIMEOUT, maxRequestBodySize: 2 * maxBody },
    websocket: { idleTimeout: 120, maxPayloadLength: 64 * 1024, backpressureLimit: 1024 * 1024 },
  })
    .onRequest(({ request, set }) => {
      const given = request.headers.get('x-request-id')
      set.headers['x-request-id'] = given && SANE_ID.test(given) ? given : `req_${freshName()}`
      set.headers['x-content-type-options'] = 'nosniff'
      set.headers['cache-control'] = 'no-store'
      if (parts.corsOrigins.length > 0) Object.assign(set.headers, crossing.headers(request))
      if (crossing.isPreflight(request))
        return new Response(null, { status: 204, headers: set.headers as Record<string, string> })
      if (Number(request.headers.get('content-length') ?? 0) > maxBody) throw tooLarge(maxBody)
      return undefined
    })
    .decorate('clock', clock)
    .onTransform({ as: 'global' }, strictQuery)
    .onBeforeHandle({ as: 'global' }, ({ request, server, body }) => trail.before({ request, server, body }))
    .onAfterHandle({ as: 'global' }, async ({ request, responseValue }) => {
      await trail.after({ request, answer: responseValue })
    })
    .onError({ as: 'global' }, async ({ code, error, request, server, body, set }) => {
      const failure = {
        code,
        error,
        // Elysia's own `path` is wrong under a host of fewer than four characters.
        path: new URL(request.url).pathname,
        method: request.method,
        requestId: String(set.headers['x-request-id'] ?? ''),
      }
      const told = toAppError(failure, { log, methodsOf, translate: parts.translate ?? (() => null) })
      limits.refused(request, told.status)
      await trail.failed({ request, server, body }, told)
      set.status = told.status
      Object.assign(set.headers, errorHeaders(told))
      return errorBody(told)
    })
    .use(statusRoutes(shared))
    .use(authRoutes(shared))
    .use(adminUserRoutes(shared))
    .use(sessionRoutes(shared))
    .use(diagnosisRoutes(shared))
    .use(sessionControlRoutes({ ...shared, draw: parts.drawQr }))
    .use(messageRoutes(shared))
    .use(statsRoutes(shared))
    .use(streamRoutes(shared))
    .use(webhookRoutes({ ...shared, ...parts.webhook }))
    .use(auditRoutes(shared))
    .use(docsRoutes(() => document()))
  const whole = parts.also ? app.use(parts.also(guard)) : app
  document = () =>
    openApiDocument(whole.routes as ListedRoute[], { version: parts.version, url: parts.publicUrl })
  methodsOf = methodLookUp(whole.routes)
  assertGuarded(whole.routes)
  trail.concern(whole.routes)
  return { app, document, flushAudit: trail.flush }
}
export type Api = ReturnType<typeof createApi>['app']
