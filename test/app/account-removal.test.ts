/** An account that is closed takes along what a request makes that was let in just before. */
import { beforeEach, expect, test } from 'bun:test'
import { createAccountRemoval } from '../../src/app/account-removal'
import { asSessionId, asTenantId, type TenantId } from '../../src/domain/ids'
import type { User } from '../../src/domain/principal'
import type { Session } from '../../src/domain/session'
import { silentLog } from '../../src/lib/log'
import { createManualClock, type ManualClock } from '../harness/clock'

const ADA = asTenantId('usr_ada')
let clock: ManualClock
let log: string[]
let isActive: boolean | null
let leaving: TenantId[]

beforeEach(() => {
  clock = createManualClock()
  log = []
  isActive = false
  leaving = []
})

const make = () =>
  createAccountRemoval({
    accounts: {
      leaving: () => leaving.map((id) => ({ id }) as User),
      removeUser: async (id) => {
        log.push(`account ${id}`)
      },
      userById: () => (isActive === null ? null : ({ isActive } as User)),
    },
    sessions: {
      list: () => ({ sessions: [{ id: asSessionId('one') } as Session], total: 1 }),
    },
    supervisor: {
      removeTenant: async (id) => {
        log.push(`sessions ${id}`)
      },
      command: async (id, command) => {
        log.push(`${command} ${id}`)
        return {} as Session
      },
    },
    clock,
    log: silentLog,
  })

const REMOVED = ['sessions usr_ada', 'account usr_ada']

test('is looked through once more, half a minute later', async () => {
  await make().remove(ADA)
  expect(log).toEqual(REMOVED)
  await clock.advance(30_000)
  expect(log).toEqual([...REMOVED, ...REMOVED])
  await clock.advance(120_000)
  expect([log.length, clock.waiting]).toEqual([4, 0])
})

test('or when the server stops', async () => {
  const removal = make()
  await removal.remove(ADA)
  await removal.stop()
  expect(log).toEqual([...REMOVED, ...REMOVED])
  expect(clock.waiting).toBe(0)
})

test('a removal that has begun goes on at the start', async () => {
  leaving = [ADA]
  const removal = make()
  await removal.start()
  await removal.stop()
  expect(log.slice(0, 2)).toEqual(REMOVED)
})

test('sessions of one that is not active are stopped, and again; of one that is active by then they are not', async () => {
  const removal = make()
  await removal.stopSessions(ADA)
  expect(log).toEqual(['stop one'])
  await clock.advance(30_000)
  expect(log).toEqual(['stop one', 'stop one'])
  await removal.stopSessions(ADA)
  isActive = true
  await clock.advance(30_000)
  expect(log).toHaveLength(3)
  isActive = null
  await removal.stopSessions(ADA)
  expect(log).toHaveLength(3)
})
