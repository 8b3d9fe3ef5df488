import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { initAuthCreds, proto } from '@whiskeysockets/baileys'
import { decodeValue, encodeValue, fromJson, toJson } from '../../src/whatsapp/baileys/key-codec'

const roundTrip = (type: string, value: unknown) => decodeValue(encodeValue(type, value))

describe('values of the key store', () => {
  test.each([
    ['pre-key', { private: randomBytes(32), public: randomBytes(32) }],
    [
      'session',
      { _sessions: { 'AbC=': { _chains: { x: { messageKeys: { 0: 'k', 17: 'l' } } } } }, version: 'v1' },
    ],
    ['sender-key-memory', { '1:2@lid': true }],
    ['lid-mapping', '12345'],
    ['device-list', ['0', '1', '17']],
    [
      'app-state-sync-version',
      { version: 3, hash: randomBytes(128), indexValueMap: { a: { valueMac: randomBytes(32) } } },
    ],
    ['tctoken', { token: Buffer.alloc(0), timestamp: '17', senderTimestamp: 18 }],
    ['numbers only', { 0: 1, 1: 2, 2: 3 }],
    ['never heard of', { deep: [{ bytes: randomBytes(3), nothing: null }] }],
  ])('%s comes back as it went', (type, value) => {
    expect(roundTrip(type, value)).toEqual(value)
  })

  test('bytes come back as bytes, empty ones too', () => {
    const bytes = randomBytes(40)
    expect(roundTrip('sender-key', new Uint8Array(bytes))).toEqual(bytes)
    expect(roundTrip('identity-key', new Uint8Array())).toEqual(Buffer.alloc(0))
  })

  test('an app-state key keeps its protobuf form', () => {
    const key = proto.Message.AppStateSyncKeyData.fromObject({
      keyData: randomBytes(32),
      fingerprint: { rawId: 5, currentIndex: 1, deviceIndexes: [0, 1] },
      timestamp: 1_700_000_000_000,
    })
    const back = roundTrip('app-state-sync-key', key) as proto.Message.AppStateSyncKeyData
    expect(proto.Message.AppStateSyncKeyData.encode(back).finish()).toEqual(
      proto.Message.AppStateSyncKeyData.encode(key).finish(),
    )
    expect(Buffer.from(back.keyData ?? [])).toEqual(Buffer.from(key.keyData ?? []))
  })

  test('credentials keep every byte', () => {
    const creds = initAuthCreds()
    // `undefined` is the one thing JSON cannot hold; an absent field is the same to Baileys.
    const present = Object.fromEntries(Object.entries(creds).filter(([, value]) => value !== undefined))
    expect(fromJson(toJson(creds))).toEqual(present)
  })

  test('an unknown form is an error, not a guess', () => {
    expect(() => decodeValue(Buffer.from([9, 1, 2]))).toThrow('unknown form')
  })
})
