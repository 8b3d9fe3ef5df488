import { describe, expect, test } from 'bun:test'
import { packFields, unpackFields } from '../../src/storage/event-codec'

const received = JSON.stringify({
  messageId: '3EB0C767D26A8B5F1A2B0C',
  from: '4917012345678',
  to: 'me',
  chat: '4917012345678',
  type: 'text',
  text: 'Hello, this is a message of an ordinary length',
  contact: { name: 'Ada Lovelace', profilePicture: null },
  lid: '123456789012345@lid',
  phoneNumber: '4917012345678',
  mentions: [],
  quoted: null,
  sentAt: '2026-11-25T08:15:30.123Z',
  fromMe: false,
  viaApi: false,
  offline: false,
})

const PACKED =
  'AcOMXGdzM3MXIzNHCydTN0NHIycDZ+RwMTQ3MDQyNjE1M7fAFkQYCrCFl0dqTk6+jkJJRmaxQmaxQqIC1AkK+WkKiXkK+aDiLLGoUiEnNS+9JANr6DqmJCr45Jel5iQmg2zHG9Iw51hCHIYj4FHdTVpKMw0xsLAyNLUyNtAzNDImOQ4A'

describe('events on disk', () => {
  test.each([
    ['an ordinary one', received],
    ['nothing', '{}'],
    ['emoji, NUL, lone halves of pairs', JSON.stringify({ text: '👩‍👩‍👧 \u0000 \ud800 ä' })],
    [
      '64 KiB that do not repeat',
      JSON.stringify({
        text: Buffer.from(crypto.getRandomValues(new Uint8Array(49_152))).toString('base64'),
      }),
    ],
  ])('%s comes back as it was', (_, json) => {
    expect(unpackFields(packFields(json))).toBe(json)
  })

  test('what events have in common costs next to nothing', () => {
    expect(packFields(received).length).toBeLessThan(0.4 * received.length)
  })

  test('JSON as earlier programs wrote it is read as it is', () => {
    expect(unpackFields(Buffer.from(received))).toBe(received)
  })

  test('what a newer program has packed is refused by its number', () => {
    expect(() => unpackFields(Uint8Array.of(9, 1, 2))).toThrow('dictionary 9')
  })

  test('a dictionary that was released does not change', () => {
    // Packed by the first program that had it.
    expect(unpackFields(Buffer.from(PACKED, 'base64'))).toBe(received)
  })
})
