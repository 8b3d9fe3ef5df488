/**
 * Who may call what. A route says `access: 'sessions:write'` and gets the caller; a route that says nothing must stand
 * in PUBLIC_ROUTES, else the API does not assemble (`assertGuarded`). The check runs before the body is validated.
 */
import { Elysia } from 'elysia'
import { AppError, fail } from '../domain/errors'
import type { SessionId } from '../domain/ids'
import { type Principal, reaches, type Scope } from '../domain/principal'
import type { Session } from '../domain/session'
import { networkSet } from '../lib/networks'
import type { HeadersSet, RateLimits, RequestKind } from './rate-limit'
import type { Tickets } from './tickets'

/** `account`: any credentials of the account, whatever their scopes. */
export type Access = Scope | 'account'
export type Caller = { principal: Principal; address: string }

export type GuardParts = {
  authenticate(given: { authorization: string | null; apiKey: string | null }): Promise<Principal>
  /** What credentials are worth now that `authenticate` took earlier; null = nothing any more. */
  current(principal: Principal): Principal | null
  tickets: Tickets
  addressOf(headers: Headers, peer: string | null): string
  /** True when a browser page of this origin may open a WebSocket here. */
  originAllowed(origin: string, host: string | null): boolean
  limits: Pick<RateLimits, 'request' | 'attempt' | 'exchange' | 'failure'>
  /** Told who is behind a request, whether or not that is enough for the route. */
  onCaller?(request: Request, caller: Caller): void
}

/** The only routes that answer without credentials. */
export const PUBLIC_ROUTES: readonly string[] = [
  'POST /api/auth/register',
  'POST /api/auth/login',
  'POST /api/auth/refresh',
  'GET /api/status/health',
  'GET /api/status/info',
  'GET /healthz',
  'GET /readyz',
  'GET /docs',
  'GET /docs/openapi.json',
  // The link is the permission: nobody can guess one, and it ends.
  'GET /media/{name}',
]

export const ACCESS = 'x-access'

/** Routes that send one message. */
const SENDS = /^\/api\/messages\/send(?:\/(?!presence$|star$|read$|bulk$)[\w-]+)?$/
/** What a request counts as: messages are paced by the queue, so only refused ones count; a dry run is none. */
const kindOf = (route: string, query: Record<string, unknown>): RequestKind =>
  SENDS.test(route) && query.validate === undefined ? 'sends' : 'requests'

/**
 * Makes the macros `access`, and `attempts` for routes that take a password or exchange a token: they count against the
 * caller's address, a password before it is looked at.
 */
export function guard(parts: GuardParts) {
  const { limits } = parts
  const callers = new WeakMap<Request, Caller>()
  const addressOf = (request: Request, server: GuardContext['server']) =>
    parts.addressOf(request.headers, server?.requestIP(request)?.address ?? null)

  const identified = async (
    request: Request,
    query: GuardContext['query'],
    server: GuardContext['server'],
  ): Promise<Principal> => {
    try {
      return await principalOf(request, query, parts)
    } catch (error) {
      const isRefused = error instanceof AppError && error.status === 401 && error.code !== 'AUTH_REQUIRED'
      throw (isRefused && limits.failure(addressOf(request, server))) || error
    }
  }

  const counted = new Elysia({ name: 'guard' }).macro('attempts', (what: 'password' | 'token') => ({
    transform: ({ request, server, set }: Pick<GuardContext, 'request' | 'server' | 'set'>) => {
      if (what === 'password') limits.attempt(addressOf(request, server), set)
      else limits.exchange(addressOf(request, server), request, set)
    },
  }))
  return counted.macro('access', (access: Access | readonly Access[]) => ({
    detail: { [ACCESS]: access } as object,
    // Comes after a route's own: a body that no route has asked for is not read, whoever sends it.
    parse: () => null,
    // What is taken out of the context here is all of it that Elysia makes: handing it on whole would cost cookies and more.
    transform: async ({ query, request, route, server, set }: GuardContext) => {
      const principal = await identified(request, query, server)
      const address = addressOf(request, server)
      parts.onCaller?.(request, { principal, address })
      // An address that is not known is on no list.
      if (!isListed(principal.ipAllowlist, address)) throw fail('IP_NOT_ALLOWED')
      limits.request(kindOf(route, query), request, principal, set)
      const needed = [access].flat() as Access[]
      const missing = needed.find((scope) => scope !== 'account' && !principal.scopes.includes(scope))
      if (missing) throw fail('FORBIDDEN', { requiredScope: missing })
      callers.set(request, { principal, address })
    },
    resolve: ({ request }) => {
      const caller = callers.get(request)
      if (!caller) throw fail('AUTH_REQUIRED')
      return { caller }
    },
  }))
}
export type Guard = ReturnType<typeof guard>

type GuardContext = {
  request: Request
  server: { requestIP(request: Request): { address: string } | null } | null
  query: Record<string, unknown>
  route: string
  set: HeadersSet
}

async function principalOf(
  request: Request,
  query: Record<string, unknown>,
  { authenticate, current, tickets, originAllowed }: GuardParts,
): Promise<Principal> {
  const { headers } = request
  const upgrading = headers.get('upgrade')?.toLowerCase() === 'websocket'
  const origin = headers.get('origin')
  if (upgrading && origin !== null && !originAllowed(origin, headers.get('host'))) {
    throw fail('FORBIDDEN', { origin }, 'Pages of this origin may not open a WebSocket here')
  }
  // A ticket is taken where browsers cannot set headers; anywhere else a secret in a URL is ignored.
  if ((upgrading || isEventSource(request)) && typeof query.ticket === 'string') {
    const issued = tickets.redeem(query.ticket)
    const principal = issued && current(issued)
    if (!principal) throw fail('AUTH_INVALID_TOKEN', undefined, 'This ticket is not valid any more')
    return principal
  }
  return await authenticate({
    authorization: once(headers, 'authorization'),
    apiKey: once(headers, 'x-api-key'),
  })
}

/** A header that may come once: of two, nobody can say which is meant. Several are handed on joined by a comma. */
function once(headers: Headers, name: string): string | null {
  const value = headers.get(name)
  if (value?.includes(', ')) {
    throw fail('VALIDATION_ERROR', {
      in: 'headers',
      fields: [{ path: `/${name}`, message: 'Was sent more than once' }],
    })
  }
  return value
}

/** A request for server-sent events. */
const isEventSource = ({ method, url }: Request): boolean =>
  method === 'GET' && /^[^?#]*\/events\/stream(?:[?#]|$)/.test(url)

/** Fails when a route has neither a guard nor a place in PUBLIC_ROUTES. */
export function assertGuarded(
  routes: readonly { method: string; path: string; hooks: { detail?: object } }[],
): void {
  const open = routes
    .filter(({ hooks }) => !(hooks.detail && ACCESS in hooks.detail))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    .filter((name) => !PUBLIC_ROUTES.includes(name))
  if (open.length > 0) throw new Error(`Routes without a guard: ${open.join(', ')}`)
}

/** Refuses what concerns the account as a whole to a key of some sessions. Throws `FORBIDDEN`. */
export function wholeAccount({ principal }: Caller): void {
  if (principal.sessionIds === null) return
  throw fail('FORBIDDEN', { action: 'Use a key of the whole account' }, 'This key is for some sessions only')
}

/** The caller's own session, or `SESSION_NOT_FOUND`: another tenant's sessions do not exist. */
export type SessionGate = (caller: Caller, id: string) => Session

export const sessionGate =
  (find: (id: SessionId) => Session | null): SessionGate =>
  ({ principal, address }, id) => {
    const session = find(id as SessionId)
    if (!session || !reaches(principal, session)) throw fail('SESSION_NOT_FOUND')
    if (!isAdmitted(session, address)) throw fail('IP_NOT_ALLOWED')
    return session
  }

/** Networks of lists, each read once; a change makes a new list. */
const networks = new WeakMap<readonly string[], ReturnType<typeof networkSet>>()

/** Whether a list of addresses and ranges lets this one through; an empty one lets everybody. */
function isListed(list: readonly string[], address: string): boolean {
  if (list.length === 0) return true
  const known = networks.get(list) ?? networkSet(list)
  networks.set(list, known)
  return known.has(address)
}

/** Whether a session's own whitelist lets this address see it. */
export const isAdmitted = (
  { settings: { ipWhitelist } }: Pick<Session, 'settings'>,
  address: string,
): boolean => isListed(ipWhitelist, address)
