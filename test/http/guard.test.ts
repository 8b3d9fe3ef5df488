/** The guard by itself, where a request has no address and headers come twice. */
import { describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { AppError } from '../../src/domain/errors'
import { asTenantId } from '../../src/domain/ids'
import { type Principal, SCOPES } from '../../src/domain/principal'
import { addressReader } from '../../src/http/address'
import { type GuardParts, guard } from '../../src/http/guard'

const principal: Principal = {
  tenantId: asTenantId('tenant-1'),
  username: 'ada',
  role: 'user',
  plan: 'enterprise',
  scopes: SCOPES,
  sessionIds: null,
  ipAllowlist: ['10.0.0.0/8'],
  by: { kind: 'key', keyId: 'key_1', expiresAt: null },
}

/** Answers with the code of what was thrown; `app.handle` knows no server, and so no peer. */
async function codeOf(who: Principal, headers: Record<string, string> = {}, trusted: string[] = []) {
  const parts: GuardParts = {
    authenticate: async () => who,
    current: (given) => given,
    tickets: { issue: () => ({ ticket: '', expiresAt: 0 }), redeem: () => who },
    addressOf: addressReader(trusted),
    originAllowed: () => true,
    limits: {
      request: () => undefined,
      attempt: () => undefined,
      exchange: () => undefined,
      failure: () => null,
    } as unknown as GuardParts['limits'],
  }
  const app = new Elysia()
    .use(guard(parts))
    .onError(({ error }) => (error instanceof AppError ? error.code : String(error)))
    .get('/x', () => 'answered', { access: 'sessions:read' })
    .get('/api/events/stream', () => 'answered', { access: 'sessions:read' })
  const path = headers.ticket === undefined ? '/x' : '/api/events/stream?ticket=x'
  return (await app.handle(new Request(`http://host${path}`, { headers }))).text()
}

describe('a key with a list of addresses', () => {
  test('is refused where the address is not known, whatever the headers say', async () => {
    expect(await codeOf(principal)).toBe('IP_NOT_ALLOWED')
    for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded']) {
      expect(await codeOf(principal, { [name]: '10.0.0.1' })).toBe('IP_NOT_ALLOWED')
    }
    expect(await codeOf(principal, { ticket: 'x' })).toBe('IP_NOT_ALLOWED')
  })

  test('one without is not (control)', async () => {
    expect(await codeOf({ ...principal, ipAllowlist: [] })).toBe('answered')
    expect(await codeOf({ ...principal, ipAllowlist: [] }, { ticket: 'x' })).toBe('answered')
  })
})

test('credentials that come twice, joined by a comma as HTTP has it, are a bad request', async () => {
  const open = { ...principal, ipAllowlist: [] }
  for (const name of ['authorization', 'x-api-key']) {
    expect(await codeOf(open, { [name]: 'one, two' })).toBe('VALIDATION_ERROR')
    expect(await codeOf(open, { [name]: 'one' })).toBe('answered')
  }
})
