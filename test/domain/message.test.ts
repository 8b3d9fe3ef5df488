import { expect, test } from 'bun:test'
import { climbs, MESSAGE_STATUSES, type MessageStatus } from '../../src/domain/message'

const LADDER: MessageStatus[] = ['queued', 'failed', 'sent', 'delivered', 'read', 'played']

test('a status only climbs; only an acknowledgement leaves failed', () => {
  LADDER.forEach((current, low) => {
    LADDER.forEach((next, high) => {
      expect(climbs(current, next)).toBe(high > low)
    })
  })
})

test('a received message stays received', () => {
  for (const status of MESSAGE_STATUSES) expect(climbs('received', status)).toBe(false)
})
