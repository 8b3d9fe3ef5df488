import { describe, expect, test } from 'bun:test'
import {
  BUNDLED_VERSION,
  createClientVersion,
  parseVersion,
  showVersion,
} from '../../../src/whatsapp/baileys/upstream/client-version'
import { createWorld } from '../support/world'

const site = (body: string, status = 200) => {
  let asked = 0
  return {
    get asked() {
      return asked
    },
    fetch: async () => {
      asked += 1
      return new Response(body, { status })
    },
  }
}
const store = (saved: string | null = null) => {
  const written: string[] = []
  return { written, load: () => saved, save: (version: string) => void written.push(version) }
}

describe('the client version', () => {
  test('override, then the last that succeeded, then the bundled one', () => {
    expect(createClientVersion({ override: [2, 3000, 7], store: store('2.3000.8') }).current()).toEqual([
      2, 3000, 7,
    ])
    expect(createClientVersion({ override: null, store: store('2.3000.8') }).current()).toEqual([2, 3000, 8])
    expect(createClientVersion({ override: null, store: store('junk') }).current()).toEqual(BUNDLED_VERSION)
    expect(createClientVersion({ override: null }).current()).toEqual(BUNDLED_VERSION)
  })

  test('is looked up once for all who were refused', async () => {
    const { fetch, ...rest } = site('x\\"client_revision\\":1099999999,y')
    const web = { fetch, rest }
    const version = createClientVersion({ override: null, fetch: web.fetch })
    const all = await Promise.all([version.refused(BUNDLED_VERSION), version.refused(BUNDLED_VERSION)])
    expect(all).toEqual([true, true])
    expect(version.current()).toEqual([2, 3000, 1_099_999_999])
    expect(await version.refused(BUNDLED_VERSION)).toBe(true)
    expect(await version.refused([2, 3000, 1_099_999_999])).toBe(false)
  })

  test('a failing look-up leaves everything as it is', async () => {
    for (const body of ['no revision here', '']) {
      const version = createClientVersion({
        override: null,
        fetch: site(body, body === '' ? 503 : 200).fetch,
      })
      expect(await version.refused(BUNDLED_VERSION)).toBe(false)
      expect(version.current()).toEqual(BUNDLED_VERSION)
    }
  })

  test('a remembered version that is refused gives way to the bundled one', async () => {
    const version = createClientVersion({ override: null, store: store('2.3000.1') })
    expect(await version.refused([2, 3000, 1])).toBe(true)
    expect(version.current()).toEqual(BUNDLED_VERSION)
  })

  test('an override is never replaced, and never remembered', async () => {
    const saved = store()
    const version = createClientVersion({ override: [2, 3000, 7], store: saved })
    expect(await version.refused([2, 3000, 7])).toBe(false)
    version.succeeded([2, 3000, 7])
    expect(saved.written).toEqual([])
  })

  test('reads both spellings', () => {
    expect(parseVersion('2.3000.1')).toEqual([2, 3000, 1])
    expect(parseVersion(' 2,3000,1 ')).toEqual([2, 3000, 1])
    expect(parseVersion('2.3000')).toBeNull()
    expect(showVersion([2, 3000, 1])).toBe('2.3000.1')
  })
})

describe('a client that is outdated', () => {
  test('tries the other version on the same opening, and remembers the one that worked', async () => {
    const saved = store('2.3000.1')
    const world = await createWorld({
      network: { versions: saved },
      server: { minimumVersion: BUNDLED_VERSION },
    })
    const alice = world.phone('491700000001')
    const session = await world.linked(alice)
    expect(session.of('opened')[0]?.clientVersion).toBe(showVersion(BUNDLED_VERSION))
    expect(session.of('closed').map(({ why }) => why.reason)).toEqual(['restart_required'])
    expect(saved.written).toContain(showVersion(BUNDLED_VERSION))
    await world.stop()
  })

  test('without another version it says so, and keeps its credentials', async () => {
    const world = await createWorld()
    const alice = world.phone('491700000001')
    const session = await world.linked(alice)
    await session.connection.close()
    world.server.faults.add({ kind: 'outdated', phoneNumber: alice.phoneNumber })
    const creds = session.vault.get('creds', ['creds']).get('creds')
    session.vault = session.vault.next()
    const closed = session.next('closed')
    session.open()
    expect((await closed).why).toEqual(expect.objectContaining({ reason: 'client_outdated', code: 405 }))
    expect(session.vault.get('creds', ['creds']).get('creds')).toEqual(creds as Uint8Array)
    await world.stop()
  })
})
