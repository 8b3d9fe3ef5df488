/**
 * A phone's Signal: its identity, its sessions and sender keys, kept in the sandbox's state. The cryptography is
 * that of Baileys' own repository (libsignal and its group cipher); this file only gives it a store and a voice.
 */
import { randomBytes } from 'node:crypto'
import {
  type BinaryNode,
  DEFAULT_CONNECTION_CONFIG,
  generateRegistrationId,
  generateSignalPubKey,
  jidDecode,
  jidEncode,
  jidNormalizedUser,
  proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStoreWithTransaction,
  unpadRandomMax16,
} from '@whiskeysockets/baileys'
import { type KeyPair, sign, verify } from './adv'
import { node, writeNumber } from './node'
import { generateKeyPair } from './phone-pairing'
import type { SandboxState } from './state'
import type { PhoneRegistration, PublicPreKey } from './types'

/** Long-term private keys of a phone. */
export type PhoneIdentity = {
  registrationId: number
  identity: KeyPair
  signedPreKey: KeyPair & { id: number; signature: Buffer }
}

/** Another device's public keys, as the server hands them out. */
export type KeyBundle = {
  jid: string
  registrationId: number
  identityKey: Buffer
  signedPreKey: PublicPreKey & { signature: Buffer }
  preKey: PublicPreKey | null
}

export type Sealed = { type: 'pkmsg' | 'msg' | 'skmsg'; ciphertext: Buffer }

/** Thrown when a bundle's signed pre-key was not signed by the identity beside it. */
export class ForgedBundle extends Error {
  constructor(jid: string) {
    super(`The key bundle of ${jid} is not signed by its own identity`)
    this.name = 'ForgedBundle'
  }
}

export interface PhoneSignal {
  readonly identity: PhoneIdentity
  /** Makes `count` one-time pre-keys and returns their public halves. */
  makePreKeys(count: number): PublicPreKey[]
  registration(): Pick<PhoneRegistration, 'registrationId' | 'identityKey' | 'signedPreKey'>
  /** Remembers that a phone number and a LID are one person; both bare JIDs. */
  learn(pn: string, lid: string): Promise<void>
  /** The other name of a person, with the same device; null when it is not known. */
  lidOf(pn: string): Promise<string | null>
  pnOf(lid: string): Promise<string | null>
  hasSession(jid: string): Promise<boolean>
  /** Opens a session from a bundle; throws `ForgedBundle`. */
  openSession(bundle: KeyBundle): Promise<void>
  dropSession(jid: string): Promise<void>
  encrypt(jid: string, message: proto.IMessage): Promise<Sealed>
  /** Decrypts for one sender, with padding removed and protobuf read. Throws when the keys do not fit. */
  decrypt(jid: string, sealed: { type: 'pkmsg' | 'msg'; ciphertext: Uint8Array }): Promise<proto.IMessage>
  /** Encrypts for a group as `author` (own LID or own number, with device), and what opens it. */
  encryptGroup(
    group: string,
    author: string,
    message: proto.IMessage,
  ): Promise<Sealed & { distribution: Buffer }>
  distribution(group: string, author: string): Promise<Buffer>
  decryptGroup(group: string, author: string, ciphertext: Uint8Array): Promise<proto.IMessage>
  acceptDistribution(author: string, item: proto.Message.ISenderKeyDistributionMessage): Promise<void>
  /** Devices that already hold this phone's sender key of a group. */
  keyHolders(group: string): Set<string>
  setKeyHolders(group: string, holders: Set<string>): void
  /** Throws this phone's sender key of a group away; the next message makes and hands out another. */
  forgetGroupKey(group: string, author: string): void
  /** Puts what has changed into the state, in one write. */
  commit(): void
  close(): void
}

/** Opens the Signal state of one phone, or creates it with a fresh identity. `scope` names it in the state. */
export function openPhoneSignal(state: SandboxState, scope: string): PhoneSignal {
  const cache = new Map(state.entries(scope).map(({ key, value }) => [key, value]))
  const dirty = new Map<string, Buffer | null>()
  const read = (key: string) => cache.get(key) ?? null
  const write = (key: string, value: Buffer | null) => {
    if (value === null) cache.delete(key)
    else cache.set(key, value)
    dirty.set(key, value)
  }
  const commit = () => {
    state.write(scope, dirty)
    dirty.clear()
  }

  const identity = readIdentity(read('identity')) ?? createIdentity()
  write('identity', writeIdentity(identity))
  commit()

  const keys = createKeyStore(read, write)
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
    {
      creds: {
        signedIdentityKey: identity.identity,
        signedPreKey: {
          keyPair: identity.signedPreKey,
          signature: identity.signedPreKey.signature,
          keyId: identity.signedPreKey.id,
        },
        registrationId: identity.registrationId,
      },
      keys,
    },
    SILENT,
  )
  const bareLid = async (pn: string) => {
    const found = await repository.lidMapping.getLIDForPN(pn)
    return found ? jidNormalizedUser(found) : null
  }
  /** Sessions live under LIDs; a number whose LID is unknown keeps its own name. */
  const sessionName = async (jid: string) => {
    const decoded = jidDecode(jid)
    if (decoded?.server !== 's.whatsapp.net') return jid
    const lid = await bareLid(jidEncode(decoded.user, 's.whatsapp.net'))
    return lid ? withDevice(lid, decoded.device) : jid
  }
  const pad = (message: proto.IMessage) => {
    const encoded = proto.Message.encode(message).finish()
    const length = 1 + ((randomBytes(1)[0] ?? 0) & 15)
    return Buffer.concat([encoded, Buffer.alloc(length, length)])
  }
  const unpad = (bytes: Uint8Array): proto.IMessage => proto.Message.decode(unpadRandomMax16(bytes))

  return {
    identity,
    makePreKeys(count) {
      const first = Number(read('next-pre-key')?.toString() ?? '1')
      const made = Array.from({ length: count }, (_, i) => {
        const pair = generateKeyPair()
        keys.set({ 'pre-key': { [first + i]: pair } })
        return { id: first + i, publicKey: pair.public }
      })
      write('next-pre-key', Buffer.from(String(first + count)))
      commit()
      return made
    },
    registration: () => ({
      registrationId: identity.registrationId,
      identityKey: identity.identity.public,
      signedPreKey: {
        id: identity.signedPreKey.id,
        publicKey: identity.signedPreKey.public,
        signature: identity.signedPreKey.signature,
      },
    }),
    learn: (pn, lid) =>
      repository.lidMapping.storeLIDPNMappings([{ pn: jidNormalizedUser(pn), lid: jidNormalizedUser(lid) }]),
    async lidOf(pn) {
      const lid = await bareLid(jidNormalizedUser(pn))
      return lid && withDevice(lid, jidDecode(pn)?.device)
    },
    async pnOf(lid) {
      const pn = await repository.lidMapping.getPNForLID(jidNormalizedUser(lid))
      return pn && withDevice(jidNormalizedUser(pn), jidDecode(lid)?.device)
    },
    hasSession: async (jid) => (await repository.validateSession(await sessionName(jid))).exists,
    async openSession(bundle) {
      const signedKey = generateSignalPubKey(bundle.signedPreKey.publicKey)
      if (!verify(bundle.identityKey, signedKey, bundle.signedPreKey.signature))
        throw new ForgedBundle(bundle.jid)
      await repository.injectE2ESession({
        jid: await sessionName(bundle.jid),
        session: {
          registrationId: bundle.registrationId,
          identityKey: generateSignalPubKey(bundle.identityKey),
          signedPreKey: {
            keyId: bundle.signedPreKey.id,
            publicKey: signedKey,
            signature: bundle.signedPreKey.signature,
          },
          ...(bundle.preKey
            ? {
                preKey: { keyId: bundle.preKey.id, publicKey: generateSignalPubKey(bundle.preKey.publicKey) },
              }
            : {}),
        },
      })
    },
    dropSession: async (jid) => repository.deleteSession([await sessionName(jid)]),
    async encrypt(jid, message) {
      const { type, ciphertext } = await repository.encryptMessage({
        jid: await sessionName(jid),
        data: pad(message),
      })
      return { type, ciphertext: Buffer.from(ciphertext) }
    },
    decrypt: async (jid, { type, ciphertext }) =>
      unpad(await repository.decryptMessage({ jid: await sessionName(jid), type, ciphertext })),
    async encryptGroup(group, author, message) {
      const made = await repository.encryptGroupMessage({ group, meId: author, data: pad(message) })
      return {
        type: 'skmsg',
        ciphertext: Buffer.from(made.ciphertext),
        distribution: Buffer.from(made.senderKeyDistributionMessage),
      }
    },
    distribution: async (group, author) =>
      Buffer.from(await repository.getSenderKeyDistributionMessage({ group, meId: author })),
    decryptGroup: async (group, author, msg) =>
      unpad(await repository.decryptGroupMessage({ group, authorJid: author, msg })),
    acceptDistribution: (author, item) =>
      repository.processSenderKeyDistributionMessage({ item, authorJid: author }),
    keyHolders: (group) => {
      const stored = read(`key-holders ${group}`)
      return new Set<string>(stored ? JSON.parse(stored.toString()) : [])
    },
    setKeyHolders: (group, holders) =>
      write(`key-holders ${group}`, Buffer.from(JSON.stringify([...holders]))),
    forgetGroupKey(group, author) {
      const address = repository.jidToSignalProtocolAddress(author).replace('.', '::')
      write(`sender-key ${group}::${address}`, null)
      write(`key-holders ${group}`, null)
    },
    commit,
    close: () => repository.close?.(),
  }
}

/** A public key with its number, as stanzas carry it. */
export const keyNode = (tag: string, key: PublicPreKey, more: BinaryNode[] = []): BinaryNode =>
  node(tag, {}, [node('id', {}, writeNumber(key.id, 3)), node('value', {}, key.publicKey), ...more])

/** A bare JID with a device number; device 0 is written without one. */
export function withDevice(bare: string, device: number | undefined): string {
  const decoded = jidDecode(bare)
  return decoded && device ? jidEncode(decoded.user, decoded.server, device) : bare
}

function createIdentity(): PhoneIdentity {
  const identity = generateKeyPair()
  const signed = generateKeyPair()
  return {
    registrationId: generateRegistrationId(),
    identity,
    signedPreKey: {
      ...signed,
      id: 1,
      signature: sign(identity.private, generateSignalPubKey(signed.public)),
    },
  }
}

const pack = (pair: KeyPair) => [pair.private.toString('base64'), pair.public.toString('base64')]
const unpack = ([secret, open]: string[]): KeyPair => ({
  private: Buffer.from(secret ?? '', 'base64'),
  public: Buffer.from(open ?? '', 'base64'),
})

const writeIdentity = ({ registrationId, identity, signedPreKey }: PhoneIdentity) =>
  Buffer.from(
    JSON.stringify({
      registrationId,
      identity: pack(identity),
      signedPreKey: pack(signedPreKey),
      id: signedPreKey.id,
      signature: signedPreKey.signature.toString('base64'),
    }),
  )

function readIdentity(stored: Buffer | null): PhoneIdentity | null {
  if (!stored) return null
  const read = JSON.parse(stored.toString())
  return {
    registrationId: read.registrationId,
    identity: unpack(read.identity),
    signedPreKey: {
      ...unpack(read.signedPreKey),
      id: read.id,
      signature: Buffer.from(read.signature, 'base64'),
    },
  }
}

/** How each kind of key becomes bytes; kinds that libsignal does not use on a phone are refused. */
const CODECS: { [T in keyof SignalDataTypeMap]?: Codec<SignalDataTypeMap[T]> } = {
  'pre-key': {
    toBytes: (pair) => Buffer.concat([pair.private, pair.public]),
    fromBytes: (bytes) => ({ private: bytes.subarray(0, 32), public: bytes.subarray(32) }),
  },
  // libsignal hands over records as plain objects, the group cipher as bytes.
  session: jsonCodec(),
  'sender-key': { toBytes: (key) => Buffer.from(key), fromBytes: (bytes) => bytes },
  'identity-key': { toBytes: (key) => Buffer.from(key), fromBytes: (bytes) => bytes },
  'lid-mapping': { toBytes: (user) => Buffer.from(user), fromBytes: (bytes) => bytes.toString() },
  'device-list': jsonCodec(),
}

type Codec<T> = { toBytes(value: T): Buffer; fromBytes(bytes: Buffer): T }

function jsonCodec<T>(): Codec<T> {
  return {
    toBytes: (value) => Buffer.from(JSON.stringify(value)),
    fromBytes: (bytes) => JSON.parse(bytes.toString()),
  }
}

function createKeyStore(
  read: (key: string) => Buffer | null,
  write: (key: string, value: Buffer | null) => void,
): SignalKeyStoreWithTransaction {
  const codecOf = <T extends keyof SignalDataTypeMap>(type: T): Codec<SignalDataTypeMap[T]> => {
    const codec = CODECS[type]
    if (!codec) throw new Error(`a phone keeps no ${type}`)
    // The table's own type ties each codec to its kind of key; TypeScript loses that for a generic index.
    return codec as unknown as Codec<SignalDataTypeMap[T]>
  }
  const setOne = <T extends keyof SignalDataTypeMap>(type: T, changes: SignalDataSet[T]) => {
    const { toBytes } = codecOf(type)
    for (const [id, value] of Object.entries<SignalDataTypeMap[T] | null>(changes ?? {})) {
      write(`${type} ${id}`, value === null || value === undefined ? null : toBytes(value))
    }
  }
  return {
    get(type, ids) {
      const { fromBytes } = codecOf(type)
      const found: { [id: string]: SignalDataTypeMap[typeof type] } = {}
      for (const id of ids) {
        const stored = read(`${type} ${id}`)
        if (stored) found[id] = fromBytes(stored)
      }
      return found
    },
    set(changes) {
      for (const type of Object.keys(changes) as (keyof SignalDataTypeMap)[]) setOne(type, changes[type])
    },
    isInTransaction: () => false,
    // A phone does one thing at a time (its mailbox sees to it), so a transaction is just the work itself.
    transaction: (work) => work(),
  }
}

const quiet = () => undefined
const SILENT = {
  level: 'silent',
  child: () => SILENT,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
}
