import { beforeEach, describe, expect, test } from 'bun:test'
import type { Revocation } from '../../src/access/access'
import { asTenantId } from '../../src/domain/ids'
import type { Principal } from '../../src/domain/principal'
import { type CredentialWatch, createCredentialWatch } from '../../src/http/credential-watch'
import { createManualClock, type ManualClock } from '../harness/clock'

const TENANT = asTenantId('tenant-1')
const principal = (by: Principal['by'], tenantId = TENANT): Principal => ({
  tenantId,
  username: 'ada',
  role: 'user',
  plan: 'free',
  scopes: ['sessions:read'],
  sessionIds: null,
  ipAllowlist: [],
  by,
})
const token = (jti: string) => principal({ kind: 'token', jti, epoch: 0, expiresAt: 0 })
const key = (keyId: string) => principal({ kind: 'key', keyId, expiresAt: null })

let clock: ManualClock
let bad: Set<string>
let asked: string[]
let listeners: Set<(who: Revocation) => void>
let watch: CredentialWatch
let ended: string[]
beforeEach(() => {
  clock = createManualClock()
  bad = new Set()
  asked = []
  listeners = new Set()
  ended = []
  watch = createCredentialWatch({
    clock,
    access: {
      holds({ by }) {
        const name = by.kind === 'token' ? by.jti : by.keyId
        asked.push(name)
        return !bad.has(name)
      },
      onRevoked(listener) {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
    },
  })
})
const revoke = (who: Revocation) => {
  for (const listener of [...listeners]) listener(who)
}

describe('credentials of what is open for long', () => {
  test('end it at once when they are taken back, and nothing else', () => {
    watch(token('one'), () => ended.push('one'))
    watch(token('two'), () => ended.push('two'))
    watch(key('one'), () => ended.push('key one'))
    watch(principal({ kind: 'token', jti: 'one', epoch: 0, expiresAt: 0 }, asTenantId('tenant-2')), () =>
      ended.push('of another account'),
    )
    revoke({ tenantId: TENANT, jti: 'one' })
    expect(ended).toEqual(['one'])
    revoke({ tenantId: TENANT, keyId: 'one' })
    expect(ended).toEqual(['one', 'key one'])
  })

  test('of an account end at once as far as they do not hold any more', () => {
    watch(token('one'), () => ended.push('one'))
    watch(key('two'), () => ended.push('two'))
    bad.add('two')
    revoke({ tenantId: asTenantId('tenant-2') })
    expect(ended).toEqual([])
    revoke({ tenantId: TENANT })
    expect(ended).toEqual(['two'])
  })

  test('end it within a second when they do not hold any more, whoever did it', async () => {
    watch(token('one'), () => ended.push('one'))
    watch(key('two'), () => ended.push('two'))
    await clock.advance(10_000)
    expect(ended).toEqual([])
    bad.add('one')
    await clock.advance(1_000)
    await clock.advance(1_000)
    expect(ended).toEqual(['one'])
  })

  test('are asked for once, however many streams they have opened', async () => {
    for (let n = 0; n < 100; n += 1) watch(key('busy'), () => ended.push('busy'))
    await clock.advance(1_000)
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.length).toBeLessThanOrEqual(2)
    bad.add('busy')
    await clock.advance(1_000)
    expect(ended).toHaveLength(100)
  })

  test('are not looked at when nobody is there', async () => {
    const leave = watch(token('one'), () => ended.push('one'))
    const other = watch(token('two'), () => ended.push('two'))
    leave()
    expect(clock.waiting).toBe(1)
    other()
    other()
    expect(clock.waiting).toBe(0)
    expect(listeners.size).toBe(0)
    watch(token('three'), () => ended.push('three'))
    revoke({ tenantId: TENANT, jti: 'three' })
    expect(ended).toEqual(['three'])
    expect(clock.waiting).toBe(0)
  })
})
