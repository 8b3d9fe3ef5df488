import { describe, expect, test } from 'bun:test'
import {
  DEFAULT_CONNECTION_CONFIG,
  generateSignalPubKey,
  initAuthCreds,
  type SignalDataSet,
  type SignalKeyStore,
} from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import {
  KEPT_SENDER_MESSAGE_KEYS,
  pruneSenderKey,
  pruneSession,
} from '../../../src/whatsapp/baileys/upstream/growth'
import { memoryKeys } from '../support/memory-keys'

type Prune = { session: (record: unknown) => unknown; senderKey: (record: Uint8Array) => Uint8Array }
const NONE: Prune = { session: (record) => record, senderKey: (record) => record }
const OURS: Prune = { session: pruneSession, senderKey: pruneSenderKey }

/** A device whose store prunes (or not), and the size of its largest record. */
function device(prune: Prune) {
  const creds = initAuthCreds()
  let largest = 0
  const inner = memoryKeys()
  const pruned = (data: SignalDataSet): SignalDataSet => {
    const apply = (rows: Record<string, unknown> | undefined, by: (value: never) => unknown) =>
      Object.fromEntries(
        Object.entries(rows ?? {}).map(([id, value]) => [id, value === null ? null : by(value as never)]),
      )
    const out: Record<string, unknown> = { ...data }
    if (data.session) out.session = apply(data.session as Record<string, unknown>, prune.session)
    if (data['sender-key']) out['sender-key'] = apply(data['sender-key'], prune.senderKey)
    largest = 0
    for (const rows of [out.session, out['sender-key']]) {
      for (const value of Object.values(rows ?? {})) largest = Math.max(largest, JSON.stringify(value).length)
    }
    return out as SignalDataSet
  }
  const keys: SignalKeyStore & {
    transaction: typeof inner.transaction
    isInTransaction: typeof inner.isInTransaction
  } = {
    get: (type, ids) => inner.get(type, ids),
    set: (data) => inner.set(pruned(data)),
    transaction: (work, key) => inner.transaction(work, key),
    isInTransaction: inner.isInTransaction,
  }
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds, keys }, baileysLogger(silentLog))
  const bundle = () => ({
    registrationId: creds.registrationId,
    identityKey: Buffer.from(generateSignalPubKey(creds.signedIdentityKey.public)),
    signedPreKey: {
      keyId: creds.signedPreKey.keyId,
      publicKey: Buffer.from(generateSignalPubKey(creds.signedPreKey.keyPair.public)),
      signature: Buffer.from(creds.signedPreKey.signature),
    },
  })
  return {
    repository,
    bundle,
    get largest() {
      return largest
    },
  }
}

const A = '1@lid'
const B = '2@lid'
const GROUP = '123@g.us'

/** A chat in which the direction changes with every message; resolves with the size of the record. */
async function pingPong(turns: number, prune: Prune): Promise<number> {
  const a = device(prune)
  const b = device(prune)
  await a.repository.injectE2ESession({ jid: B, session: b.bundle() })
  for (let turn = 0; turn < turns; turn += 1) {
    const [from, to, fromJid, toJid] = turn % 2 === 0 ? ([a, b, A, B] as const) : ([b, a, B, A] as const)
    const { type, ciphertext } = await from.repository.encryptMessage({
      jid: toJid,
      data: Buffer.from(`turn ${turn}`),
    })
    const plain = await to.repository.decryptMessage({ jid: fromJid, type, ciphertext })
    expect(Buffer.from(plain).toString()).toBe(`turn ${turn}`)
  }
  return a.largest
}

/** Messages to a group; resolves with the sizes of the sender's and the reader's record. */
async function groupTalk(
  messages: number,
  prune: Prune,
  inOrder = false,
): Promise<{ own: number; other: number }> {
  const sender = device(prune)
  const reader = device(prune)
  const skdm = await sender.repository.getSenderKeyDistributionMessage({ group: GROUP, meId: A })
  await reader.repository.processSenderKeyDistributionMessage({
    authorJid: A,
    item: { groupId: GROUP, axolotlSenderKeyDistributionMessage: skdm },
  })
  const late: { index: number; ciphertext: Uint8Array }[] = []
  for (let index = 0; index < messages; index += 1) {
    const { ciphertext } = await sender.repository.encryptGroupMessage({
      group: GROUP,
      meId: A,
      data: Buffer.from(`message ${index}`),
    })
    if (!inOrder && index % 10 === 3) late.push({ index, ciphertext })
    else {
      const plain = await reader.repository.decryptGroupMessage({
        group: GROUP,
        authorJid: A,
        msg: ciphertext,
      })
      expect(Buffer.from(plain).toString()).toBe(`message ${index}`)
    }
    if (late.length > 2) {
      const held = late.shift()
      if (!held) continue
      const plain = await reader.repository.decryptGroupMessage({
        group: GROUP,
        authorJid: A,
        msg: held.ciphertext,
      })
      expect(Buffer.from(plain).toString()).toBe(`message ${held.index}`)
    }
  }
  return { own: sender.largest, other: reader.largest }
}

describe('growth of Signal records', () => {
  test('upstream: a session grows with every change of direction', async () => {
    expect(await pingPong(200, NONE)).toBeGreaterThan(2 * (await pingPong(50, NONE)))
  })

  test('a pruned session stays small and readable', async () => {
    const [few, many] = [await pingPong(50, OURS), await pingPong(300, OURS)]
    expect(many).toBeLessThan(few * 1.2)
    expect(many).toBeLessThan(4_000)
  })

  test('upstream: sender keys keep what nobody asks for', async () => {
    const { own, other } = await groupTalk(60, NONE, true)
    expect(own).toBeGreaterThan(5_000)
    expect(other).toBeGreaterThan(5_000)
  }, 30_000)

  test('upstream: a group message that comes late cannot be read', async () => {
    expect(groupTalk(60, NONE)).rejects.toThrow('Expected Buffer')
  }, 30_000)

  test('a pruned own sender key stays small; late messages can still be read', async () => {
    const { own } = await groupTalk(60, OURS)
    expect(own).toBeLessThan(3_000)
  }, 30_000)

  test('another’s sender key keeps the newest message keys', () => {
    const state = {
      senderKeyId: 1,
      senderChainKey: { iteration: 900, seed: 'AA==' },
      senderSigningKey: { public: { type: 'Buffer', data: 'BQ==' }, private: { type: 'Buffer', data: '' } },
      senderMessageKeys: Array.from({ length: 900 }, (_, iteration) => ({ iteration, seed: 'c2VlZA==' })),
    }
    const pruned: (typeof state)[] = JSON.parse(
      Buffer.from(pruneSenderKey(Buffer.from(JSON.stringify([state])))).toString(),
    )
    expect(pruned[0]?.senderMessageKeys.length).toBe(KEPT_SENDER_MESSAGE_KEYS)
    expect(pruned[0]?.senderMessageKeys.at(-1)?.iteration).toBe(899)
  })

  test('open chains, waiting keys and sending chains are never dropped', () => {
    const closed = (n: number) =>
      [`closed${n}`, { chainType: 2, chainKey: { counter: n }, messageKeys: {} }] as const
    const chains = Object.fromEntries([
      ['open', { chainType: 2, chainKey: { counter: 1, key: 'k' }, messageKeys: {} }],
      ['waiting', { chainType: 2, chainKey: { counter: 1 }, messageKeys: { 0: 'k' } }],
      ['sending', { chainType: 1, chainKey: { counter: 1 }, messageKeys: {} }],
      ...Array.from({ length: 9 }, (_, n) => closed(n)),
    ])
    const record = { version: 'v1', _sessions: { base: { _chains: chains, other: 1 } } }
    const pruned = pruneSession(record)
    expect(Object.keys(pruned._sessions.base._chains)).toEqual([
      'open',
      'waiting',
      'sending',
      'closed4',
      'closed5',
      'closed6',
      'closed7',
      'closed8',
    ])
    expect(Object.keys(record._sessions.base._chains).length).toBe(12)
  })
})
