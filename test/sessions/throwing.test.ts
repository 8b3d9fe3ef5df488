/** Whatever fails inside of one session stays there: a thousand exceptions, and the others do not notice. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Report } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { anIncoming } from './scripted-whatsapp'

let rig: Rig
const strays: unknown[] = []
const onStray = (reason: unknown) => strays.push(reason)
beforeEach(async () => {
  strays.length = 0
  process.on('unhandledRejection', onStray)
  rig = await createRig()
})
afterEach(async () => {
  await rig.end()
  process.off('unhandledRejection', onStray)
})

const ME_TOO = { phoneNumber: '49303333333', lid: '493033333330@lid' }
const bang = (): never => {
  throw new TypeError('bang')
}
/** A report of which a part cannot be read; the first `good` looks still succeed. */
const broken = (kind: string, part: string, value: unknown, good: number): Report => {
  let looks = 0
  return Object.defineProperty({ kind }, part, {
    enumerable: true,
    get: () => (looks++ < good ? value : bang()),
  }) as unknown as Report
}

test('a thousand exceptions in one session', async () => {
  const good = await rig.link({}, '49301111111')
  const healthy = rig.whatsapp.last()
  const bad = await rig.link({ maxReconnectAttempts: 0 }, '49303333333')
  for (let n = 0; n < 1_000; n += 1) {
    // It comes back by itself from what it could not survive, as from a lost connection.
    while (rig.status(bad) !== 'connected') {
      await rig.clock.advance(30_000)
      const connection = rig.whatsapp.last()
      if (connection !== healthy && !connection.isClosed && rig.status(bad) === 'connecting')
        connection.opened(ME_TOO)
      await settle()
    }
    const sick = rig.whatsapp.last()
    sick.report(
      [
        broken('messages', 'messages', [], n % 4),
        broken('statuses', 'statuses', [], n % 4),
        broken('chats', 'chats', [], n % 4),
      ][n % 3] as Report,
    )
    if (n % 100 === 0) {
      const before = rig.events(good, 'message.').length
      healthy.message(anIncoming())
      await settle()
      expect(rig.events(good, 'message.').length).toBe(before + 1)
    }
    await settle()
    expect(rig.status(good)).toBe('connected')
  }
  expect(healthy.isClosed).toBe(false)
  expect(strays).toEqual([])
  // And the one that was hurt goes on as well.
  while (rig.status(bad) !== 'connected') {
    await rig.clock.advance(30_000)
    if (!rig.whatsapp.last().isClosed) rig.whatsapp.last().opened(ME_TOO)
    await settle()
  }
  const before = rig.events(bad, 'message.').length
  rig.whatsapp.last().message()
  await settle()
  expect(rig.events(bad, 'message.').length).toBe(before + 1)
}, 60_000)
