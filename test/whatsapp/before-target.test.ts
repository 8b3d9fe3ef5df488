/** What came before the message it is sealed with: told behind it, or as it is when that does not come. */
import { expect, test } from 'bun:test'
import { createBeforeTarget, sealedWith, WAIT_MS } from '../../src/whatsapp/baileys/before-target'
import { createManualClock } from '../harness/clock'

function rig() {
  const clock = createManualClock()
  const told: string[] = []
  const before = createBeforeTarget(clock)
  return { clock, told, before, tell: (name: string) => () => told.push(name) as unknown as undefined }
}

test('everything that waits for a message is told with it, in its order, and nothing else', async () => {
  const { before, told, tell, clock } = rig()
  before.wait('poll', tell('first'))
  before.wait('other', tell('elsewhere'))
  before.wait('poll', tell('second'))
  before.arrived('nobody')
  expect(told).toEqual([])
  before.arrived('poll')
  expect(told).toEqual(['first', 'second'])
  before.arrived('poll')
  await clock.advance(WAIT_MS)
  expect(told).toEqual(['first', 'second', 'elsewhere'])
  expect(clock.waiting).toBe(0)
})

test('so many wait at a time; the oldest is told as it is', () => {
  const { before, told, tell } = rig()
  for (let n = 0; n < 201; n++) before.wait(`poll ${n}`, tell(`vote ${n}`))
  expect(told).toEqual(['vote 0'])
})

test('after the end nothing is told', async () => {
  const { before, told, tell, clock } = rig()
  before.wait('poll', tell('vote'))
  before.stop()
  before.arrived('poll')
  await clock.advance(2 * WAIT_MS)
  expect(told).toEqual([])
  expect(clock.waiting).toBe(0)
})

test('what is sealed with another message, inside wrappers too', () => {
  const sealed = { encPayload: new Uint8Array(20), encIv: new Uint8Array(12) }
  const key = { id: 'A' }
  const vote = { pollUpdateMessage: { pollCreationMessageKey: key, vote: sealed } }
  expect(sealedWith(vote)).toBe('A')
  expect(sealedWith({ ephemeralMessage: { message: vote } })).toBe('A')
  expect(sealedWith({ encReactionMessage: { targetMessageKey: key, ...sealed } })).toBe('A')
  expect(sealedWith({ encEventResponseMessage: { eventCreationMessageKey: key, ...sealed } })).toBe('A')
  expect(sealedWith({ conversation: 'A' })).toBeNull()
  expect(sealedWith({ pollUpdateMessage: { pollCreationMessageKey: key } })).toBeNull()
  expect(sealedWith({ encReactionMessage: sealed })).toBeNull()
})
