/**
 * Writes the audit log of the API: one hook before and one after every route. Which calls it concerns is said by
 * `audit-rules.ts`. Of a call only names, ids and its result are taken, never a value that somebody has given.
 */
import { AUDIT_OK, type Audit, type AuditEntry, type AuditOpen, type AuditWord } from '../domain/audit'
import { AppError } from '../domain/errors'
import type { Principal } from '../domain/principal'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { createRepeats } from './audit-repeats'
import { type AuditedCall, auditLookUp } from './audit-rules'
import { type Caller, PUBLIC_ROUTES } from './guard'

export type AuditTrailParts = {
  audit: Pick<Audit, 'begin' | 'append'>
  /** Id of the account with this username or e-mail address. */
  accountOf(login: string): string | null
  addressOf(headers: Headers, peer: string | null): string
  clock: Clock
  log: Log
}

type Context = {
  request: Request
  server?: { requestIP(request: Request): { address: string } | null } | null
  body?: unknown
}

export interface AuditTrail {
  /** Called once the routes exist. */
  concern(routes: Parameters<typeof auditLookUp>[0]): void
  caller(request: Request, caller: Caller): void
  /** Before the route's own code: puts on disk what is about to be done, without waiting. */
  before(context: Context): void
  /** After it: resolves when the entry is on disk. Throws `STORAGE_UNAVAILABLE`. */
  after(context: { request: Request; answer: unknown }): Promise<void> | void
  /** Instead of `after`, when it has failed with this code. */
  failed(context: Context, told: { code: string; status: number }): Promise<void> | void
  /** Writes what was only counted so far. */
  flush(): void
}

/** Where the id of something new stands in the answer. */
const NEW_IDS = ['session', 'key', 'endpoint', 'user', 'webhook'] as const
const LOGIN = 'POST /api/auth/login'
const DAY = 86_400_000
/** Credentials and addresses that are remembered as seen today. */
const MOST_SEEN = 10_000
const AGENT_LENGTH = 120
const MOST_FIELDS = 40

/** Makes the trail. */
export function createAuditTrail({ audit, accountOf, addressOf, clock, log }: AuditTrailParts): AuditTrail {
  let callOf: ReturnType<typeof auditLookUp> = () => null
  const callers = new WeakMap<Request, Caller>()
  const opened = new WeakMap<Request, { call: AuditedCall; entry: AuditEntry; open: AuditOpen | null }>()
  const seen = new Map<string, number>()

  const write = (entry: AuditEntry): void => {
    audit
      .append(entry)
      .catch((error) =>
        log.error('The audit log cannot be written', { action: entry.action, error: String(error) }),
      )
  }
  const repeats = createRepeats({ clock, write })

  function entryOf(action: string, context: Pick<Context, 'request' | 'server'>): AuditEntry {
    const { request, server } = context
    const caller = callers.get(request)
    const peer = server?.requestIP(request)?.address ?? null
    return {
      at: clock.now(),
      account: caller?.principal.tenantId ?? null,
      credential: caller ? credentialOf(caller.principal) : null,
      action,
      object: null,
      session: null,
      address: (caller?.address ?? addressOf(request.headers, peer)) || null,
      agent: agentOf(request.headers.get('user-agent')),
      result: AUDIT_OK,
      count: 1,
      fields: [],
    }
  }

  /** The call as far as its path and body tell it; values of the body are not looked at but for the id of a session. */
  function begun(call: AuditedCall, context: Context): AuditEntry {
    const { params, action } = call
    const object = Object.values(params).at(-1)
    const session =
      params.sessionId ??
      (action.includes(' /api/sessions/{id}') ? params.id : textOf(context.body, 'sessionId'))
    return {
      ...entryOf(action, context),
      object: object === undefined ? null : idOf(object),
      session: session === undefined ? null : idOf(session),
    }
  }

  return {
    concern(routes) {
      callOf = auditLookUp(routes)
    },
    caller(request, caller) {
      callers.set(request, caller)
      const { principal, address } = caller
      const key = `${credentialOf(principal)} ${address}`
      const today = Math.floor(clock.now() / DAY)
      if (seen.get(key) === today) return
      if (seen.size >= MOST_SEEN) seen.clear()
      seen.set(key, today)
      write(entryOf('credential.used' satisfies AuditWord, { request }))
    },
    before(context) {
      const { request } = context
      const call = callOf(request.method, pathOf(request.url))
      if (!call) return
      const entry = { ...begun(call, context), fields: fieldsOf(context.body) }
      const isDone = call.mode === 'each' && entry.account !== null
      opened.set(request, { call, entry, open: isDone ? audit.begin(entry) : null })
    },
    after({ request, answer }) {
      const found = opened.get(request)
      if (!found) return
      opened.delete(request)
      const { call, open } = found
      const made = newIdOf(answer)
      const entry: AuditEntry = {
        ...found.entry,
        ...(PUBLIC_ROUTES.includes(call.action) ? { account: found.entry.account ?? ownerOf(answer) } : {}),
        object: found.entry.object ?? made?.id ?? null,
        session: found.entry.session ?? (made?.of === 'session' ? made.id : null),
      }
      if (call.mode === 'together') return repeats.note(entry)
      return open ? open.end(entry) : audit.append(entry)
    },
    failed(context, { code, status }) {
      const { request } = context
      const found = opened.get(request)
      opened.delete(request)
      if (found?.open) return ended(found.open.end({ ...found.entry, result: code }), found.entry.action)
      const call = found?.call ?? callOf(request.method, pathOf(request.url))
      const isKnown = callers.has(request)
      // Nothing was done. Who is not known, or asks too often, is told of together with others.
      if (call && isKnown && call.mode === 'each' && status !== 429) {
        return ended(audit.append({ ...begun(call, context), result: code }), call.action)
      }
      if (call && (isKnown || PUBLIC_ROUTES.includes(call.action))) {
        const login = call.action === LOGIN ? loginOf(context.body) : null
        const attacked = login === null ? {} : { object: accountOf(login) }
        return repeats.note({ ...begun(call, context), ...attacked, result: code })
      }
      const word = wordFor(status, code)
      if (word) repeats.note({ ...entryOf(word, context), result: code })
    },
    flush: repeats.flush,
  }

  /** The answer to a failure leaves whether or not it could be recorded. */
  async function ended(written: Promise<void>, action: string): Promise<void> {
    try {
      await written
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      log.error('The audit log cannot be written', { action, error: String(error) })
    }
  }
}

/** The word for what is refused on a route that is not in the log by itself; null for what is nobody's concern. */
function wordFor(status: number, code: string): AuditWord | null {
  // Without credentials there is nothing that could be guessed or stolen.
  if (code === 'AUTH_REQUIRED') return null
  if (status === 401) return 'auth.failed'
  if (code === 'FORBIDDEN' || code === 'IP_NOT_ALLOWED') return 'access.denied'
  return code === 'RATE_LIMIT_EXCEEDED' ? 'rate.limited' : null
}

const credentialOf = ({ by }: Principal): string => (by.kind === 'key' ? by.keyId : `token:${by.jti}`)

/** `http://host/path?query` → `/path`. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return start === -1 ? '/' : url.slice(start, end === -1 ? undefined : end)
}

const CONTROL = /[^\x20-\x7e]/g
const agentOf = (given: string | null): string | null =>
  given ? given.replace(CONTROL, '?').slice(0, AGENT_LENGTH) : null

const ID = /^[\w.:@+-]{1,80}$/
const NUMBER = /^\+?(?:\d{5,20})(?:-\d+)?(?=$|[:@])/
/** An id as it may be kept: a phone number keeps its last four digits, and what is no id is not kept. */
export function idOf(given: string): string {
  const text = safelyDecoded(given)
  if (!ID.test(text)) return '(no id)'
  return text.replace(NUMBER, (number) => `…${number.slice(-4)}`)
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown, name: string): string | undefined =>
  isObject(value) && typeof value[name] === 'string' ? value[name] : undefined

const loginOf = (body: unknown): string | null => textOf(body, 'username') ?? textOf(body, 'email') ?? null

/** Names of the fields, those of `settings` with its name before them. Only for a body that its schema has taken. */
function fieldsOf(body: unknown): string[] {
  if (!isObject(body)) return []
  return Object.entries(body)
    .flatMap(([name, value]) =>
      name === 'settings' && isObject(value)
        ? Object.keys(value).map((inner) => `settings.${inner}`)
        : [name],
    )
    .slice(0, MOST_FIELDS)
}

function newIdOf(answer: unknown): { of: (typeof NEW_IDS)[number]; id: string } | null {
  if (!isObject(answer)) return null
  for (const of of NEW_IDS) {
    const id = textOf(answer[of], 'id')
    if (id !== undefined) return { of, id: idOf(id) }
  }
  return null
}

/** Whose account an answer with a token is about. */
function ownerOf(answer: unknown): string | null {
  const user = isObject(answer) ? textOf(answer.user, 'id') : undefined
  return user ?? subjectOf(textOf(answer, 'token') ?? '')
}

/** The `sub` of a token that this server has just made. */
function subjectOf(token: string): string | null {
  const payload = token.split('.')[1]
  if (payload === undefined) return null
  return textOf(JSON.parse(Buffer.from(payload, 'base64url').toString()), 'sub') ?? null
}
