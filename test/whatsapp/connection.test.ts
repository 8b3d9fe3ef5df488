import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createLog } from '../../src/lib/log'
import { createWorld, type TestWorld } from './support/world'

let world: TestWorld
beforeAll(async () => {
  world = await createWorld(
    process.env.DEBUG
      ? { log: createLog({ level: 'trace', format: 'pretty', write: console.log, now: Date.now }) }
      : {},
  )
})
afterAll(() => world.stop())

describe('a connection', () => {
  test('is linked by QR, sends, and receives', async () => {
    const alice = world.phone('491700000001')
    const bob = world.phone('491700000002')
    const session = await world.linked(alice)
    expect(session.of('paired')[0]?.me).toEqual(
      expect.objectContaining({ phoneNumber: '491700000001', lid: alice.lid }),
    )
    expect(session.of('closed')[0]?.why).toEqual(
      expect.objectContaining({ reason: 'restart_required', code: 515 }),
    )

    const arrived = bob.waitForMessage(
      (message) => message.content.type === 'text' && message.content.text === 'hello bob',
    )
    const delivered = session.next('statuses', ({ statuses }) =>
      statuses.some(({ status }) => status === 'delivered'),
    )
    const { id, acknowledged } = world.say(session, bob.jid, 'hello bob')
    expect((await acknowledged).at).toBeGreaterThan(0)
    expect((await arrived).id).toBe(id)
    expect((await delivered).statuses[0]?.messageId as string).toBe(id)

    const message = session.next('messages')
    const { id: answer } = await bob.send(alice.jid, 'hello alice')
    const [incoming] = (await message).messages
    expect(incoming).toEqual(
      expect.objectContaining({
        id: answer,
        fromMe: false,
        sender: { lid: bob.lid, phoneNumber: bob.phoneNumber },
        chatParty: { lid: bob.lid, phoneNumber: bob.phoneNumber },
        content: { type: 'text', text: 'hello alice' },
        offline: false,
        status: 'received',
      }),
    )
    expect(incoming?.inboxId).toBeNumber()
  })
})
