import { expect, test } from 'bun:test'
import { EVENT_NAMES, eventFilter, eventSays, isEventPattern, isKept } from '../../src/domain/events'

const matching = (...patterns: string[]) => EVENT_NAMES.filter(eventFilter(patterns))

test('names, prefixes, the star and the short names select events', () => {
  expect(matching('*')).toEqual([...EVENT_NAMES])
  expect(matching()).toEqual([...EVENT_NAMES])
  expect(matching('message.sent', 'typing')).toEqual(['message.sent', 'typing'])
  expect(matching('message.*')).toEqual(EVENT_NAMES.filter((name) => name.startsWith('message.')))
  expect(matching('message')).toEqual(matching('message.*'))
  expect(matching('status')).toEqual(matching('session.*'))
  expect(matching('qr', 'ready', 'disconnected').sort()).toEqual([
    'session.connected',
    'session.disconnected',
    'session.qr_generated',
  ])
})

test('a pattern that can match nothing is not one', () => {
  for (const pattern of ['*', 'message.*', 'message.sent', 'qr', 'typing'])
    expect(isEventPattern(pattern)).toBe(true)
  for (const pattern of ['', '**', 'messages.*', 'message.', 'message.gone', '.*', 'toString', 'constructor'])
    expect(isEventPattern(pattern)).toBe(false)
})

test('secrets on show and passing states are never kept', () => {
  expect(EVENT_NAMES.filter((name) => !isKept(name)).sort()).toEqual([
    'presence.updated',
    'session.pairing_code',
    'session.qr_generated',
    'typing',
  ])
})

test('every event says when it is emitted', () => {
  for (const name of EVENT_NAMES) expect(eventSays(name)).toStartWith('emitted')
})
