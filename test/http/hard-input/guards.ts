/**
 * The guards against hard input, how each is taken away (a change to the source, made as the file is loaded, by the
 * controls alone), and the test that fails without it.
 */
import type { Change } from '../../crash/guards'
import { AUDIT_GUARDS } from '../audit-guards'

export type Guarded = {
  changes: readonly [Change, ...Change[]]
  /** Below `test/http`. */
  file: 'hard-input' | 'matrix' | 'tenants' | 'audit' | '../storage/audit'
  /** The beginning of the test's name; of a row, its number. */
  test: number | string
}

const change = (file: string, guard: string, without: string): Change => ({ file, guard, without })
const row = (test: number, ...changes: readonly [Change, ...Change[]]): Guarded => ({
  changes,
  file: 'hard-input',
  test,
})
const json = (guard: string, without: string) => change('http/json.ts', guard, without)
const target = (guard: string, without: string) => change('lib/target.ts', guard, without)

export const HARD_GUARDS: Record<string, Guarded> = {
  'keys once': row(11, json('if (keys.has(key)) throw', 'if (false) throw')),
  depth: row(12, json('if (open.length >= MAX_DEPTH) throw', 'if (false) throw')),
  'keys of an object': row(13, json('if (keys.size >= MAX_KEYS) throw', 'if (false) throw')),
  'keys in all': row(13, json('if (keys > MAX_KEYS_IN_ALL) throw', 'if (false) throw')),
  'size of a stream': row(14, json('if (size > maxBytes) throw', 'if (false) throw')),
  'UTF-8': row(15, json("new TextDecoder('utf-8', { fatal: true })", "new TextDecoder('utf-8')")),
  'NUL in texts': row(16, json("!text.includes('\\0') && text.isWellFormed()", 'text.isWellFormed()')),
  'whole characters': row(17, json(' && text.isWellFormed()', '')),
  'content types': row(20, json("if (type.trim() !== 'application/json') throw", 'if (false) throw')),
  'compressed bodies': row(22, json("if (encoding !== null && encoding !== 'identity') {", 'if (false) {')),
  'parts of a form': row(
    23,
    change(
      'http/multipart.ts',
      "for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {",
      'for (const limit of [] as "partsLimit"[]) {',
    ),
  ),
  'deadline of bodies': row(
    24,
    json(
      "const cancel = clock.after(deadlineMs, () => late.reject(fail('REQUEST_TIMEOUT')))",
      'const cancel = () => undefined',
    ),
  ),
  'connection after a time-out': row(
    25,
    change('http/errors.ts', "if (error.status === 408) headers.connection = 'close'", ''),
  ),
  'unknown fields': row(
    9,
    change('http/api.ts', 'normalize: false,', 'normalize: true,'),
    change(
      'http/sessions.ts',
      "new Elysia({ prefix: '/api/sessions', normalize: false })",
      "new Elysia({ prefix: '/api/sessions', normalize: true })",
    ),
  ),
  'addresses in URLs': row(
    26,
    target(
      'return (encrypted ? rules.mayReach(host) : rules.mayReachUnencrypted(host)) ? url : null',
      'return url',
    ),
  ),
  'names of this machine': row(27, target('if (isLocalName(host) &&', 'if (false &&')),
  'what names mean': row(32, target("if (verdict === 'never' ||", 'if (')),
  'all addresses of a name': row(33, target('if (!addresses.every(', 'if (!addresses.some(')),
  'the address that was vetted': row(
    34,
    target(
      'const verdict = (encrypted',
      "if (address.startsWith('127.')) return true\n    const verdict = (encrypted",
    ),
  ),
  redirects: row(35, change('lib/outbound-request.ts', "redirect: 'manual',", "redirect: 'follow',")),
  schemes: row(36, target("if (url.protocol !== 'https:' && url.protocol !== 'http:') return null", '')),
  'names and passwords': row(
    37,
    target("if (url.username !== '' || url.password !== '' || host === '') return null", ''),
  ),
  ports: row(38, target('if (!portAllowed(url) ||', 'if (')),
  'names of certificates': row(
    43,
    change(
      'lib/outbound-request.ts',
      '...(target.serverName === null ? {} : { tls: { serverName: target.serverName } }),',
      'tls: { rejectUnauthorized: false },',
    ),
  ),
  'headers of webhooks': row(
    44,
    change(
      'domain/webhook-headers.ts',
      "if (RESERVED.test(key)) return { name, says: 'This header cannot be set' }",
      '',
    ),
  ),
  'no proxies': row(45, change('lib/outbound-request.ts', 'proxy: false,', '')),
  'the own port': row(47, target('if (port !== place.ownPort?.()) return false', 'return false')),
  'the own address': row(
    47,
    target("return verdict === 'allowed' || !isOwn(address, options)", 'return true'),
  ),
  'checksum of keys': row(
    49,
    change(
      'access/api-keys.ts',
      'FORM.test(text) && checksum(text.slice(0, -6)) === text.slice(-6)',
      'FORM.test(text)',
    ),
  ),
  'audience of tokens': row(54, change('access/jwt.ts', 'audience: AUDIENCE,', '')),
  'headers of tokens': row(
    54,
    change('access/jwt.ts', "Object.keys(header).sort().join() === 'alg,typ'", 'true'),
  ),
  'one set of credentials': row(56, change('http/guard.ts', "if (value?.includes(', ')) {", 'if (false) {')),
  'lists of addresses': row(
    57,
    change('http/guard.ts', "if (!isAdmitted(session, address)) throw fail('IP_NOT_ALLOWED')", ''),
  ),
  'wrong keys a minute': row(
    58,
    change('http/guard.ts', '(isRefused && limits.failure(addressOf(request, server))) || error', 'error'),
  ),
  'origins of pages': row(
    59,
    change('http/guard.ts', "!originAllowed(origin, headers.get('host'))", 'false'),
  ),
  'sessions of a stream': row(
    60,
    change('stream/streams.ts', 'if (sessionIds?.some(isForeign)) {', 'if (false) {'),
  ),
  'tickets once': row(
    61,
    change('http/tickets.ts', 'waiting.delete(hash)\n      return found', 'return found'),
  ),
  'frames a second': row(
    62,
    change(
      'stream/streams.ts',
      "if (isTooMuch()) return refuse(1008, 'Too many frames', 'RATE_LIMIT_EXCEEDED')",
      '',
    ),
  ),
  'sessions of a plan': row(
    70,
    change(
      'http/sessions.ts',
      '.create(principal.tenantId, checkedInput(body), maxSessions)',
      '.create(principal.tenantId, checkedInput(body), null)',
    ),
  ),
  'decimal numbers': row(
    75,
    change('http/query.ts', 'NUMBERS.has(name) && DECIMAL.test(value)', 'NUMBERS.has(name)'),
  ),
  'parameters once': row(75, change('http/query.ts', 'if (seen.has(name)) throw', 'if (false) throw')),
  'epochs of cursors': row(
    78,
    change('domain/journal.ts', "if (cursor.epoch !== journal.epoch) return 'expired'", ''),
  ),
  'methods that exist': row(
    80,
    change('http/errors.ts', "if (Array.isArray(allow)) headers.allow = allow.join(', ')", ''),
  ),
  'pixels before they are decoded': row(
    85,
    change('media/as-image.ts', 'if (size.width * size.height > MAX_PIXELS)', 'if (false)'),
  ),
  'Idempotency-Keys': row(91, change('http/idempotent.ts', 'if (!KEY.test(given)) {', 'if (false) {')),

  'bodies that nobody asked for': {
    changes: [change('http/guard.ts', 'parse: () => null,', '')],
    file: 'matrix',
    test: 'a body that no route has asked for',
  },
  'scopes of routes': {
    changes: [
      change('http/guard.ts', "if (missing) throw fail('FORBIDDEN', { requiredScope: missing })", ''),
    ],
    file: 'matrix',
    test: 'a key that may only read',
  },
  'sessions of an account': {
    changes: [change('domain/principal.ts', 'session.tenantId === tenantId && (', '(')],
    file: 'matrix',
    test: 'another account’s key',
  },
  'endpoints of an account': {
    changes: [
      change(
        'storage/webhooks.ts',
        'return one && !one.doomed && one.endpoint.tenantId === tenantId ? one.endpoint : null',
        'return one && !one.doomed ? one.endpoint : null',
      ),
    ],
    file: 'matrix',
    test: 'another account’s key',
  },
  'keys that ran out': {
    changes: [
      change(
        'access/judge.ts',
        'expiresAt !== null && expiresAt <= clock.now()',
        'false && expiresAt !== null',
      ),
    ],
    file: 'matrix',
    test: 'credentials that are none',
  },
  'messages of an account': {
    changes: [change('storage/messages.ts', 'WHERE s.tenant = ? LIMIT 1', 'WHERE ? IS NOT NULL LIMIT 1')],
    file: 'matrix',
    test: 'another account’s key',
  },
  'events of an account': {
    changes: [change('stream/filter.ts', 'entry.tenantId === selection.tenantId &&', '')],
    file: 'tenants',
    test: 'streams',
  },
  'lists of an account': {
    changes: [
      change(
        'storage/sessions.ts',
        'const listed = `tenant = ?1 AND (',
        'const listed = `?1 IS NOT NULL AND (',
      ),
    ],
    file: 'tenants',
    test: 'what is counted',
  },
  ...AUDIT_GUARDS,
}
