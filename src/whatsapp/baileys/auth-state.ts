/**
 * A session's vault as Baileys' authentication state: every key type, one commit per `set`, credentials always whole.
 *
 * A vault that refuses a write ends the socket: Baileys must not go on with a ratchet that is not on disk.
 */
import {
  type AuthenticationCreds,
  initAuthCreds,
  proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
} from '@whiskeysockets/baileys'
import { CREDS, type SessionVault, type VaultWrite } from '../../domain/ownership'
import { decodeValue, encodeValue } from './key-codec'
import type { PendingCommits } from './upstream/commit-before-wire'
import { pruneSenderKey, pruneSession } from './upstream/growth'

export interface AuthState {
  /** The live object; Baileys merges updates into it. */
  readonly creds: AuthenticationCreds
  readonly keys: SignalKeyStore
  /** Puts the credentials as they are now on disk. */
  saveCreds(): Promise<void>
  /** Writes beside Baileys' own, under the same rules. */
  commit(writes: readonly VaultWrite[]): Promise<void>
  /** Lets a commit made elsewhere hold the wire as our own do; rejects with it. */
  follow(commit: Promise<unknown>): Promise<void>
  readonly commits: PendingCommits
}

/** Read and written with every message. libsignal makes a copy of what it reads, and a new one of what it writes. */
const RATCHET = 'session'
/** Those of so many persons' devices are kept as they were before they became bytes. */
const RATCHETS = 32

/** What was written last, so that bytes that come back unchanged need not be read. */
function createRatchets() {
  const latest = new Map<string, { bytes: Buffer; value: unknown }>()
  return {
    valueOf(id: string, bytes: Uint8Array): unknown {
      const known = latest.get(id)
      return known?.bytes.equals(bytes) ? known.value : undefined
    },
    written(id: string, bytes: Buffer, value: unknown): void {
      latest.delete(id)
      latest.set(id, { bytes, value })
      const [oldest] = latest.keys()
      if (latest.size > RATCHETS && oldest !== undefined) latest.delete(oldest)
    },
  }
}

/** Opens the state; `onFailure` hears the first write that failed, after which every further one fails too. */
export function openAuthState(vault: SessionVault, onFailure: (error: unknown) => void): AuthState {
  const stored = vault.get(CREDS.type, [CREDS.id]).get(CREDS.id)
  const creds = stored ? readCreds(stored) : initAuthCreds()

  let waiting = 0
  let failed = false
  let last: Promise<unknown> = Promise.resolve()

  const commit = (writes: readonly VaultWrite[]): Promise<void> => follow(vault.commit(writes))

  async function follow(done: Promise<unknown>): Promise<void> {
    waiting += 1
    last = Promise.all([last, done])
    last.catch(() => undefined)
    try {
      await done
    } catch (error) {
      if (!failed) onFailure(error)
      failed = true
      throw error
    } finally {
      waiting -= 1
    }
  }

  const ratchets = createRatchets()
  const writesOf = (data: SignalDataSet) => writesFrom(data, ratchets.written)

  const keys: SignalKeyStore = {
    get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
      const found: { [id: string]: SignalDataTypeMap[T] } = {}
      for (const [id, bytes] of vault.get(type, ids)) {
        const known = type === RATCHET ? ratchets.valueOf(id, bytes) : undefined
        found[id] = (known ?? decodeValue(bytes)) as SignalDataTypeMap[T]
      }
      return found
    },
    set: (data: SignalDataSet) => commit(writesOf(data)),
  }

  /** Baileys announces many updates that change nothing; they are not written again. */
  let saved: { bytes: Uint8Array; onDisk: Promise<void> } = {
    bytes: stored ?? new Uint8Array(),
    onDisk: Promise.resolve(),
  }

  return {
    creds,
    keys,
    commit,
    follow,
    saveCreds() {
      const bytes = encodeValue(CREDS.type, creds)
      if (!failed && bytes.equals(saved.bytes)) return saved.onDisk
      saved = { bytes, onDisk: commit([{ ...CREDS, value: bytes }]) }
      return saved.onDisk
    },
    commits: {
      get waiting() {
        return waiting > 0 || failed
      },
      settled: async () => {
        await last
      },
    },
  }
}

function writesFrom(
  data: SignalDataSet,
  onRatchet: (id: string, bytes: Buffer, value: unknown) => void,
): VaultWrite[] {
  return Object.entries(data).flatMap(([type, rows]) =>
    Object.entries(rows ?? {}).map(([id, given]): VaultWrite => {
      if (given === null || given === undefined) return { type, id, value: null }
      const kept = pruned(type, given)
      const value = encodeValue(type, kept)
      if (type === RATCHET) onRatchet(id, value, kept)
      return { type, id, value }
    }),
  )
}

function pruned(type: string, value: unknown): unknown {
  if (type === RATCHET) return pruneSession(value)
  return type === 'sender-key' && value instanceof Uint8Array ? pruneSenderKey(value) : value
}

function readCreds(bytes: Uint8Array): AuthenticationCreds {
  const creds = decodeValue(bytes) as AuthenticationCreds
  // A protobuf object becomes base64 text in JSON; Baileys signs and compares bytes.
  if (creds.account) creds.account = proto.ADVSignedDeviceIdentity.fromObject(creds.account)
  return creds
}
